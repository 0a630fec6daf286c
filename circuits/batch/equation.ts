/**
 * Whether all of some decoded proofs hold, in one equation. Called by verifier.ts.
 *
 * With random rᵢ, for each key: Π e(rᵢAᵢ, Bᵢ) · e(−Σrᵢ·α, β) · e(−Σₖ(Σᵢ rᵢsᵢₖ)·ICₖ, γ) · e(−Σ rᵢCᵢ, δ) = 1, the
 * signals' first being 1. All keys share one Miller loop and one final exponentiation. If one proof does not
 * hold, then whatever the others are, at most one of the 15³³ coefficients that it may get makes the product
 * 1. It means nothing before every B is known to be in its group, which the same Miller loop tells.
 *
 * Sums may have exceptional additions where a key's points are multiples of each other that somebody knows, as
 * those of a development set-up are: then they are done once more, by noble's complete formulas.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { invariant } from "../../consensus/primitives/faults.ts";
import { bytesToSignals } from "../signals.ts";
import { createMultiplier, drawCoefficients } from "./coefficients.ts";
import { G1_GENERATOR, G2_GENERATOR } from "./curve.ts";
import type { ProofRegisters } from "./decode.ts";
import type { Field } from "./field.ts";
import { createFinal } from "./final.ts";
import { createFp12 } from "./fp12.ts";
import { createG1, type Jacobian } from "./g1.ts";
import { createKeys, type PreparedKey, type Term, type TwistLimbs, termsOf, twistLimbs } from "./key.ts";
import { BASE } from "./limbs.ts";
import { createMiller } from "./miller.ts";
import { createInverter } from "./powers.ts";
import { sumSignals } from "./sums.ts";

const { Point } = bn254.G1;

/** A decoded proof: its place in the registers, and what it is about. */
export type Claim = {
  readonly element: number;
  readonly key: PreparedKey;
  /** As words (../signals.ts), the key's number of them, each below r. */
  readonly words: Uint32Array;
};

export type Answer =
  | { readonly kind: "hold" }
  | { readonly kind: "fail" }
  /** The claims (their places in the list) whose B is not in its group; of the others nothing is known. */
  | { readonly kind: "outside"; readonly claims: ReadonlySet<number> };

export const PAIRS_PER_KEY = 3;

const GENERATOR = { x: BASE.elementLimbs(G1_GENERATOR.x), y: BASE.elementLimbs(G1_GENERATOR.y) };
const TWIST_GENERATOR = twistLimbs(G2_GENERATOR);

/** Time spent, in milliseconds, for the bench. */
export type Phases = { coefficients: number; sums: number; miller: number; final: number };

