/**
 * A verifier's thread: the batch verifier, or, on machines without fused multiply-add, the slow one that
 * gives the same verdicts. Started by verify.ts.
 */

import { invariant } from "../consensus/primitives/faults.ts";
import { createBatchVerifier } from "./batch/verifier.ts";
import { createCarefulVerifier } from "./careful.ts";
import { BATCH_MAX } from "./patience.ts";
import { PROOF_BYTES } from "./proof.ts";
import { createReferenceVerifier } from "./reference.ts";
import { SIGNAL_BYTES } from "./signals.ts";
import { serveThread } from "./thread.ts";
import type { VerificationKey } from "./verification-key.ts";
import type { VerifyJob } from "./verify.ts";

export type VerifyRequest = {
  /** Keys that this thread has not seen, and the numbers that they have from now on. */
  readonly keys: readonly (readonly [number: number, key: VerificationKey])[];
  /** Before that, all others are forgotten. */
  readonly afresh: boolean;
  /** The number of a job's key. */
  readonly keyOf: Uint32Array;
  /** As many a job as its key says, 32 bytes each. */
  readonly signals: Uint8Array<ArrayBuffer>;
  /** 128 bytes a job. */
  readonly proofs: Uint8Array<ArrayBuffer>;
};

/** 1 a job that holds, else 0. */
export type VerifyReply = Uint8Array;

const batch = await createBatchVerifier({ batchMax: BATCH_MAX });
const verifier =
  batch === undefined
    ? await createReferenceVerifier()
    : createCarefulVerifier({
        batch,
        createReference: createReferenceVerifier,
        onFailure: (error) =>
          process.emitWarning(`the batch verifier failed, and a slower one answers: ${String(error)}`),
      });

const known = new Map<number, VerificationKey>();

serveThread<VerifyRequest, VerifyReply>(async ({ keys, afresh, keyOf, signals, proofs }) => {
  if (afresh) known.clear();
  for (const [number, key] of keys) known.set(number, key);
  let end = 0;
  const jobs = Array.from(keyOf, (number, i): VerifyJob => {
    const vk = known.get(number);
    invariant(vk !== undefined, "a job's key came before it");
    const start = end;
    end += vk.nPublic * SIGNAL_BYTES;
    return {
      vk,
      publicSignals: signals.subarray(start, end),
      proof: proofs.subarray(i * PROOF_BYTES, (i + 1) * PROOF_BYTES),
    };
  });
  return Uint8Array.from(await verifier.verify(jobs), Number);
});
