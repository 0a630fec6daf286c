/**
 * A verifier's thread: the batch verifier, or, on machines without fused multiply-add, the slow one that
 * gives the same verdicts. Started by verify.ts.
 */

import { createBatchVerifier } from "./batch/verifier.ts";
import { createCarefulVerifier } from "./careful.ts";
import { PROOF_BYTES } from "./proof.ts";
import { createReferenceVerifier } from "./reference.ts";
import { serveThread } from "./thread.ts";
import type { VerificationKey } from "./verification-key.ts";

export type VerifyRequest = {
  readonly keys: readonly VerificationKey[];
  /** Which key a job has. */
  readonly keyOf: readonly number[];
  readonly signals: readonly (readonly bigint[])[];
  /** 128 bytes a job. */
  readonly proofs: Uint8Array;
};

/** 1 a job that holds, else 0. */
export type VerifyReply = Uint8Array;

const batch = await createBatchVerifier();
const verifier =
  batch === undefined
    ? await createReferenceVerifier()
    : createCarefulVerifier({
        batch,
        createReference: createReferenceVerifier,
        onFailure: (error) =>
          process.emitWarning(`the batch verifier failed, and a slower one answers: ${String(error)}`),
      });

serveThread<VerifyRequest, VerifyReply>(async ({ keys, keyOf, signals, proofs }) => {
  const jobs = signals.flatMap((publicSignals, i) => {
    const vk = keys[keyOf[i] ?? 0];
    const proof = proofs.subarray(i * PROOF_BYTES, (i + 1) * PROOF_BYTES);
    return vk === undefined ? [] : [{ vk, publicSignals, proof }];
  });
  return Uint8Array.from(await verifier.verify(jobs), Number);
});
