/**
 * The slow verifier: noble's strict decoding, then snarkjs' check, proof by proof. Called by verify-worker.ts
 * where the batch verifier does not run, and by tests, which hold the two together. Node only; in a worker
 * thread, or with snarkjs' own threads left running.
 */

import { FIELD_ORDER } from "../consensus/work/gradient.ts";
import { decodeProofPoints, snarkjsProof } from "./proof.ts";
import { bytesToSignals, SIGNAL_BYTES } from "./signals.ts";
import { stubWebWorker } from "./thread.ts";
import { snarkjsKey } from "./verification-key.ts";
import type { VerifyJob } from "./verify.ts";

export async function createReferenceVerifier() {
  stubWebWorker();
  const [{ groth16 }, { buildBn128 }] = await Promise.all([import("snarkjs"), import("ffjavascript")]);
  // snarkjs looks here first; given an option instead, it would build the curve again for every proof.
  Object.assign(globalThis, { curve_bn128: await buildBn128(true) });

  const verifyOne = async ({ vk, publicSignals, proof }: VerifyJob): Promise<boolean> => {
    if (publicSignals.length !== vk.nPublic * SIGNAL_BYTES) return false;
    const signals = bytesToSignals(publicSignals);
    if (signals.some((signal) => signal >= FIELD_ORDER)) return false;
    const points = decodeProofPoints(proof);
    if (points === undefined) return false;
    return await groth16.verify(snarkjsKey(vk), signals.map(String), snarkjsProof(points));
  };

  return {
    verify: async (jobs: readonly VerifyJob[]): Promise<boolean[]> => {
      const verdicts: boolean[] = [];
      for (const job of jobs) verdicts.push(await verifyOne(job));
      return verdicts;
    },
  };
}
