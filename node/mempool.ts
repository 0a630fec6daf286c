/**
 * What waits to be included: verified submissions by nullifier, and transactions by sender and nonce.
 * Everything has a bound; what leaves without being included is reported, never lost silently. Filled
 * by admission, read by the proposer, emptied by finalized blocks.
 */
import { fromHex, nameOf, toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault } from "../consensus/primitives/faults.ts";
import { closePlace, type Params, placeInEpoch } from "../consensus/primitives/params.ts";
import { getAccount } from "../consensus/state/maps.ts";
import type { State } from "../consensus/state/state.ts";
import {
  nullifierName,
  nullifierOf,
  type Submission,
  submissionName,
  taskName,
} from "../consensus/types/submission.ts";
import {
  addressOf,
  type Transaction,
  transactionContentRoot,
  transactionId,
} from "../consensus/types/transaction.ts";

const SUBMISSIONS_MAX = 4_096;
const TRANSACTIONS_MAX = 8_192;
const PER_SENDER_MAX = 64;

export type Expired = { readonly submissions: readonly string[]; readonly transactions: readonly string[] };
export type Mempool = ReturnType<typeof createMempool>;

/** A submission's slot, within its task; slots are of two bytes. */
const SLOTS = 2 ** 16;
const slotOf = ({ epoch, slot }: Submission): number => epoch * SLOTS + slot;

