/**
 * A Groth16 proof on the wire: 128 bytes, A (32) ‖ B (64) ‖ C (32), compressed as points.ts says. Called by
 * provers (encode), and by verifiers before anything else (decode); browser safe.
 *
 * The encoding is strict, but it is not an identity: anyone can turn a proof into another valid one of the
 * same statement, (−A, −B, C) for one. Nullifiers identify, bytes never do.
 */

import type { Groth16Proof } from "snarkjs";
import { FaultError, invariant } from "../consensus/primitives/faults.ts";
import {
  decodeG1,
  decodeG2,
  encodeG1,
  encodeG2,
  type G1Point,
  type G2Point,
  g1Valid,
  isG1Shaped,
  isG2Shaped,
} from "./points.ts";

export const PROOF_BYTES = 128;

export type ProofPoints = { readonly a: G1Point; readonly b: G2Point; readonly c: G1Point };

/** What snarkjs' prover returned, as bytes. */
export function encodeProof(proof: Groth16Proof): Uint8Array {
  const finite = proof.pi_a[2] === "1" && proof.pi_c[2] === "1" && proof.pi_b[2]?.join() === "1,0";
  invariant(finite, "a proof's points are finite");
  const g1 = ([x = "", y = ""]: readonly string[]): G1Point => ({ x: BigInt(x), y: BigInt(y) });
  const pair = ([c0 = "", c1 = ""]: readonly string[] = []) => ({ c0: BigInt(c0), c1: BigInt(c1) });
  const [x, y] = proof.pi_b;
  return encodeProofPoints({ a: g1(proof.pi_a), b: { x: pair(x), y: pair(y) }, c: g1(proof.pi_c) });
}

/** The inverse of {@link decodeProofPoints}. */
export function encodeProofPoints({ a, b, c }: ProofPoints): Uint8Array {
  invariant(g1Valid(a) && g1Valid(c), "a proof's points are on the curve");
  const bytes = new Uint8Array(PROOF_BYTES);
  bytes.set(encodeG1(a), 0);
  bytes.set(encodeG2(b), 32);
  bytes.set(encodeG1(c), 96);
  return bytes;
}

/** Whether bytes could be a proof, as far as a glance tells: their number, flags, coordinates below p. */
export function isProofShaped(bytes: Uint8Array): boolean {
  return (
    bytes.length === PROOF_BYTES &&
    isG1Shaped(bytes.subarray(0, 32)) &&
    isG2Shaped(bytes.subarray(32, 96)) &&
    isG1Shaped(bytes.subarray(96))
  );
}

/** The points, or `undefined` for bytes that are not the one encoding of three points of the groups. */
export function decodeProofPoints(bytes: Uint8Array): ProofPoints | undefined {
  if (bytes.length !== PROOF_BYTES) return undefined;
  const a = decodeG1(bytes.subarray(0, 32));
  const c = a && decodeG1(bytes.subarray(96, 128));
  const b = c && decodeG2(bytes.subarray(32, 96)); // the dearest check last
  return a && b && c && { a, b, c };
}

/** Points in snarkjs' form. */
export function snarkjsProof({ a, b, c }: ProofPoints): Groth16Proof {
  return {
    protocol: "groth16",
    curve: "bn128",
    pi_a: [a.x.toString(), a.y.toString(), "1"],
    pi_b: [
      [b.x.c0.toString(), b.x.c1.toString()],
      [b.y.c0.toString(), b.y.c1.toString()],
      ["1", "0"],
    ],
    pi_c: [c.x.toString(), c.y.toString(), "1"],
  };
}

/** {@link decodeProofPoints} in snarkjs' form. @throws `submission/proof-malformed` */
export function decodeProof(bytes: Uint8Array): Groth16Proof {
  const points = decodeProofPoints(bytes);
  if (points === undefined) throw new FaultError("submission/proof-malformed", { bytes: bytes.length });
  return snarkjsProof(points);
}
