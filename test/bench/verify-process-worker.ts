/**
 * A process with a batch verifier of its own and nothing else: asked by message to work for so many
 * milliseconds, it answers how fast it verified proofs. Started by verify-processes.ts.
 */
import { BATCH_MAX, createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { provedJob, rerandomized } from "../circuits/proofs.ts";

export type ProcessRate = {
  /** Proofs a millisecond, by the clock. */
  readonly perMs: number;
  /** Processor time of a proof. */
  readonly cpuMs: number;
};

const { vk, publicSignals, proof } = await provedJob("gradient-32x10");
const jobs = rerandomized(vk, proof, BATCH_MAX).map((it) => ({ vk, publicSignals, proof: it }));
const verifier = await createBatchVerifier();
invariant(verifier !== undefined, "this machine has fused multiply-add");

process.on("message", (budgetMs: number) => {
  const started = performance.now();
  const before = process.cpuUsage();
  let [proofs, takenMs] = [0, 0];
  while (takenMs < budgetMs) {
    invariant(verifier.verify(jobs).every(Boolean), "valid proofs hold");
    proofs += jobs.length;
    takenMs = performance.now() - started;
  }
  const { user, system } = process.cpuUsage(before);
  const rate: ProcessRate = { perMs: proofs / takenMs, cpuMs: (user + system) / 1000 / proofs };
  process.send?.(rate);
});
process.send?.("ready");
