/**
 * Bundles of submissions, as they are gossiped: the verdict on one, and what of it is passed on. Made by node.ts,
 * which gives it what peers gossip; admission tells it what is to be published.
 *
 * Two rules keep others from being harmed, and honest nodes from being blamed for what others do:
 * - A node vouches for all of a bundle. One with a member that was not found valid here (late, no place, a slot
 *   that is filled) is not passed on as it is: the next node might look closer, and charge this one.
 * - A node passes on each submission once, in whatever bundle. Who packs old ones around a new one, or splits and
 *   mixes what it heard, makes nobody repeat them.
 * What is new in a bundle that does not travel whole is published in one of this node's own.
 */
import { type Fault, fault } from "../consensus/primitives/faults.ts";
import { type Submission, submissionName } from "../consensus/types/submission.ts";
import type { Mempool } from "./mempool.ts";
import type { Judgement } from "./network/gossip.ts";
import type { GossipMessage } from "./network/topics.ts";
import type { Outcome } from "./submission-door.ts";

/** Who sent a pooled submission: so many peers are remembered, the oldest is forgotten. */
const SENDERS_MAX = 64;

export type BundlesComponents = {
  readonly mempool: Pick<Mempool, "submissionByName">;
  readonly network: { publish(message: GossipMessage): void };
  /** The one door; what it rejects it has charged already. */
  admit(bundle: readonly Submission[], from: string): Promise<readonly (Outcome | undefined)[]>;
};
export type Bundles = ReturnType<typeof createBundles>;

export function createBundles({ mempool, network, admit }: BundlesComponents) {
  // By the pool's own copy: what has left the pool is not accepted again, so it needs no memory here.
  const passedOn = new WeakSet<Submission>();
  /** Mostly it is one. */
  const senders = new WeakMap<Submission, string | Set<string>>();

  const publish = (submissions: readonly Submission[]): void => {
    for (const it of submissions) passedOn.add(it);
    network.publish({ topic: "submissions", value: submissions });
  };
  /** An honest peer sends each submission once too, so it never does this, whatever others made it hear first. */
  const isRepeated = (pooled: Submission, from: string): boolean => {
    const known = senders.get(pooled);
    if (known === undefined) {
      senders.set(pooled, from);
      return false;
    }
    if (known === from) return true;
    const peers = typeof known === "string" ? new Set([known]) : known;
    if (peers.has(from)) return true;
    if (peers.size >= SENDERS_MAX) peers.delete(peers.values().next().value ?? "");
    senders.set(pooled, peers.add(from));
    return false;
  };

  return {
    /** Gossips what was found valid here, unless it was already; pooled before. */
    publish(submission: Submission): void {
      if (!passedOn.has(submission)) publish([submission]);
    },
    /**
     * Rejected if one of it is, accepted if all of it is valid and new to those this node speaks to, ignored
     * otherwise. What was ignored and what its sender repeats is of no use. Rejects if a member can't be judged.
     */
    async judge(bundle: readonly Submission[], from: string): Promise<Judgement> {
      const outcomes = await admit(bundle, from);
      const fresh: Submission[] = [];
      const failures: unknown[] = [];
      let rejected: Fault | undefined;
      let ignored: Fault | undefined;
      let useless = 0;
      for (const [at, submission] of bundle.entries()) {
        const outcome = outcomes[at];
        if (outcome?.kind === "reject") {
          rejected ??= outcome.fault;
        } else if (outcome?.kind === "ignore") {
          ignored ??= outcome.fault;
          useless += 1;
        } else if (outcome?.kind !== "accept") {
          failures.push(outcome?.error);
        } else {
          const pooled = mempool.submissionByName(submissionName(submission));
          if (pooled === undefined) continue; // in a block meanwhile
          if (isRepeated(pooled, from)) useless += 1;
          if (!passedOn.has(pooled)) fresh.push(pooled);
        }
      }
      if (fresh.length === bundle.length) {
        for (const it of fresh) passedOn.add(it);
        return { kind: "accept", useless };
      }
      if (fresh.length > 0) publish(fresh);
      if (failures.length > 0) throw failures[0];
      if (rejected !== undefined) return { kind: "reject", fault: rejected, useless };
      return { kind: "ignore", fault: ignored ?? fault("submission/nullifier-spent"), useless };
    },
  };
}
