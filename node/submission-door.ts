/**
 * The door's part for submissions. Those that come together are judged together: one pass over the hasher, one over
 * the signatures, one call of the proofs' verifier, and each has its own verdict. What a peer gossips comes as a
 * bundle; what comes one by one, by RPC or from a neighbour's pool, is gathered for a turn of the event loop. Made by
 * admission.ts.
 */
import { nameOf, toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault, type Verdict } from "../consensus/primitives/faults.ts";
import { checkSubmission } from "../consensus/state/apply-submission.ts";
import { type SubmissionChecks, submissionChecks } from "../consensus/state/checks.ts";
import type { Context } from "../consensus/state/context.ts";
import type { State } from "../consensus/state/state.ts";
import { hashSubmissions, type Submission, submissionName, taskName } from "../consensus/types/submission.ts";
import { createBuckets } from "./buckets.ts";
import type { Mempool } from "./mempool.ts";
import { createPacer } from "./turns.ts";
import type { Verification } from "./verification.ts";

/**
 * Proofs under verification at once; more are told to come back. What comes by RPC and what peers send have
 * places of their own: peers do not send again what finds none.
 */
const IN_HAND_MAX = 256;
const IN_HAND_OF_PEERS_MAX = 384;
const IN_HAND_OF_PEER_MAX = 128;
/** Of one slot, all signed by its pod: an honest one sends one. */
const IN_HAND_OF_SLOT_MAX = 4;
/** Judged together at most, as many as a bundle holds. */
const TOGETHER_MAX = 32;
/** What the submissions that come together may take of this thread before votes and blocks have their turn. */
const TURN_MS = 1.5;
/** False proofs that a pod has signed; at this many it waits, and one a second is forgotten. */
const FALSE_OF_POD_MAX = 8;
const FALSE_FORGOTTEN_PER_SECOND = 1;

export type SubmissionDoorComponents = {
  /** The newest state, and what a block on it would be. */
  now(): { readonly state: State; readonly context: Context };
  readonly chain: Uint8Array;
  readonly mempool: Pick<Mempool, "conflict" | "addSubmission" | "submissionByName">;
  readonly verification: Pick<Verification, "verifySigners" | "verifyProofs">;
  /** Gossips a submission with others of this moment. */
  readonly bundles: { publish(submission: Submission): void };
  /** A submission whose signature holds and whose proof does not: remembered for whoever asks after it. */
  onRejected(submission: Submission, fault: Fault): void;
  onPooled(): void;
};
export type SubmissionDoor = ReturnType<typeof createSubmissionDoor>;

/** A verdict, or why there is none: it may be asked again. */
export type Outcome = Verdict | { readonly kind: "failed"; readonly error: unknown };
/** One that wants a verdict. */
export type Asked = {
  readonly submission: Submission;
  /** The peer that sent it. */
  readonly from: string | undefined;
  /** Set once, before `done` is called. */
  outcome: Outcome | undefined;
  readonly done: (outcome: Outcome) => void;
};

type InHand = {
  readonly asked: Asked;
  readonly pod: string;
  readonly slot: string;
  readonly checks: SubmissionChecks;
  /** Others that asked for the same while it was in hand. */
  waiting: Asked[] | undefined;
};

const ACCEPT: Verdict = { kind: "accept" };
const reject = (it: Fault): Verdict => ({ kind: "reject", fault: it });
const ignore = (it: Fault): Verdict => ({ kind: "ignore", fault: it });

function tell(asked: Asked, outcome: Outcome): void {
  if (asked.outcome !== undefined) return;
  asked.outcome = outcome;
  asked.done(outcome);
}

