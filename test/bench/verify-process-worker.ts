/**
 * A process with a batch verifier of its own and nothing else: asked by message to work for so many
 * milliseconds, it answers how many proofs it verified in one. What two of these reach at once is what the
 * machine gives. Started by verify.ts.
 */
import { BATCH_MAX, createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { provedJob, rerandomized } from "../circuits/proofs.ts";

const { vk, publicSignals, proof } = await provedJob("gradient-32x10");
const jobs = rerandomized(vk, proof, BATCH_MAX).map((it) => ({ vk, publicSignals, proof: it }));
const verifier = await createBatchVerifier();
invariant(verifier !== undefined, "this machine has fused multiply-add");

process.on("message", (budgetMs: number) => {
  const started = performance.now();
  let [proofs, takenMs] = [0, 0];
  while (takenMs < budgetMs) {
    invariant(verifier.verify(jobs).every(Boolean), "valid proofs hold");
    proofs += jobs.length;
    takenMs = performance.now() - started;
  }
  process.send?.(proofs / takenMs);
});
process.send?.("ready");
