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
import { type ProofRecord, type RoundRewards, recordOf, rewardOf, roundKey } from "./receipts.ts";
import type { ProofPlace } from "./store/ops.ts";
import type { Store } from "./store/store.ts";

const REMEMBERED_MAX = 4_096;
/** Rounds whose rewards are kept as read: pods ask for all proofs of a round at once. */
const ROUNDS_READ_MAX = 32;

/** Newest entries of a bounded map. */
function createMemory<T>(max = REMEMBERED_MAX): Map<string, T> & { keep(key: string, value: T): void } {
  const map = new Map<string, T>();
  return Object.assign(map, {
    keep(key: string, value: T): void {
      if (map.size >= max) map.delete(map.keys().next().value ?? "");
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
  readonly store: Pick<Store, "proof" | "record" | "hashAt" | "lowest">;
}) {
  const { chain, mempool, store } = components;
  const refused = createMemory<{ fault: Fault; record: ProofRecord }>();
  const expired = createMemory<ProofRecord>();

  /** What is written of a round never changes. */
  const rounds = createMemory<RoundRewards>(ROUNDS_READ_MAX);
  const rewardsAt = (key: string): RoundRewards | undefined => {
    const known = rounds.get(key);
    if (known !== undefined) return known;
    const read = store.record("rewards", key) as RoundRewards | undefined;
    if (read !== undefined) rounds.keep(key, read);
    return read;
  };

  const settled = (id: string, at: ProofPlace, hash: string): ProofStatus => {
    const record = recordOf(at);
    const base = { id, ...record, height: String(at.place.height), blockHash: hash };
    const round = rewardsAt(roundKey(record.task, at.epoch));
    const reward = round === undefined ? undefined : rewardOf(round, id);
    if (reward === undefined) return { ...base, stage: "final" };
    return { ...base, stage: reward.amount === "0" ? "scored" : "rewarded", reward };
  };

  return {
    onRejected: (id: string, it: Fault, record: ProofRecord): void => refused.keep(id, { fault: it, record }),
    onExpired: (id: string, record: ProofRecord): void => expired.keep(id, record),
    /** Throws rpc/not-found. */
    status(id: string, bytes: Uint8Array): ProofStatus {
      const known = store.proof(bytes);
      if (known !== undefined) return settled(id, known, toHex(store.hashAt(known.place.height) ?? bytes));
      for (const { block, receipt, height, hash } of chain.pending()) {
        const index = receipt.submissions.findIndex((it) => toHex(it) === id);
        const it = block?.body.submissions[index];
        if (it === undefined) continue;
        return { id, stage: "included", ...recordOf(it), height: String(height), blockHash: toHex(hash) };
      }
      const pooled = mempool.submission(bytes);
      if (pooled !== undefined) return { id, stage: "pooled", ...recordOf(pooled) };
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
