/**
 * Proofs for tests and the bench: a few are made by the prover and kept in the cache folder, the others are
 * re-randomised from these. Called by the batch verifier's tests and by test/bench.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bn254 } from "@noble/curves/bn254.js";
import { bytesToHex, hexToBytes } from "@noble/curves/utils.js";
import { type BuiltCircuit, buildCircuits } from "../../circuits/build/build.ts";
import { defaultCacheDir } from "../../circuits/build/cache.ts";
import { gradientWitness } from "../../circuits/gradient/witness.ts";
import { encodeG1, encodeG2 } from "../../circuits/points.ts";
import { decodeProofPoints, PROOF_BYTES, type ProofPoints } from "../../circuits/proof.ts";
import { createProver } from "../../circuits/prove/prover.ts";
import { bytesToSignals, signalsToBytes } from "../../circuits/signals.ts";
import { pointsOfKey, type VerificationKey, vkHash } from "../../circuits/verification-key.ts";
import type { VerifyJob } from "../../circuits/verify.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { shapeOf } from "../../consensus/work/gradient.ts";
import { randomJob } from "./witnesses.ts";

const { G1, G2 } = bn254;
const { Fr } = bn254.fields;

type G1Noble = InstanceType<typeof G1.Point>;
type G2Noble = InstanceType<typeof G2.Point>;

export function encodePoints(a: G1Noble, b: G2Noble, c: G1Noble): Uint8Array {
  const bytes = new Uint8Array(PROOF_BYTES);
  bytes.set(encodeG1(a.toAffine()), 0);
  bytes.set(encodeG2(b.toAffine()), 32);
  bytes.set(encodeG1(c.toAffine()), 96);
  return bytes;
}

function pointsOf(proof: Uint8Array): ProofPoints {
  const points = decodeProofPoints(proof);
  invariant(points !== undefined, "a proof that was made decodes");
  return points;
}

/**
 * `count` different proofs of one statement from one of them: A/s, s·B + s·t·δ, C + t·A is a proof too, for
 * every s ≠ 0 and t, and looks like any other. Here s and t grow by fixed steps, for speed.
 */
export function rerandomized(vk: VerificationKey, proof: Uint8Array, count: number, seed = 1n): Uint8Array[] {
  const { a, b, c } = pointsOf(proof);
  const [A, C, B] = [G1.Point.fromAffine(a), G1.Point.fromAffine(c), G2.Point.fromAffine(b)];
  const delta = G2.Point.fromAffine(pointsOfKey(vk).delta);
  return Array.from({ length: count }, (_, i) => {
    const s = (seed + 1n) * BigInt(i + 2);
    const t = seed * 7n + BigInt(i);
    return encodePoints(
      A.multiplyUnsafe(Fr.inv(s)),
      B.add(delta.multiplyUnsafe(t)).multiplyUnsafe(s),
      C.add(A.multiplyUnsafe(t)),
    );
  });
}

/** A shape's circuit, built if it must be. */
export async function circuitFor(shapeId: string): Promise<BuiltCircuit> {
  const built = (await buildCircuits({ shapes: [shapeId] })).get(shapeId);
  invariant(built !== undefined, "the circuit was asked for");
  return built;
}

/** A job with other signals. */
export function withSignals(
  job: VerifyJob,
  change: (signals: readonly bigint[]) => readonly bigint[],
): VerifyJob {
  return { ...job, publicSignals: signalsToBytes(change(bytesToSignals(job.publicSignals))) };
}

/** A proved statement of a shape; made once a machine. */
export async function provedJob(shapeId: string, seed = 1): Promise<VerifyJob> {
  const circuit = await circuitFor(shapeId);
  const vk = circuit.verificationKey;
  const folder = join(defaultCacheDir(), "proofs");
  const path = join(folder, `${shapeId}-${vkHash(vk).slice(0, 16)}-${seed}.json`);
  // Not made yet, or not readable: then it is made again.
  const known = await readFile(path, "utf8").catch(() => undefined);
  if (known !== undefined) {
    const { proof, publicSignals } = JSON.parse(known) as { proof: string; publicSignals: string[] };
    return { vk, proof: hexToBytes(proof), publicSignals: signalsToBytes(publicSignals.map(BigInt)) };
  }
  const prover = createProver({ wasm: circuit.wasmPath, zkey: circuit.zkeyPath });
  const shape = shapeOf(shapeId);
  const made = await prover.prove(gradientWitness(shape, randomJob(shape, seed)));
  await prover.stop();
  await mkdir(folder, { recursive: true });
  const text = { proof: bytesToHex(made.proof), publicSignals: made.publicSignals.map(String) };
  await writeFile(path, JSON.stringify(text));
  return { vk, proof: made.proof, publicSignals: signalsToBytes(made.publicSignals) };
}