export function createEquation(field: Field) {
  const fp12 = createFp12(field);
  const inverter = createInverter(field);
  const g1 = createG1(field, inverter);
  const multiply = createMultiplier(field, g1, inverter);
  const miller = createMiller(field, fp12, inverter);
  const final = createFinal(field, fp12, inverter);
  const keys = createKeys(field, g1);

  const a = g1.affine();
  const c = g1.affine();
  const q = { x: field.fp2(), y: field.fp2() };
  const [left, right, terms] = [g1.jacobian(), g1.jacobian(), g1.jacobian()];
  const [gathered, sums] = [g1.jacobian(), g1.jacobian()];
  const p = { byW: field.fp(), byW3: field.fp() };
  const temporary = field.fp();
  const [product, each] = [fp12.allocate(), fp12.allocate()];
  const phases: Phases = { coefficients: 0, sums: 0, miller: 0, final: 0 };

  const writeTwist = (pair: number, limbs: TwistLimbs): void => {
    const parts = [q.x, field.part1(q.x), q.y, field.part1(q.y)];
    for (const [i, part] of parts.entries()) field.writeLimbs(part, pair, limbs[i] ?? []);
  };

  /** −x/y = −XZ/Y and 1/y = Z³/Y of the points that `left` holds. Both are 0 for infinity, whose pairing is 1. */
  const lineFactors = (n: number): void => {
    inverter.invert(temporary, left.y, n);
    field.mul(temporary, temporary, left.z, n);
    field.mul(p.byW, temporary, left.x, n);
    field.sub(p.byW, field.zero, p.byW, n);
    field.mul(temporary, temporary, left.z, n);
    field.mul(p.byW3, temporary, left.z, n);
  };

  /** The sum of some points, whatever they are, into an element of `to`. */
  const sumOf = (to: Jacobian, at: number, from: Jacobian, elements: readonly number[]): void => {
    for (const [i, element] of elements.entries()) g1.move(gathered, i, from, element);
    if (elements.length > 0 && g1.sum(gathered, elements.length)) g1.move(to, at, gathered, 0);
    else
      g1.write(
        to,
        at,
        elements.reduce((sum, element) => sum.add(g1.read(from, element)), Point.ZERO),
      );
  };

  /** For each list of terms their sum, one after the other in `sums`. */
  const fixedSums = (key: PreparedKey, lists: readonly (readonly Term[])[]): void => {
    const all = lists.flatMap((terms, list) => terms.map((term) => ({ list, ...term })));
    for (const list of lists.keys()) g1.setInfinity(sums, list);
    const width = 2 * field.slots - lists.length;
    for (let from = 0; from < all.length; from += width) {
      const part = all.slice(from, from + width);
      keys.multiply(terms, key, part);
      for (const list of lists.keys()) {
        const elements = part.flatMap((term, i) => (term.list === list ? [i] : []));
        if (from > 0) {
          // Behind this part, what the parts before have come to.
          g1.move(terms, part.length + list, sums, list);
          elements.push(part.length + list);
        }
        sumOf(sums, list, terms, elements);
      }
    }
  };

  /** The claims' points into the working registers, in the claims' order. */
  const gather = ({ a: allA, b: allB, c: allC }: ProofRegisters, claims: readonly Claim[]): void => {
    for (const [to, from] of [
      [a.x, allA.x],
      [a.y, allA.y],
      [c.x, allC.x],
      [c.y, allC.y],
      [q.x, allB.x],
      [q.y, allB.y],
      [field.part1(q.x), field.part1(allB.x)],
      [field.part1(q.y), field.part1(allB.y)],
    ] as const) {
      claims.forEach(({ element }, i) => {
        field.move(to, i, from, element);
      });
    }
    if (claims.length % 2 === 0) return;
    for (const point of [a, c]) {
      field.writeLimbs(point.x, claims.length, GENERATOR.x);
      field.writeLimbs(point.y, claims.length, GENERATOR.y);
    }
    writeTwist(claims.length, TWIST_GENERATOR);
  };

  return {
    phases,
    prepareKey: keys.prepare,
    /** At most 2·slots pairs: one a claim, and three a key. */
    check: (registers: ProofRegisters, claims: readonly Claim[]): Answer => {
      const count = claims.length;
      const groups = Map.groupBy(claims.keys(), (i) => claims[i]?.key as PreparedKey);
      const pairs = count + PAIRS_PER_KEY * groups.size;
      invariant(pairs <= 2 * field.slots, "a batch fits the registers");
      const started = performance.now();
      gather(registers, claims);
      const coefficients = drawCoefficients(count);
      multiply(left, a, coefficients, count);
      multiply(right, c, coefficients, count);
      const multiplied = performance.now();

      let pair = count;
      for (const [key, members] of groups) {
        const summands = members.flatMap((coefficient) => {
          const claim = claims[coefficient];
          return claim === undefined ? [] : [{ words: claim.words, coefficient }];
        });
        const scalars = sumSignals(coefficients.parts, summands, key.nPublic);
        const ofPoints = scalars.flatMap((scalar, point) => termsOf(point, scalar));
        const ofAlpha = termsOf(key.nPublic + 1, scalars[0] ?? 0n);
        fixedSums(key, [ofAlpha, ofPoints]);
        sumOf(sums, 2, right, members);
        for (const [i, twist] of key.twists.entries()) {
          g1.move(left, pair, sums, i, true);
          writeTwist(pair, twist);
          pair++;
        }
      }
      const paired = Math.ceil(pair / 2);
      if (pair % 2 === 1) {
        g1.setInfinity(left, pair);
        writeTwist(pair, TWIST_GENERATOR);
      }
      lineFactors(paired);
      const summed = performance.now();
      const outside = miller(product, q, p, paired);
      const looped = performance.now();
      const holds = outside.size === 0 && final.ofBoth(product);
      phases.coefficients += multiplied - started;
      phases.sums += summed - multiplied;
      phases.miller += looped - summed;
      phases.final += performance.now() - looped;
      for (const pair of outside) invariant(pair < count, "a key's points are in their groups");
      if (outside.size > 0) return { kind: "outside", claims: outside };
      return { kind: holds ? "hold" : "fail" };
    },

    /**
     * A verdict a claim, each by its own equation, all in step: about ten times the price of one equation for
     * all, whatever the verdicts are. The B of all must be in their groups.
     */
    checkEach: (registers: ProofRegisters, claims: readonly Claim[]): boolean[] => {
      const count = claims.length;
      const slots = Math.ceil(count / 2);
      gather(registers, claims);
      g1.fromAffine(left, a, slots);
      lineFactors(slots);
      miller(product, q, p, slots, "each");
      /** Of the points in `left`, which are to be negative. */
      const factor = (twist: 0 | 1 | 2): void => {
        for (const [i, { key }] of claims.entries()) writeTwist(i, key.twists[twist]);
        lineFactors(slots);
        miller(each, q, p, slots, "each");
        fp12.mul(product, product, each, slots);
      };
      for (const [i, { key }] of claims.entries()) {
        g1.write(left, i, Point.fromAffine(key.points.alpha).negate());
      }
      factor(0);
      for (const [i, { key, words }] of claims.entries()) {
        const signals = bytesToSignals(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
        fixedSums(key, [[1n, ...signals].flatMap((scalar, point) => termsOf(point, scalar))]);
        g1.move(left, i, sums, 0, true);
      }
      factor(1);
      g1.fromAffine(left, c, slots);
      field.sub(left.y, field.zero, left.y, slots);
      factor(2);
      return final.ofEach(product, count);
    },
  };
}
