/**
 * The one door: every transaction and submission, from RPC or from a peer, gets its verdict here; cheap
 * questions first, the proof last. What is accepted is pooled and gossiped.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault, type Verdict } from "../consensus/primitives/faults.ts";
import { placeInEpoch } from "../consensus/primitives/params.ts";
import { ValidatorIndex } from "../consensus/primitives/units.ts";
import { checkSubmission } from "../consensus/state/apply-submission.ts";
import { prepareTransaction } from "../consensus/state/apply-transaction.ts";
import {
  podEvidenceChecks,
  possessionCheck,
  submissionChecks,
  transactionCheck,
} from "../consensus/state/checks.ts";
import type { Context } from "../consensus/state/context.ts";
import { getAccount } from "../consensus/state/maps.ts";
import { type Submission, submissionContentRoot } from "../consensus/types/submission.ts";
import { addressOf, SELECTOR, type Transaction, transactionId } from "../consensus/types/transaction.ts";
import { createBuckets } from "./buckets.ts";
import type { Chain } from "./chain.ts";
import type { Mempool } from "./mempool.ts";
import type { GossipMessage } from "./network/topics.ts";
import type { RelayLimits } from "./relay-limits.ts";
import { createPacer } from "./turns.ts";
import type { Verification } from "./verification.ts";

/** Nonces further ahead than this are refused: a queue of one sender is bounded. */
const NONCE_AHEAD_MAX = 64;
/**
 * Proofs under verification at once; more are told to come back. What comes by RPC and what peers send have
 * places of their own: peers do not send again what finds none.
 */
const IN_HAND_MAX = 256;
const IN_HAND_OF_PEERS_MAX = 192;
const IN_HAND_OF_PEER_MAX = 64;
const EVIDENCE_IN_HAND_MAX = 32;
/** Of one slot, all signed by its pod: an honest one sends one. */
const IN_HAND_OF_SLOT_MAX = 4;
/** What the submissions that come together may take of this thread before votes and blocks have their turn. */
const TURN_MS = 1.5;
/** False proofs that a pod has signed; at this many it waits, and one a second is forgotten. */
const FALSE_OF_POD_MAX = 8;
const FALSE_FORGOTTEN_PER_SECOND = 1;

export type AdmissionComponents = {
  readonly chain: Pick<Chain, "params" | "chain"> & {
    tip(): Pick<ReturnType<Chain["tip"]>, "state" | "height">;
  };
  readonly mempool: Mempool;
  readonly verification: Pick<
    Verification,
    "verifyTransaction" | "verifyPossession" | "verifySigner" | "verifyProofs" | "verifyEvidence"
  >;
  readonly limits: Pick<RelayLimits, "mayRelay" | "onRejected">;
  readonly network: { publish(message: GossipMessage): void };
  /** Gossips a submission with others of this moment. */
  readonly bundles: { publish(submission: Submission): void };
  /** A submission whose signature holds and whose proof does not: remembered for whoever asks after it. */
  onRejected(submission: Submission, fault: Fault): void;
  onPooled(): void;
};
export type Admission = ReturnType<typeof createAdmission>;

const ACCEPT: Verdict = { kind: "accept" };
const reject = (it: Fault): Verdict => ({ kind: "reject", fault: it });
const ignore = (it: Fault): Verdict => ({ kind: "ignore", fault: it });

