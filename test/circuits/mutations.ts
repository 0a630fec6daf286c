/**
 * Ways to spoil a proof. None of them makes a valid one: (−A, −B, C), which is valid, is left out. Called by
 * the batch verifier's tests, short and long.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { bytesToNumberBE, concatBytes, numberToBytesBE } from "@noble/curves/utils.js";
import { G2_B } from "../../circuits/batch/curve.ts";
import { P } from "../../circuits/batch/limbs.ts";
import { encodeG1, encodeG2, type G2Point } from "../../circuits/points.ts";
import { decodeProofPoints, PROOF_BYTES } from "../../circuits/proof.ts";
import { bytesToSignals, signalsToBytes } from "../../circuits/signals.ts";
import type { VerifyJob } from "../../circuits/verify.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";

const { Fp2 } = bn254.fields;
const { G1, G2 } = bn254;
type TwistPoint = InstanceType<typeof G2.Point>;

export type Mutant = { readonly label: string; readonly job: VerifyJob };

/** Order of the twist over Fp2 is COFACTOR · r. */
export const COFACTOR = 2n * P - FIELD_ORDER;
/** The small factors of the cofactor; what is left of it has 149 bits. */
export const SMALL_ORDERS = [10069n, 5864401n] as const;

/** k · point for any k: noble's own refuses what is not below r. */
export function multiple(point: TwistPoint, k: bigint): TwistPoint {
  let sum = G2.Point.ZERO;
  for (const bit of k.toString(2)) {
    sum = sum.double();
    if (bit === "1") sum = sum.add(point);
  }
  return sum;
}

/** A point of the twist, outside the group of order r as good as certainly. */
export function twistPoint(random: () => number): TwistPoint {
  for (;;) {
    const part = (): bigint => BigInt(Math.floor(random() * 2 ** 50)) ** 5n % P;
    const x = Fp2.fromBigTuple([part(), part()]);
    const right = Fp2.add(Fp2.mul(Fp2.sqr(x), x), Fp2.fromBigTuple([G2_B.c0, G2_B.c1]));
    const root = rootOf(right);
    if (root !== undefined) return G2.Point.fromAffine({ x, y: root });
  }
}

function rootOf(value: ReturnType<typeof Fp2.sqrt>): typeof value | undefined {
  try {
    return Fp2.sqrt(value);
  } catch {
    return undefined;
  }
}

/** A point of exactly this prime order, a factor of the cofactor. */
export function pointOfOrder(order: bigint, random: () => number): TwistPoint {
  for (;;) {
    const point = multiple(twistPoint(random), (COFACTOR * FIELD_ORDER) / order);
    if (!point.is0()) return point;
  }
}

const withB = (proof: Uint8Array, b: TwistPoint): Uint8Array => {
  const bytes = Uint8Array.from(proof);
  bytes.set(encodeG2(b.toAffine() as G2Point), 32);
  return bytes;
};

const flip = (proof: Uint8Array, at: number, mask: number): Uint8Array =>
  proof.with(at, (proof[at] ?? 0) ^ mask);

/** A coordinate x as x + p, where there is room for it beside the flags. */
function aliased(proof: Uint8Array, at: number, hasFlags: boolean): Uint8Array | undefined {
  const bytes = proof.slice(at, at + 32);
  const flags = hasFlags ? (bytes[0] ?? 0) & 0xc0 : 0;
  bytes[0] = (bytes[0] ?? 0) ^ flags;
  const sum = bytesToNumberBE(bytes) + P;
  if (sum >= 2n ** (hasFlags ? 254n : 256n)) return undefined;
  const replaced = numberToBytesBE(sum, 32);
  replaced[0] = (replaced[0] ?? 0) | flags;
  return concatBytes(proof.subarray(0, at), replaced, proof.subarray(at + 32));
}

