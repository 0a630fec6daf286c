/**
 * The life of a proof as a node can tell it: pooled → included → final → scored → rewarded, or rejected,
 * or expired. Read from the mempool, the tree of blocks and the store; only refusals and expiries are
 * remembered here, the newest of them. Behind proof_get and proof_wait.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { FAULTS, type Fault, FaultError, fault } from "../consensus/primitives/faults.ts";
import type { ProofStage, ProofStatus } from "../rpc/methods.ts";
import type { Chain } from "./chain.ts";
import type { Mempool } from "./mempool.ts";
import type { ProofRecord, RewardRecord } from "./receipts.ts";
import type { Store } from "./store/store.ts";

const REMEMBERED_MAX = 4_096;

/** Newest entries of a bounded map. */
function createMemory<T>(): Map<string, T> & { keep(key: string, value: T): void } {
  const map = new Map<string, T>();
  return Object.assign(map, {
    keep(key: string, value: T): void {
      if (map.size >= REMEMBERED_MAX) map.delete(map.keys().next().value ?? "");
      map.set(key, value);
    },
  });
}

export function faultInfo(it: Fault): NonNullable<ProofStatus["fault"]> {
  const [, retryable, reason, hint] = FAULTS[it.code];
  return { code: it.code, reason, retryable, hint };
}

const ORDER: readonly ProofStage[] = ["pooled", "included", "final", "scored", "rewarded"];

/** Whether a proof needs no more waiting: the stage asked for is reached, or none will follow. */
export function isReached(stage: ProofStage, until: ProofStage): boolean {
  if (stage === "rejected" || stage === "expired") return true;
  // "scored" is the end of a proof that earned nothing.
  return ORDER.indexOf(stage) >= Math.min(ORDER.indexOf(until), ORDER.indexOf("scored"));
}

export type ProofLife = ReturnType<typeof createProofLife>;

export function createProofLife(components: {
  readonly chain: Pick<Chain, "pending">;
  readonly mempool: Pick<Mempool, "submission">;
  readonly store: Pick<Store, "place" | "record" | "hashAt" | "lowest">;
}) {
  const { chain, mempool, store } = components;
  const refused = createMemory<{ fault: Fault; record: ProofRecord }>();
  const expired = createMemory<ProofRecord>();

  const settled = (id: string, place: { height: number }, record: ProofRecord, hash: string): ProofStatus => {
    const base = { id, ...record, height: String(place.height), blockHash: hash };
    const reward = store.record("rewards", id) as RewardRecord | undefined;
    if (reward === undefined) return { ...base, stage: "final" };
    return { ...base, stage: reward.amount === "0" ? "scored" : "rewarded", reward };
  };

  return {
    onRejected: (id: string, it: Fault, record: ProofRecord): void => refused.keep(id, { fault: it, record }),
    onExpired: (id: string, record: ProofRecord): void => expired.keep(id, record),
    /** Throws rpc/not-found. */
    status(id: string, bytes: Uint8Array): ProofStatus {
      const place = store.place("proof", bytes);
      const record = store.record("proofs", id) as ProofRecord | undefined;
      if (place !== undefined && record !== undefined)
        return settled(id, place, record, toHex(store.hashAt(place.height) ?? bytes));
      for (const { block, receipt, height, hash } of chain.pending()) {
        const index = receipt.submissions.findIndex((it) => toHex(it) === id);
        const it = block?.body.submissions[index];
        if (it === undefined) continue;
        const about = {
          task: toHex(it.task),
          epoch: String(it.epoch),
          slot: it.slot,
          podId: toHex(it.podId),
        };
        return { id, stage: "included", ...about, height: String(height), blockHash: toHex(hash) };
      }
      const pooled = mempool.submission(bytes);
      if (pooled !== undefined) {
        const { task, epoch, slot, podId } = pooled;
        return { id, stage: "pooled", task: toHex(task), epoch: String(epoch), slot, podId: toHex(podId) };
      }
      const late = expired.get(id);
      if (late !== undefined)
        return { id, stage: "expired", ...late, fault: faultInfo(fault("submission/window-closed")) };
      const no = refused.get(id);
      if (no !== undefined) return { id, stage: "rejected", ...no.record, fault: faultInfo(no.fault) };
      const lowestHeight = store.lowest();
      // It may have been included below that height, which this node can't tell.
      throw new FaultError("rpc/not-found", { id, ...(lowestHeight > 1 ? { lowestHeight } : {}) });
    },
  };
}
