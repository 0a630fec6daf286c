/**
 * The one door: every transaction and submission, from RPC or from a peer, gets its verdict here; cheap
 * questions first, the proof last. What is accepted is pooled and gossiped.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault, type Verdict } from "../consensus/primitives/faults.ts";
import { placeInEpoch } from "../consensus/primitives/params.ts";
import { ValidatorIndex } from "../consensus/primitives/units.ts";
import { prepareTransaction } from "../consensus/state/apply-transaction.ts";
import { podEvidenceChecks, possessionCheck, transactionCheck } from "../consensus/state/checks.ts";
import type { Context } from "../consensus/state/context.ts";
import { getAccount } from "../consensus/state/maps.ts";
import type { Submission } from "../consensus/types/submission.ts";
import { addressOf, SELECTOR, type Transaction, transactionId } from "../consensus/types/transaction.ts";
import type { Chain } from "./chain.ts";
import type { Mempool } from "./mempool.ts";
import type { GossipMessage } from "./network/topics.ts";
import type { RelayLimits } from "./relay-limits.ts";
import { type Asked, createSubmissionDoor, type Outcome } from "./submission-door.ts";
import type { Verification } from "./verification.ts";

/** Nonces further ahead than this are refused: a queue of one sender is bounded. */
const NONCE_AHEAD_MAX = 64;
/** Evidence under verification at once, beside the proofs in hand. */
const EVIDENCE_IN_HAND_MAX = 32;

export type AdmissionComponents = {
  readonly chain: Pick<Chain, "params" | "chain"> & {
    tip(): Pick<ReturnType<Chain["tip"]>, "state" | "height">;
  };
  readonly mempool: Mempool;
  readonly verification: Pick<
    Verification,
    "verifyTransaction" | "verifyPossession" | "verifySigners" | "verifyProofs" | "verifyEvidence"
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
  let evidenceInHand = 0;

  const contextNow = (): Context => ({
    params,
    proposer: ValidatorIndex(0),
    place: placeInEpoch(chain.tip().height + 1, params),
  });

  const submissions = createSubmissionDoor({
    now: () => ({ state: chain.tip().state, context: contextNow() }),
    chain: chain.chain,
    mempool,
    verification,
    bundles,
    onRejected,
    onPooled,
  });

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

  const charged = <O extends Outcome>(from: string | undefined, outcome: O): O => {
    if (from !== undefined && outcome.kind === "reject") limits.onRejected(from, outcome.fault);
    return outcome;
  };
  /** What comes from a peer is counted against it. */
  const limited = async (from: string | undefined, judged: () => Promise<Verdict>): Promise<Verdict> => {
    if (from === undefined) return judged();
    if (!limits.mayRelay(from)) return ignore(fault("rpc/busy", { peer: from }));
    return charged(from, await judged());
  };

  /** Idempotent: the same submission again, pooled or in hand, gets the same answer. */
  const admitSubmission = (submission: Submission, from?: string): Promise<Verdict> => {
    if (from !== undefined && !limits.mayRelay(from))
      return Promise.resolve(ignore(fault("rpc/busy", { peer: from })));
    const { promise, resolve, reject: fail } = Promise.withResolvers<Verdict>();
    const done = (outcome: Outcome): void => {
      if (outcome.kind === "failed") fail(outcome.error);
      else resolve(charged(from, outcome));
    };
    submissions.gather({ submission, from, outcome: undefined, done });
    return promise;
  };

  /** A peer's bundle: an outcome each, in their order. */
  const admitBundle = (
    bundle: readonly Submission[],
    from: string,
  ): Promise<readonly (Outcome | undefined)[]> => {
    const { promise, resolve } = Promise.withResolvers<readonly (Outcome | undefined)[]>();
    let open = 0;
    const done = (outcome: Outcome): void => {
      charged(from, outcome);
      open -= 1;
      if (open === 0) resolve(all.map((it) => it.outcome));
    };
    const unheard = ignore(fault("rpc/busy", { peer: from }));
    const all = bundle.map(
      (submission): Asked => ({
        submission,
        from,
        outcome: limits.mayRelay(from) ? undefined : unheard,
        done,
      }),
    );
    const judged = all.filter(({ outcome }) => outcome === undefined);
    open = judged.length;
    if (open === 0) resolve(all.map(({ outcome }) => outcome));
    else void submissions.judge(judged);
    return promise;
  };

  return {
    admitSubmission,
    admitBundle,
    admitTransaction,
    submissionInHand: submissions.inHand,
    admit: (transaction: Transaction, from?: string): Promise<Verdict> =>
      limited(from, () => admit(transaction, from)),
  };
}