/** Mutants of a job, as many as asked for, kinds in turn. `others` are valid jobs to take points from. */
export function* mutants(
  job: VerifyJob,
  others: readonly VerifyJob[],
  random: () => number,
): Generator<Mutant> {
  const { proof } = job;
  const publicSignals = bytesToSignals(job.publicSignals);
  const points = decodeProofPoints(proof);
  invariant(points !== undefined, "a valid job is spoiled");
  const below = (n: number): number => Math.floor(random() * n);
  const bytesOf = (change: Uint8Array): VerifyJob => ({ ...job, proof: change });
  const signals = (change: readonly bigint[]): VerifyJob => ({
    ...job,
    publicSignals: signalsToBytes(change),
  });
  const b = G2.Point.fromAffine(points.b);
  const smallPoints = SMALL_ORDERS.map((order) => pointOfOrder(order, random));
  let position = 0;

  for (;;) {
    // Every byte position comes often; the flag bits only in the cases below.
    for (let i = 0; i < 8; i++) {
      const at = position++ % PROOF_BYTES;
      const mask = at % 32 === 0 && at !== 64 ? 1 + below(63) : 1 + below(255);
      yield { label: `byte ${at} ^ ${mask}`, job: bytesOf(flip(proof, at, mask)) };
    }
    for (const at of [0, 32, 96]) {
      yield { label: `negated point at ${at}`, job: bytesOf(flip(proof, at, 0x40)) };
      yield { label: `infinity at ${at}`, job: bytesOf(infinity(proof, at)) };
      yield { label: `uncompressed flag at ${at}`, job: bytesOf(proof.with(at, (proof[at] ?? 0) & 0x3f)) };
    }
    for (const [at, hasFlags] of [
      [0, true],
      [32, true],
      [64, false],
      [96, true],
    ] as const) {
      const alias = aliased(proof, at, hasFlags);
      if (alias !== undefined) yield { label: `x + p at ${at}`, job: bytesOf(alias) };
    }
    const [a, middle, c] = [proof.subarray(0, 32), proof.subarray(32, 96), proof.subarray(96)];
    yield { label: "A and C swapped", job: bytesOf(concatBytes(c, middle, a)) };
    yield { label: "A twice", job: bytesOf(concatBytes(a, middle, a)) };
    const halves = [Uint8Array.from(middle.subarray(32)), Uint8Array.from(middle.subarray(0, 32))] as const;
    halves[0][0] = ((halves[0][0] ?? 0) & 0x3f) | 0x80;
    halves[1][0] = (halves[1][0] ?? 0) & 0x3f;
    yield { label: "B's coordinate turned round", job: bytesOf(concatBytes(a, ...halves, c)) };
    const other = others[below(others.length)];
    if (other !== undefined) {
      const from = below(3);
      const mixed = Uint8Array.from(proof);
      const [start, end] = (
        [
          [0, 32],
          [32, 96],
          [96, 128],
        ] as const
      )[from] ?? [0, 32];
      mixed.set(other.proof.subarray(start, end), start);
      yield { label: `point ${from} of another proof`, job: bytesOf(mixed) };
      yield {
        label: "another statement",
        job: signals(bytesToSignals(other.publicSignals).map((it) => (it + 1n) % FIELD_ORDER)),
      };
    }
    const k = below(publicSignals.length);
    const signal = publicSignals[k] ?? 0n;
    yield { label: `signal ${k} + r`, job: signals(publicSignals.with(k, signal + FIELD_ORDER)) };
    yield { label: `signal ${k} + 4r`, job: signals(publicSignals.with(k, signal + 4n * FIELD_ORDER)) };
    yield { label: `signal ${k} + 1`, job: signals(publicSignals.with(k, (signal + 1n) % FIELD_ORDER)) };
    yield { label: "a signal less", job: signals(publicSignals.slice(1)) };
    yield { label: "a signal more", job: signals([...publicSignals, 0n]) };
    yield { label: "a byte less", job: { ...job, publicSignals: job.publicSignals.subarray(1) } };
    yield {
      label: "B + a point of small order",
      job: bytesOf(withB(proof, b.add(smallPoints[below(2)] ?? b))),
    };
    const alone = multiple(smallPoints[below(2)] ?? b, BigInt(1 + below(10_000)));
    yield { label: "B of small order", job: bytesOf(withB(proof, alone)) };
    yield { label: "B anywhere on the twist", job: bytesOf(withB(proof, twistPoint(random))) };
    const cofactored = multiple(twistPoint(random), FIELD_ORDER);
    yield { label: "B + a point of the cofactor's order", job: bytesOf(withB(proof, b.add(cofactored))) };
    const anyG1 = encodeG1(G1.Point.BASE.multiplyUnsafe(BigInt(2 + below(2 ** 40))).toAffine());
    yield { label: "any A", job: bytesOf(concatBytes(anyG1, middle, c)) };
    yield { label: "any C", job: bytesOf(concatBytes(a, middle, anyG1)) };
    const garbage = Uint8Array.from({ length: PROOF_BYTES }, () => below(256));
    yield { label: "garbage", job: bytesOf(garbage) };
    yield { label: "garbage of another length", job: bytesOf(garbage.subarray(below(128))) };
  }
}

function infinity(proof: Uint8Array, at: number): Uint8Array {
  const bytes = Uint8Array.from(proof);
  bytes.fill(0, at, at + (at === 32 ? 64 : 32));
  bytes[at] = 0x40;
  return bytes;
}

/** The first `count` mutants of several jobs in turn. */
export function someMutants(jobs: readonly VerifyJob[], random: () => number, count: number): Mutant[] {
  const sources = jobs.map((job) =>
    mutants(
      job,
      jobs.filter((it) => it !== job),
      random,
    ),
  );
  return Array.from({ length: count }, (_, i) => {
    const next = sources[i % sources.length]?.next();
    invariant(next?.done === false, "mutants never end");
    return next.value;
  });
}
