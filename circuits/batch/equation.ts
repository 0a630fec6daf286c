/**
 * Whether all of some decoded proofs hold, in one equation. Called by verifier.ts.
 *
 * With random rᵢ, for each key: Π e(rᵢAᵢ, Bᵢ) · e(−Σrᵢ·α, β) · e(−Σₖ(Σᵢ rᵢsᵢₖ)·ICₖ, γ) · e(−Σ rᵢCᵢ, δ) = 1, the
 * signals' first being 1. All keys share one Miller loop and one final exponentiation. If one proof does not
 * hold, then whatever the others are, at most one of the 15³³ coefficients that it may get makes the product
 * 1. It means nothing before every B is known to be in its group, which the same Miller loop tells.
 *
 * Sums have no exceptional additions: equal or opposite terms would need coefficients that nobody can know.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { invariant } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import { createMultiplier, drawCoefficients } from "./coefficients.ts";
import { G1_GENERATOR, G2_GENERATOR } from "./curve.ts";
import type { ProofRegisters } from "./decode.ts";
import type { Field } from "./field.ts";
import { createFinal } from "./final.ts";
import { createFp12 } from "./fp12.ts";
import { createG1, type NoblePoint, sumOf } from "./g1.ts";
import { createKeys, type PreparedKey } from "./key.ts";
import { mod } from "./limbs.ts";
import { createMiller } from "./miller.ts";
import { createInverter } from "./powers.ts";

const { Point } = bn254.G1;
const { Fp } = bn254.fields;

/** A decoded proof: its place in the registers, and what it is about. */
export type Claim = {
  readonly element: number;
  readonly key: PreparedKey;
  readonly signals: readonly bigint[];
};

export type Answer =
  | { readonly kind: "hold" }
  | { readonly kind: "fail" }
  /** The claims (their places in the list) whose B is not in its group; of the others nothing is known. */
  | { readonly kind: "outside"; readonly claims: ReadonlySet<number> };

export const PAIRS_PER_KEY = 3;

type TwistValue = typeof G2_GENERATOR;

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
  const p = { byW: field.fp(), byW3: field.fp() };
  const temporary = field.fp();
  const [product, each] = [fp12.allocate(), fp12.allocate()];
  const phases: Phases = { coefficients: 0, sums: 0, miller: 0, final: 0 };

  /** −(−x/y) and −1/y: of the negative point. Both are 0 for infinity, whose pairing is 1. */
  const writeNegative = (pair: number, { X, Y, Z }: NoblePoint): void => {
    const inverse = Fp.inv(Y);
    field.write(p.byW, pair, mod(X * inverse));
    field.write(p.byW3, pair, mod(-Z * inverse));
  };
  const writeTwist = (pair: number, { x, y }: TwistValue): void => {
    field.write(q.x, pair, x.c0);
    field.write(field.part1(q.x), pair, x.c1);
    field.write(q.y, pair, y.c0);
    field.write(field.part1(q.y), pair, y.c1);
  };

  /** Σ scalarₖ·ICₖ, and scalar·α. */
  const fixedSums = (key: PreparedKey, scalars: readonly bigint[], ofAlpha: bigint) => {
    const present = scalars.flatMap((scalar, point) => (scalar === 0n ? [] : [{ point, scalar }]));
    let sum = Point.ZERO;
    let alpha = Point.ZERO;
    const all = ofAlpha === 0n ? present : [...present, { point: key.nPublic + 1, scalar: ofAlpha }];
    const width = 2 * field.slots;
    for (let from = 0; from < all.length; from += width) {
      const part = all.slice(from, from + width);
      keys.multiply(terms, key, part);
      let count = part.length;
      if (part.at(-1)?.point === key.nPublic + 1) {
        count--;
        alpha = g1.read(terms, count);
      }
      sum = sum.add(sumOf(g1, terms, count));
    }
    return { sum, alpha };
  };

  /** The claims' points into the working registers, in the claims' order. */
  const gather = ({ a: allA, b: allB, c: allC }: ProofRegisters, claims: readonly Claim[]): void => {
    for (const [i, { element }] of claims.entries()) {
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
        field.move(to, i, from, element);
      }
    }
    if (claims.length % 2 === 0) return;
    for (const point of [a, c]) {
      field.write(point.x, claims.length, G1_GENERATOR.x);
      field.write(point.y, claims.length, G1_GENERATOR.y);
    }
    writeTwist(claims.length, G2_GENERATOR);
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
      const slots = Math.ceil(count / 2);
      const coefficients = drawCoefficients(count);
      multiply(left, a, coefficients, count);
      multiply(right, c, coefficients, count);
      // −x/y = −XZ/Y and 1/y = Z³/Y
      inverter.invert(temporary, left.y, slots);
      field.mul(temporary, temporary, left.z, slots);
      field.mul(p.byW, temporary, left.x, slots);
      field.sub(p.byW, field.zero, p.byW, slots);
      field.mul(temporary, temporary, left.z, slots);
      field.mul(p.byW3, temporary, left.z, slots);
      const multiplied = performance.now();

      let pair = count;
      for (const [key, members] of groups) {
        const list = [...members];
        const scalars = new Array<bigint>(key.nPublic + 1).fill(0n);
        for (const [place, i] of list.entries()) {
          const coefficient = coefficients.values[i] ?? 0n;
          scalars[0] = (scalars[0] ?? 0n) + coefficient;
          for (const [k, signal] of (claims[i]?.signals ?? []).entries()) {
            scalars[k + 1] = (scalars[k + 1] ?? 0n) + coefficient * signal;
          }
          g1.move(terms, place, right, i);
        }
        const sumOfC = sumOf(g1, terms, list.length);
        const reduced = scalars.map((scalar) => scalar % FIELD_ORDER);
        const { sum, alpha } = fixedSums(key, reduced, reduced[0] ?? 0n);
        for (const [point, twist] of [
          [alpha, key.points.beta],
          [sum, key.points.gamma],
          [sumOfC, key.points.delta],
        ] as const) {
          writeNegative(pair, point);
          writeTwist(pair, twist);
          pair++;
        }
      }
      if (pair % 2 === 1) {
        writeNegative(pair, Point.ZERO);
        writeTwist(pair, G2_GENERATOR);
      }
      const summed = performance.now();
      const outside = miller(product, q, p, Math.ceil(pair / 2));
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
      inverter.invert(temporary, a.y, slots);
      field.mul(p.byW, temporary, a.x, slots);
      field.sub(p.byW, field.zero, p.byW, slots);
      field.copy(p.byW3, temporary, slots);
      miller(product, q, p, slots, "each");
      const sums = claims.map(({ key, signals }) => fixedSums(key, [1n, ...signals], 0n).sum);
      const factor = (
        point: (claim: Claim, i: number) => NoblePoint,
        twist: (key: PreparedKey) => TwistValue,
      ) => {
        for (const [i, claim] of claims.entries()) {
          writeNegative(i, point(claim, i));
          writeTwist(i, twist(claim.key));
        }
        miller(each, q, p, slots, "each");
        fp12.mul(product, product, each, slots);
      };
      factor(
        ({ key }) => Point.fromAffine(key.points.alpha),
        ({ points }) => points.beta,
      );
      factor(
        (_, i) => sums[i] ?? Point.ZERO,
        ({ points }) => points.gamma,
      );
      factor(
        (_, i) => Point.fromAffine({ x: field.read(c.x, i), y: field.read(c.y, i) }),
        ({ points }) => points.delta,
      );
      return final.ofEach(product, count);
    },
  };
}
