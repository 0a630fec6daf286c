/**
 * Groth16 proofs from a snarkjs key and a witness, on the vector machine. Called by engine.ts; browser safe,
 * blocking.
 *
 * A proof is A = α + Σ wᵢAᵢ + rδ, B = β + Σ wᵢBᵢ + sδ (in G2, and in G1 for C), and
 * C = Σ wᵢCᵢ + Σ hᵢHᵢ + sA + rB − rsδ; the key's own points are terms of the sums like all others. It is a
 * function of witness, r and s, and the same as snarkjs' for the same three.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { invariant } from "../../consensus/primitives/faults.ts";
import { balancedLimbs, LIMBS } from "../batch/limbs.ts";
import type { ProofPoints } from "../proof.ts";
import { keyFromPoints } from "../verification-key.ts";
import { multiExp } from "./multiexp.ts";
import { type Bases, type Coordinates, createAdder } from "./points.ts";
import { createScalarField, createTransform } from "./transform.ts";
import { bigintOf, coordinatesOf, readZkey, SCALARS } from "./zkey.ts";

const { G1, G2 } = bn254;

export type Blinding = { readonly r: bigint; readonly s: bigint };

/** What a proof is made of, in order. */
export const PHASES = ["witness in", "constraints", "transforms", "A", "B1", "B2", "C and H"] as const;
export type Phase = (typeof PHASES)[number];

/** Called at a phase's start and, in long ones, meanwhile: the part of it that is done, from 0 to 1. */
export type Report = (phase: Phase, done: number) => void;

export type Groth16 = NonNullable<Awaited<ReturnType<typeof createGroth16>>>;

/** Reads the key, which takes a moment; `undefined` on machines without fused multiply-add. */
export async function createGroth16(zkey: Uint8Array) {
  const key = readZkey(zkey);
  // Nothing below keeps the key itself: its points and coefficients are in the machine's memory then.
  const { publics } = key;
  const verificationKey = keyFromPoints(key);
  const [adder, scalars] = [await createAdder(), await createScalarField()];
  if (adder === undefined || scalars === undefined) return undefined;
  const transform = createTransform(scalars, key);
  const bases = {
    a: adder.load(1, key.a),
    b1: adder.load(1, key.b1),
    b2: adder.load(2, key.b2),
    c: adder.load(1, key.c),
    h: adder.load(1, key.h),
  };
  const place = (degree: 1 | 2, point?: Uint8Array): number => {
    const entry = adder.reservePoint(degree);
    if (point !== undefined) adder.place(entry, coordinatesOf(point));
    return entry;
  };
  const [alpha1, beta1, delta1] = [place(1, key.alpha1), place(1, key.beta1), place(1, key.delta1)];
  const [beta2, delta2] = [place(2, key.beta2), place(2, key.delta2)];
  const [a1, b1] = [place(1), place(1)];

  /** Points and their scalars, of lists and single terms. */
  const terms = (
    lists: readonly (readonly [bases: Bases, limbs: Float64Array, offset: number])[],
    singles: readonly (readonly [entry: number, scalar: bigint])[],
  ) => {
    const count = lists.reduce((sum, [{ entries }]) => sum + entries.length, singles.length);
    const entries = new Int32Array(count);
    const limbs = new Float64Array(LIMBS * count);
    let at = 0;
    for (const [list, of, offset] of lists) {
      entries.set(list.entries, at);
      for (const term of list.terms) {
        const from = LIMBS * (term + offset);
        for (let i = 0; i < LIMBS; i++) limbs[LIMBS * at + i] = of[from + i] ?? 0;
        at++;
      }
    }
    for (const [entry, scalar] of singles) {
      entries[at] = entry;
      const value = SCALARS.mod(scalar);
      limbs.set(balancedLimbs(2n * value > SCALARS.order ? value - SCALARS.order : value, LIMBS), LIMBS * at);
      at++;
    }
    return { entries, limbs };
  };
  type Given = ReturnType<typeof terms>;
  const sum1 = (given: Given, report: (done: number) => void): { x: bigint; y: bigint } => {
    report(0);
    let sum = G1.Point.ZERO;
    for (const point of multiExp(adder, 1, given, { report }).reverse()) {
      sum = sum.double();
      if (point !== undefined) sum = sum.add(G1.Point.fromAffine(pointOf1(point)));
    }
    given.limbs.fill(0);
    invariant(!sum.is0(), "a proof's points are finite");
    return sum.toAffine();
  };
  const sum2 = (given: Given, report: (done: number) => void) => {
    report(0);
    let sum = G2.Point.ZERO;
    for (const point of multiExp(adder, 2, given, { report }).reverse()) {
      sum = sum.double();
      if (point !== undefined) sum = sum.add(G2.Point.fromAffine(pointOf2(point)));
    }
    given.limbs.fill(0);
    invariant(!sum.is0(), "a proof's points are finite");
    const { x, y } = sum.toAffine();
    return { x: { c0: x.c0, c1: x.c1 }, y: { c0: y.c0, c1: y.c1 } };
  };

  /** `witness`: 32 bytes a signal, the first 1. */
  const prove = (witness: Uint8Array, { r, s }: Blinding, report: Report = () => undefined): ProofPoints => {
    const secret: Float64Array[] = [];
    const during = (phase: Phase) => (done: number) => report(phase, done);
    try {
      report("witness in", 0);
      const w = transform.enter(witness);
      secret.push(w);
      report("constraints", 0);
      transform.constraints();
      report("transforms", 0);
      const h = transform.quotient();
      secret.push(h);
      const a = sum1(
        terms(
          [[bases.a, w, 0]],
          [
            [alpha1, 1n],
            [delta1, r],
          ],
        ),
        during("A"),
      );
      adder.place(a1, [a.x, a.y]);
      const inG1 = sum1(
        terms(
          [[bases.b1, w, 0]],
          [
            [beta1, 1n],
            [delta1, s],
          ],
        ),
        during("B1"),
      );
      adder.place(b1, [inG1.x, inG1.y]);
      const b = sum2(
        terms(
          [[bases.b2, w, 0]],
          [
            [beta2, 1n],
            [delta2, s],
          ],
        ),
        during("B2"),
      );
      const c = sum1(
        terms(
          [
            [bases.c, w, publics + 1],
            [bases.h, h, 0],
          ],
          [
            [a1, s],
            [b1, r],
            [delta1, -r * s],
          ],
        ),
        during("C and H"),
      );
      return { a, b, c };
    } finally {
      for (const scalars of secret) scalars.fill(0);
      transform.wipe();
      adder.wipe();
      adder.place(b1, [0n, 0n]);
    }
  };

  return {
    verificationKey,
    prove,
    publicSignals: (witness: Uint8Array): bigint[] =>
      Array.from({ length: publics }, (_, i) => bigintOf(witness.subarray(32 * (i + 1), 32 * (i + 2)))),
    /** The machine's memory. */
    bytes: (): number => adder.bytes() + transform.bytes(),
  };
}

const pointOf1 = ([x = 0n, y = 0n]: Coordinates) => ({ x, y });
const pointOf2 = ([x0 = 0n, x1 = 0n, y0 = 0n, y1 = 0n]: Coordinates) => ({
  x: { c0: x0, c1: x1 },
  y: { c0: y0, c1: y1 },
});
