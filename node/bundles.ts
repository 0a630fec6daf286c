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

/** Of a pooled submission. */
type Heard = {
  isPassedOn: boolean;
  /** The peers that sent it; mostly it is one. */
  senders: string | Set<string> | undefined;
};

export function createBundles({ mempool, network, admit }: BundlesComponents) {
  // By the pool's own copy: what has left the pool is not accepted again, so it needs no memory here.
  const heard = new WeakMap<Submission, Heard>();
  const heardOf = (pooled: Submission): Heard => {
    const known = heard.get(pooled);
    if (known !== undefined) return known;
    const made: Heard = { isPassedOn: false, senders: undefined };
    heard.set(pooled, made);
    return made;
  };

  const publish = (submissions: readonly Submission[]): void => {
    for (const it of submissions) heardOf(it).isPassedOn = true;
    network.publish({ topic: "submissions", value: submissions });
  };
  /** An honest peer sends each submission once too, so it never does this, whatever others made it hear first. */
  const isRepeated = (pooled: Heard, from: string): boolean => {
    const { senders } = pooled;
    if (senders === from) return true;
    if (senders === undefined) pooled.senders = from;
    else if (typeof senders === "string") pooled.senders = new Set([senders, from]);
    else if (senders.has(from)) return true;
    else {
      if (senders.size >= SENDERS_MAX) senders.delete(senders.values().next().value ?? "");
      senders.add(from);
    }
    return false;
  };

  return {
    /** Gossips what was found valid here, unless it was already; pooled before. */
    publish(submission: Submission): void {
      if (!heardOf(submission).isPassedOn) publish([submission]);
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
          const ofPooled = heardOf(pooled);
          if (isRepeated(ofPooled, from)) useless += 1;
          if (!ofPooled.isPassedOn) fresh.push(pooled);
        }
      }
      if (fresh.length === bundle.length) {
        for (const it of fresh) heardOf(it).isPassedOn = true;
        return { kind: "accept", useless };
      }
      if (fresh.length > 0) publish(fresh);
      if (failures.length > 0) throw failures[0];
      if (rejected !== undefined) return { kind: "reject", fault: rejected, useless };
      return { kind: "ignore", fault: ignored ?? fault("submission/nullifier-spent"), useless };
    },
  };
}