export function createSubmissionDoor(components: SubmissionDoorComponents) {
  const { now, chain, mempool, verification, bundles, onRejected, onPooled } = components;
  /** By the root of all bytes. */
  const inHand = new Map<string, InHand>();
  /** How many of them are each peer's, and each slot's. */
  const ofPeers = createCounts();
  const ofSlots = createCounts();
  const falseProofs = createBuckets({ leakPerSecond: FALSE_FORGOTTEN_PER_SECOND });
  const pace = createPacer(TURN_MS);

  const isFull = (from: string | undefined): boolean =>
    from === undefined
      ? ofPeers.of("") >= IN_HAND_MAX
      : ofPeers.all() - ofPeers.of("") >= IN_HAND_OF_PEERS_MAX || ofPeers.of(from) >= IN_HAND_OF_PEER_MAX;

  /** Whether another one has the answer, or will: pooled, in hand, or no place for it. */
  const isSettled = (asked: Asked, name: string): boolean => {
    const running = inHand.get(name);
    if (running?.waiting !== undefined) running.waiting.push(asked);
    else if (running !== undefined) running.waiting = [asked];
    else if (mempool.submissionByName(name) !== undefined) tell(asked, ACCEPT);
    else if (isFull(asked.from)) tell(asked, ignore(fault("rpc/busy", { inHand: inHand.size })));
    else return false;
    return true;
  };

  /** Everything cheap, of each. Answers those that fail. */
  const ask = (all: readonly Asked[]): InHand[] => {
    const { state, context } = now();
    const open: InHand[] = [];
    for (const asked of all) {
      const { submission } = asked;
      if (isSettled(asked, submissionName(submission))) continue;
      const accepted = checkSubmission(state, submission, context);
      const refused = "code" in accepted ? accepted : mempool.conflict(submission);
      // Peers may be a block ahead or behind: what depends on the moment is nobody's fault.
      if (refused !== undefined || "code" in accepted) {
        if (refused !== undefined) tell(asked, ignore(refused));
        continue;
      }
      const slot = `${taskName(submission)} ${submission.slot}`;
      const checks = submissionChecks(chain, submission, accepted);
      open.push({ asked, pod: nameOf(submission.podId), slot, checks, waiting: undefined });
    }
    return open;
  };

  /** Why one whose signature holds has no place now. */
  const refuse = ({ pod, slot, asked }: InHand): Fault | undefined => {
    if (falseProofs.level(pod) >= FALSE_OF_POD_MAX)
      return fault("rpc/busy", { ofPod: toHex(asked.submission.podId) });
    const ofSlot = ofSlots.of(slot);
    return ofSlot >= IN_HAND_OF_SLOT_MAX ? fault("rpc/busy", { ofSlot }) : undefined;
  };

  /** The signature first: nobody but the pod itself can use up what is the pod's. Takes the places of what is left. */
  const take = (open: readonly InHand[]): InHand[] => {
    const taken: InHand[] = [];
    const unsigned = verification.verifySigners(open.map(({ checks }) => checks));
    for (const [i, it] of open.entries()) {
      const wrong = unsigned[i];
      if (wrong !== undefined) {
        tell(it.asked, reject(wrong));
        continue;
      }
      // Those before it may be the same, or have taken the last place.
      if (isSettled(it.asked, it.checks.name)) continue;
      const busy = refuse(it);
      if (busy !== undefined) {
        tell(it.asked, ignore(busy));
        continue;
      }
      inHand.set(it.checks.name, it);
      ofPeers.add(it.asked.from ?? "", 1);
      ofSlots.add(it.slot, 1);
      taken.push(it);
    }
    return taken;
  };

  /** Gives its places back and tells everybody who asked. */
  const settle = (one: InHand, outcome: Outcome): void => {
    inHand.delete(one.checks.name);
    ofPeers.add(one.asked.from ?? "", -1);
    ofSlots.add(one.slot, -1);
    tell(one.asked, outcome);
    for (const other of one.waiting ?? []) tell(other, outcome);
  };

  /** Pools it, unless its proof is false or it came too late. */
  const conclude = ({ asked: { submission, from }, pod }: InHand, wrong: Fault | undefined): Verdict => {
    if (wrong !== undefined) {
      falseProofs.add(pod, 1);
      onRejected(submission, wrong);
      return reject(wrong);
    }
    const late = mempool.conflict(submission) ?? mempool.addSubmission(submission);
    if (late !== undefined) return ignore(late);
    // What came from a peer is gossiped on by the verdict on its bundle.
    if (from === undefined) bundles.publish(submission);
    return ACCEPT;
  };

  const judge = async (all: readonly Asked[]): Promise<void> => {
    await pace();
    hashSubmissions(all.map(({ submission }) => submission));
    const taken = take(ask(all));
    if (taken.length === 0) return;
    try {
      const answers = await verification.verifyProofs(taken.map(({ checks }) => checks));
      let isPooled = false;
      for (const [i, one] of taken.entries()) {
        const verdict = conclude(one, answers[i]);
        isPooled ||= verdict.kind === "accept";
        settle(one, verdict);
      }
      if (isPooled) onPooled();
    } catch (error) {
      for (const one of taken)
        if (inHand.get(one.checks.name) === one) settle(one, { kind: "failed", error });
    }
  };

  let gathered: Asked[] = [];
  const judgeGathered = (): void => {
    const all = gathered;
    gathered = [];
    for (let i = 0; i < all.length; i += TOGETHER_MAX) void judgeAll(all.slice(i, i + TOGETHER_MAX));
  };
  /** What goes wrong here is every one's failure, and nobody waits for ever. */
  const judgeAll = async (all: readonly Asked[]): Promise<void> => {
    try {
      await judge(all);
    } catch (error) {
      for (const asked of all) tell(asked, { kind: "failed", error });
    }
  };

  return {
    /** Judges those together: 32 at most. */
    judge: judgeAll,
    /** Judges it with others of this turn. */
    gather(asked: Asked): void {
      if (gathered.length === 0) setImmediate(judgeGathered);
      gathered.push(asked);
    },
    /** One that has come but has no verdict yet: a block may name it before this node has verified it. */
    inHand: (root: Uint8Array): Submission | undefined => inHand.get(nameOf(root))?.asked.submission,
  };
}

/** How many of each key are under way; a key with none takes no memory. */
function createCounts() {
  const counts = new Map<string, number>();
  const of = (key: string): number => counts.get(key) ?? 0;
  let all = 0;
  return {
    of,
    all: (): number => all,
    add(key: string, count: 1 | -1): void {
      const next = of(key) + count;
      all += count;
      if (next > 0) counts.set(key, next);
      else counts.delete(key);
    },
  };
}
