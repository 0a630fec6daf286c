/**
 * What a pod tells its owner: the life of each proof in the words that RPC, CLI and explorer share, and
 * notices about everything else. Plain data without private inputs, so that it may be printed or logged.
 */
import type { ProofStatus } from "../rpc/methods.ts";

export type ProofStep =
  | "drawn"
  | "proving"
  | "proved"
  | "pooled"
  | "included"
  | "final"
  | "scored"
  | "rewarded"
  | "skipped"
  | "rejected"
  | "expired";

export type ProofEvent = {
  readonly stage: ProofStep;
  readonly task: string;
  readonly epoch: number;
  readonly slot: number;
  readonly batchIndex: number;
  /** Of proving. */
  readonly percent?: number;
  /** Proving took so long. */
  readonly elapsedMs?: number;
  /** From `pooled` on. */
  readonly id?: string;
  readonly height?: string;
  readonly reward?: NonNullable<ProofStatus["reward"]>;
  /** Why it was skipped, rejected or expired: a fault code and a sentence. */
  readonly code?: string;
  readonly reason?: string;
};

export type PodNotice = {
  readonly notice: "connected" | "funded" | "registered" | "committed" | "enrolled" | "retry" | "task-over";
  readonly text: string;
  readonly code?: string;
};

export type PodEvent = ProofEvent | PodNotice;

/** One line for a person. */
export function describeEvent(event: PodEvent): string {
  if ("notice" in event) return event.text;
  const { stage, epoch, slot, batchIndex, percent, elapsedMs, height, reward, reason, code } = event;
  const parts = [`epoch ${epoch} slot ${slot} batch ${batchIndex}: ${stage}`];
  if (percent !== undefined && stage === "proving") parts.push(`${percent} %`);
  if (elapsedMs !== undefined) parts.push(`in ${(elapsedMs / 1000).toFixed(1)} s`);
  if (height !== undefined) parts.push(`in block ${height}`);
  if (reward !== undefined) parts.push(`— ${reward.text}`);
  if (reason !== undefined) parts.push(`— ${reason}`);
  else if (code !== undefined) parts.push(`[${code}]`);
  return parts.join(" ");
}