export function createAdmission(components: AdmissionComponents) {
  const { chain, mempool, verification, network, bundles, limits, onRejected, onPooled } = components;
  const { params } = chain;
  /** By the root of all bytes. */
  const inHand = new Map<string, { readonly submission: Submission; readonly verdict: Promise<Verdict> }>();
  /** How many of them are each peer's, and each slot's. */
  const ofPeers = createCounts();
  const ofSlots = createCounts();
  const falseProofs = createBuckets({ leakPerSecond: FALSE_FORGOTTEN_PER_SECOND });
  let evidenceInHand = 0;
  const pace = createPacer(TURN_MS);

  const contextNow = (): Context => ({
    params,
    proposer: ValidatorIndex(0),
    place: placeInEpoch(chain.tip().height + 1, params),
  });

  const judge = async (submission: Submission, from: string | undefined): Promise<Verdict> => {
    const { state } = chain.tip();
    const accepted = checkSubmission(state, submission, contextNow());
    // Peers may be a block ahead or behind: what depends on the moment is nobody's fault.
    if ("code" in accepted) return ignore(accepted);
    const conflict = mempool.conflict(submission);
    if (conflict !== undefined) return ignore(conflict);
    const checks = submissionChecks(chain.chain, submission, accepted);
    // The signature first: nobody but the pod itself can use up what is the pod's.
    const unsigned = verification.verifySigner(checks);
    if (unsigned !== undefined) return reject(unsigned);
    const pod = toHex(submission.podId);
    if (falseProofs.level(pod) >= FALSE_OF_POD_MAX) return ignore(fault("rpc/busy", { ofPod: pod }));
    const slot = `${toHex(submission.task)} ${submission.slot}`;
    const waiting = ofSlots.of(slot);
    if (waiting >= IN_HAND_OF_SLOT_MAX) return ignore(fault("rpc/busy", { ofSlot: waiting }));
    const [wrong] = await ofSlots.during(slot, () => verification.verifyProofs([checks]));
    if (wrong !== undefined) {
      falseProofs.add(pod, 1);
      onRejected(submission, wrong);
      return reject(wrong);
    }
    const late = mempool.conflict(submission) ?? mempool.addSubmission(submission);
    if (late !== undefined) return ignore(late);
    // What came from a peer is gossiped on by the verdict on its bundle.
    if (from === undefined) bundles.publish(submission);
    onPooled();
    return ACCEPT;
  };

  const pool = (transaction: Transaction, from: string | undefined): Verdict => {
    const id = toHex(transactionId(chain.chain, transaction));
    if (mempool.transaction(id) !== undefined) return ACCEPT;
    const { state } = chain.tip();
    const account = getAccount(state, addressOf(transaction.publicKey));
    const { nonce, fee } = transaction;
    if (account === undefined) return ignore(fault("transaction/balance-low", { balance: "0" }));
    if (nonce < account.nonce)
      return ignore(fault("transaction/nonce-low", { next: account.nonce, found: nonce }));
    if (nonce > account.nonce + NONCE_AHEAD_MAX) {
      return ignore(fault("transaction/nonce-high", { next: account.nonce, found: nonce }));
    }
    if (fee < params.feeMin) return reject(fault("transaction/fee-low", { least: String(params.feeMin) }));
    if (account.balance < fee)
      return ignore(fault("transaction/balance-low", { balance: String(account.balance) }));
    // Whoever sends it here is told at once; a peer's node has asked already, perhaps of a newer state.
    if (from === undefined && nonce === account.nonce) {
      const prepared = prepareTransaction(state, transaction, contextNow());
      if ("code" in prepared) return ignore(prepared);
    }
    const wrong = verification.verifyTransaction(transactionCheck(chain.chain, transaction));
    if (wrong !== undefined) return reject(wrong);
    const possession = possessionCheck(chain.chain, transaction);
    const unproven = possession === undefined ? undefined : verification.verifyPossession(possession);
    if (unproven !== undefined) return reject(unproven);
    const full = mempool.addTransaction(transaction);
    if (full !== undefined) return ignore(full);
    if (from === undefined) network.publish({ topic: "transactions", value: transaction });
    onPooled();
    return ACCEPT;
  };

  /** Everything but evidence against pods, which nobody may pool unverified. */
  const admitTransaction = (transaction: Transaction, from?: string): Verdict =>
    transaction.operation.selector === SELECTOR.podEvidence
      ? ignore(fault("pod/evidence-unfounded", { field: "unverified" }))
      : pool(transaction, from);

  /** Idempotent: the same submission again, pooled or in hand, gets the same answer. */
  const admitSubmission = async (submission: Submission, from: string | undefined): Promise<Verdict> => {
    // A bundle comes at once; already its roots take two milliseconds.
    await pace();
    const root = submissionContentRoot(submission);
    const running = inHand.get(toHex(root));
    if (running !== undefined) return running.verdict;
    if (mempool.submissionByRoot(root) !== undefined) return ACCEPT;
    const isFull =
      from === undefined
        ? ofPeers.of("") >= IN_HAND_MAX
        : ofPeers.all() - ofPeers.of("") >= IN_HAND_OF_PEERS_MAX || ofPeers.of(from) >= IN_HAND_OF_PEER_MAX;
    if (isFull) return ignore(fault("rpc/busy", { inHand: inHand.size }));
    const verdict = ofPeers
      .during(from ?? "", () => judge(submission, from))
      .finally(() => inHand.delete(toHex(root)));
    inHand.set(toHex(root), { submission, verdict });
    return verdict;
  };

  /** Any transaction. Evidence is verified first: a block with unfounded evidence would be invalid. */
  const admit = async (transaction: Transaction, from: string | undefined): Promise<Verdict> => {
    const checks = podEvidenceChecks(chain.tip().state, transaction, contextNow());
    if (checks === undefined) return admitTransaction(transaction, from);
    if ("code" in checks) return ignore(checks);
    const id = toHex(transactionId(chain.chain, transaction));
    if (mempool.transaction(id) !== undefined) return ACCEPT;
    // Its own signature first: a proof's verification is not to be had for nothing.
    const unsigned = verification.verifyTransaction(transactionCheck(chain.chain, transaction));
    if (unsigned !== undefined) return reject(unsigned);
    if (evidenceInHand >= EVIDENCE_IN_HAND_MAX) return ignore(fault("rpc/busy", { inHand: evidenceInHand }));
    evidenceInHand++;
    try {
      const [wrong] = await verification.verifyEvidence([checks]);
      return wrong === undefined ? pool(transaction, from) : reject(wrong);
    } finally {
      evidenceInHand--;
    }
  };

  /** What comes from a peer is counted against it. */
  const limited = async (from: string | undefined, judged: () => Promise<Verdict>): Promise<Verdict> => {
    if (from === undefined) return judged();
    if (!limits.mayRelay(from)) return ignore(fault("rpc/busy", { peer: from }));
    const verdict = await judged();
    if (verdict.kind === "reject") limits.onRejected(from, verdict.fault);
    return verdict;
  };

  return {
    admitSubmission: (submission: Submission, from?: string): Promise<Verdict> =>
      limited(from, () => admitSubmission(submission, from)),
    admitTransaction,
    /** One that has come but has no verdict yet: a block may name it before this node has verified it. */
    submissionInHand: (root: Uint8Array): Submission | undefined => inHand.get(toHex(root))?.submission,
    admit: (transaction: Transaction, from?: string): Promise<Verdict> =>
      limited(from, () => admit(transaction, from)),
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
    async during<T>(key: string, run: () => Promise<T>): Promise<T> {
      counts.set(key, of(key) + 1);
      all += 1;
      try {
        return await run();
      } finally {
        all -= 1;
        if (of(key) > 1) counts.set(key, of(key) - 1);
        else counts.delete(key);
      }
    },
  };
}
