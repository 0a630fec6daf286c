/**
 * What travels on the blocks protocol: whole proposals, and compact ones, which name their transactions and
 * submissions by the roots that the body commits to. Used by network.ts; the parts that a receiver lacks are
 * asked for on the sync protocol (messages.ts).
 *
 * A name is 32 bytes and fixes every byte of what it names. So a compact proposal proves itself before anything
 * is fetched: its names hash to the header's body root, or it is malformed; and a part that isn't what its name
 * says is the sender's lie, never an accident.
 */
import { BitArray, BitListType, ContainerType, ListCompositeType, UnionType } from "@chainsafe/ssz";
import { equalBytes } from "../../consensus/primitives/bytes.ts";
import {
  type Block,
  type BodyOutline,
  BodyOutlineType,
  bodyOutline,
  type Header,
  HeaderType,
  type Justification,
  JustificationType,
  outlineRoot,
  type Proposal,
  ProposalType,
  SUBMISSIONS_MAX,
  TRANSACTIONS_MAX,
} from "../../consensus/types/block.ts";
import { Bytes32, decode } from "../../consensus/types/ssz.ts";
import { type Submission, SubmissionType } from "../../consensus/types/submission.ts";
import { type Transaction, TransactionType } from "../../consensus/types/transaction.ts";
import { type Vote, VoteType } from "../../consensus/types/vote.ts";

/**
 * From so many bytes of transactions and submissions on a proposal is sent compact. What is smaller leaves in
 * TCP's first flight anyway, and never costs a second journey for a part that was missing.
 */
export const COMPACT_FROM_BYTES = 16 * 1024;

const CompactProposalType = new ContainerType({
  block: new ContainerType({ header: HeaderType, body: BodyOutlineType }),
  vote: VoteType,
  justification: JustificationType,
});
export type CompactProposal = {
  readonly block: { readonly header: Header; readonly body: BodyOutline };
  readonly vote: Vote;
  readonly justification: Justification;
};

// The library's unions lose which value belongs to which selector. Append only.
const BlocksUnion = new UnionType([ProposalType, CompactProposalType]);
export type BlocksMessage =
  | { readonly selector: 0; readonly value: Proposal }
  | { readonly selector: 1; readonly value: CompactProposal };

const encode = (message: BlocksMessage): Uint8Array => BlocksUnion.serialize(message as never);

const sizeOf = (types: { value_serializedSize(value: never): number }, values: readonly unknown[]): number =>
  values.reduce<number>((sum, value) => sum + types.value_serializedSize(value as never), 0);

export function compactOf({ block: { header, body }, vote, justification }: Proposal): CompactProposal {
  return { block: { header, body: bodyOutline(body) }, vote, justification };
}

/** Whole or compact, whichever suits its size. */
export function encodeProposal(proposal: Proposal): Uint8Array {
  const { transactions, submissions } = proposal.block.body;
  const bytes = sizeOf(TransactionType, transactions) + sizeOf(SubmissionType, submissions);
  return bytes < COMPACT_FROM_BYTES ? encodeWhole(proposal) : encodeCompact(compactOf(proposal));
}
export const encodeWhole = (value: Proposal): Uint8Array => encode({ selector: 0, value });
export const encodeCompact = (value: CompactProposal): Uint8Array => encode({ selector: 1, value });

/** Strict; a compact proposal whose names are not those of its header is malformed. */
export function decodeBlocksMessage(bytes: Uint8Array): BlocksMessage | undefined {
  const message = decode(BlocksUnion, bytes) as BlocksMessage | undefined;
  if (message?.selector !== 1) return message;
  const { header, body } = message.value.block;
  return equalBytes(outlineRoot(body), header.bodyRoot) ? message : undefined;
}

/** Positions in the lists of a block's body, ascending. */
export type PartsRequest = {
  readonly hash: Uint8Array;
  readonly transactions: readonly number[];
  readonly submissions: readonly number[];
};
export type Parts = {
  readonly transactions: readonly Transaction[];
  readonly submissions: readonly Submission[];
};

const TransactionPlaces = new BitListType(TRANSACTIONS_MAX);
const SubmissionPlaces = new BitListType(SUBMISSIONS_MAX);
export const PartsRequestType = new ContainerType({
  hash: Bytes32,
  transactions: TransactionPlaces,
  submissions: SubmissionPlaces,
});
export const PartsType = new ContainerType({
  transactions: new ListCompositeType(TransactionType, TRANSACTIONS_MAX),
  submissions: new ListCompositeType(SubmissionType, SUBMISSIONS_MAX),
});

const placesOf = (positions: readonly number[]): BitArray => {
  const bits = BitArray.fromBitLen((positions.at(-1) ?? -1) + 1);
  for (const position of positions) bits.set(position, true);
  return bits;
};

/** A bit a position: 0.7 kB at most, whatever is missing. */
export const partsRequestValue = ({ hash, transactions, submissions }: PartsRequest) => ({
  hash,
  transactions: placesOf(transactions),
  submissions: placesOf(submissions),
});
export const partsRequestOf = (value: ReturnType<typeof partsRequestValue>): PartsRequest => ({
  hash: value.hash,
  transactions: value.transactions.getTrueBitIndexes(),
  submissions: value.submissions.getTrueBitIndexes(),
});

/** What is asked of a block that is here; undefined if it has no such part. */
export function partsOf({ body }: Block, { transactions, submissions }: PartsRequest): Parts | undefined {
  const parts = {
    transactions: transactions.flatMap((at) => body.transactions[at] ?? []),
    submissions: submissions.flatMap((at) => body.submissions[at] ?? []),
  };
  const isWhole =
    parts.transactions.length === transactions.length && parts.submissions.length === submissions.length;
  return isWhole ? parts : undefined;
}
