/**
 * The one door: every transaction and submission, from RPC or from a peer, gets its verdict here; cheap
 * questions first, the proof last. What is accepted is pooled and passed on to all validators.
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
import { nullifierOf, type Submission, submissionRoot } from "../consensus/types/submission.ts";
import { addressOf, SELECTOR, type Transaction, transactionId } from "../consensus/types/transaction.ts";
import type { Chain } from "./chain.ts";
import type { Mempool } from "./mempool.ts";
import type { Verification } from "./verification.ts";

/** Nonces further ahead than this are refused: a queue of one sender is bounded. */
const NONCE_AHEAD_MAX = 64;
/** Proofs under verification at once; more are told to come back. */
const IN_HAND_MAX = 256;
const EVIDENCE_IN_HAND_MAX = 32;

export type AdmissionComponents = {
  readonly chain: Pick<Chain, "tip" | "params" | "chain">;
  readonly mempool: Mempool;
  readonly verification: Pick<
    Verification,
    "verifyTransaction" | "verifyPossession" | "verifySubmissions" | "verifyEvidence"
  >;
  readonly network: {
    sendTransaction(transaction: Transaction, exceptPeerId?: string): void;
    sendSubmission(submission: Submission, exceptPeerId?: string): void;
  };
  /** A submission whose signature holds and whose proof does not: remembered for whoever asks after it. */
  onRejected(submission: Submission, fault: Fault): void;
  onPooled(): void;
};
export type Admission = ReturnType<typeof createAdmission>;

const ACCEPT: Verdict = { kind: "accept" };
const reject = (it: Fault): Verdict => ({ kind: "reject", fault: it });
const ignore = (it: Fault): Verdict => ({ kind: "ignore", fault: it });

export function createAdmission(components: AdmissionComponents) {
  const { chain, mempool, verification, network, onRejected, onPooled } = components;
  const { params } = chain;
  const inHand = new Map<string, Promise<Verdict>>();
  let evidenceInHand = 0;

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
    const [wrong] = await verification.verifySubmissions([
      submissionChecks(chain.chain, submission, accepted),
    ]);
    if (wrong !== undefined) {
      if (wrong.code !== "submission/signature-invalid") onRejected(submission, wrong);
      return reject(wrong);
    }
    const late = mempool.conflict(submission) ?? mempool.addSubmission(submission);
    if (late !== undefined) return ignore(late);
    network.sendSubmission(submission, from);
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
    network.sendTransaction(transaction, from);
    onPooled();
    return ACCEPT;
  };

  /** Everything but evidence against pods, which nobody may pool unverified. */
  const admitTransaction = (transaction: Transaction, from?: string): Verdict =>
    transaction.operation.selector === SELECTOR.podEvidence
      ? ignore(fault("pod/evidence-unfounded", { field: "unverified" }))
      : pool(transaction, from);

  return {
    /** Idempotent: the same submission again, pooled or in hand, gets the same answer. */
    admitSubmission(submission: Submission, from?: string): Promise<Verdict> {
      const root = toHex(submissionRoot(chain.chain, submission)) + toHex(submission.signature);
      const running = inHand.get(root);
      if (running !== undefined) return running;
      const pooled = mempool.submission(toHex(nullifierOf(submission)));
      if (
        pooled !== undefined &&
        toHex(pooled.submission.signature) + pooled.root === toHex(submission.signature) + root.slice(0, 66)
      ) {
        return Promise.resolve(ACCEPT);
      }
      if (inHand.size >= IN_HAND_MAX)
        return Promise.resolve(ignore(fault("rpc/busy", { inHand: inHand.size })));
      const started = judge(submission, from).finally(() => inHand.delete(root));
      inHand.set(root, started);
      return started;
    },

    admitTransaction,
    /** Any transaction. Evidence is verified first: a block with unfounded evidence would be invalid. */
    async admit(transaction: Transaction, from?: string): Promise<Verdict> {
      const checks = podEvidenceChecks(chain.tip().state, transaction, contextNow());
      if (checks === undefined) return admitTransaction(transaction, from);
      if ("code" in checks) return ignore(checks);
      const id = toHex(transactionId(chain.chain, transaction));
      if (mempool.transaction(id) !== undefined) return ACCEPT;
      // Its own signature first: a proof's verification is not to be had for nothing.
      const unsigned = verification.verifyTransaction(transactionCheck(chain.chain, transaction));
      if (unsigned !== undefined) return reject(unsigned);
      if (evidenceInHand >= EVIDENCE_IN_HAND_MAX)
        return ignore(fault("rpc/busy", { inHand: evidenceInHand }));
      evidenceInHand++;
      try {
        const [wrong] = await verification.verifyEvidence([checks]);
        return wrong === undefined ? pool(transaction, from) : reject(wrong);
      } finally {
        evidenceInHand--;
      }
    },
  };
}