export function createMempool(params: Params, chain: Uint8Array) {
  /** By the name of the nullifier. */
  const submissions = new Map<string, Submission>();
  const transactions = new Map<string, Transaction>();
  /** What pooled submissions forbid to others: the slots they fill, by the name of their task. */
  const slots = new Map<string, Set<number>>();
  /** Both by the root of all their bytes, as a compact proposal names them. */
  const contents = {
    submissions: new Map<string, Submission>(),
    transactions: new Map<string, Transaction>(),
  };
  /** Final blocks seen here, and how many there were when each transaction came. */
  let blocksSeen = 0;
  const since = new Map<string, number>();
  /** Ids by sender's address and nonce. */
  const senders = new Map<string, Map<number, string>>();

  const removeTransaction = (id: string): void => {
    const transaction = transactions.get(id);
    if (transaction === undefined) return;
    transactions.delete(id);
    contents.transactions.delete(toHex(transactionContentRoot(transaction)));
    since.delete(id);
    const sender = toHex(addressOf(transaction.publicKey));
    const nonces = senders.get(sender);
    nonces?.delete(transaction.nonce);
    if (nonces?.size === 0) senders.delete(sender);
  };

  const removeSubmission = (name: string): void => {
    const submission = submissions.get(name);
    if (submission === undefined) return;
    submissions.delete(name);
    contents.submissions.delete(submissionName(submission));
    const task = taskName(submission);
    const filled = slots.get(task);
    filled?.delete(slotOf(submission));
    if (filled?.size === 0) slots.delete(task);
  };
  const fill = (submission: Submission): void => {
    const task = taskName(submission);
    const filled = slots.get(task);
    if (filled === undefined) slots.set(task, new Set([slotOf(submission)]));
    else filled.add(slotOf(submission));
  };

  return {
    submission: (nullifier: Uint8Array): Submission | undefined => submissions.get(nameOf(nullifier)),
    transaction: (id: string): Transaction | undefined => transactions.get(id),
    /** By the root of all bytes: another copy of the same, with other signature or proof bytes, is not it. */
    submissionByName: (name: string): Submission | undefined => contents.submissions.get(name),
    submissionByRoot: (root: Uint8Array): Submission | undefined => contents.submissions.get(nameOf(root)),
    transactionByRoot: (root: Uint8Array): Transaction | undefined => contents.transactions.get(toHex(root)),
    counts: () => ({ submissions: submissions.size, transactions: transactions.size }),
    /** All pooled submissions. */
    submissions: (): Submission[] => [...submissions.values()],
    /** Of transactions and submissions: for peers that ask what waits here. */
    ids: (): Uint8Array[] => [
      ...[...transactions.keys()].map((id) => fromHex(id, 32)),
      ...[...submissions.values()].map(nullifierOf),
    ],

    /**
     * What a pooled submission forbids to another one. Not its rows: who has the better right to them is in the
     * state (consensus/state/copies.ts), and being here first is no right.
     */
    conflict(submission: Submission): Fault | undefined {
      if (submissions.has(nullifierName(submission))) return fault("submission/nullifier-spent");
      if (slots.get(taskName(submission))?.has(slotOf(submission)) === true)
        return fault("submission/slot-filled", { slot: submission.slot });
      return undefined;
    },

    addSubmission(submission: Submission): Fault | undefined {
      if (submissions.size >= SUBMISSIONS_MAX) return fault("rpc/busy", { pooled: submissions.size });
      const name = nullifierName(submission);
      removeSubmission(name);
      submissions.set(name, submission);
      contents.submissions.set(submissionName(submission), submission);
      fill(submission);
      return undefined;
    },

    /** Next nonce of an account, counting what waits without a gap. */
    nextNonce(address: Uint8Array, nonce: number): number {
      const waiting = senders.get(toHex(address));
      let next = nonce;
      while (waiting?.has(next) === true) next++;
      return next;
    },

    addTransaction(transaction: Transaction): Fault | undefined {
      const id = toHex(transactionId(chain, transaction));
      const sender = toHex(addressOf(transaction.publicKey));
      const nonces = senders.get(sender) ?? new Map<number, string>();
      if (transactions.size >= TRANSACTIONS_MAX || nonces.size >= PER_SENDER_MAX) {
        return fault("rpc/busy", { pooled: transactions.size, ofSender: nonces.size });
      }
      if (nonces.has(transaction.nonce)) return fault("transaction/nonce-low", { pooled: transaction.nonce });
      transactions.set(id, transaction);
      contents.transactions.set(toHex(transactionContentRoot(transaction)), transaction);
      since.set(id, blocksSeen);
      senders.set(sender, nonces.set(transaction.nonce, id));
      return undefined;
    },

    /**
     * Candidates for a block on this state, transactions of a sender in the order of their nonces. More than
     * fit: the block's builder drops those that the state refuses, and they must not take others' places.
     */
    candidates(state: State): { transactions: Transaction[]; submissions: Submission[] } {
      const chosen: Transaction[] = [];
      for (const nonces of senders.values()) {
        const [first] = nonces.values();
        const sample = first === undefined ? undefined : transactions.get(first);
        if (sample === undefined) continue;
        let nonce = getAccount(state, addressOf(sample.publicKey))?.nonce ?? 0;
        for (let id = nonces.get(nonce); id !== undefined; id = nonces.get(++nonce)) {
          const transaction = transactions.get(id);
          if (transaction !== undefined) chosen.push(transaction);
        }
      }
      const open = placeInEpoch(state.height + 1, params) <= closePlace(params);
      const proofs = open ? [...submissions.values()] : [];
      return { transactions: chosen, submissions: proofs.filter(({ epoch }) => epoch === state.epoch) };
    },

    /**
     * Drops what is now included or can never be, and transactions that waited a whole epoch: one that the
     * state refuses would hold its sender's nonce for ever. Gives those that were not included.
     */
    onFinalized(
      state: State,
      included: { submissions: readonly Uint8Array[]; transactions: readonly Uint8Array[] },
    ): Expired {
      blocksSeen += 1;
      for (const id of included.submissions) removeSubmission(nameOf(id));
      for (const id of included.transactions) removeTransaction(toHex(id));
      const closed = placeInEpoch(state.height + 1, params) > closePlace(params);
      const expired = { submissions: [] as string[], transactions: [] as string[] };
      for (const [name, submission] of submissions) {
        const { epoch } = submission;
        if (epoch > state.epoch || (epoch === state.epoch && !closed)) continue;
        removeSubmission(name);
        expired.submissions.push(toHex(nullifierOf(submission)));
      }
      for (const [id, { publicKey, nonce }] of transactions) {
        const waited = blocksSeen - (since.get(id) ?? blocksSeen);
        const used = nonce < (getAccount(state, addressOf(publicKey))?.nonce ?? 0);
        if (!used && waited <= params.epochHeights) continue;
        removeTransaction(id);
        expired.transactions.push(id);
      }
      return expired;
    },
  };
}
