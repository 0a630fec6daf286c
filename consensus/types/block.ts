/** Blocks and proposals. A block's hash is its header's SSZ root; the header commits to the body. */
import { ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { CertificateType, OptionalCertificateType } from "./certificate.ts";
import { EVIDENCE_MAX, type Evidence, EvidenceType } from "./evidence.ts";
import {
  Bytes32,
  Bytes96,
  EpochType,
  HeightType,
  rootOf,
  uint64,
  ValidatorIndexType,
  ViewType,
} from "./ssz.ts";
import { SubmissionType, submissionContentRoot } from "./submission.ts";
import { type Transaction, TransactionType, transactionContentRoot } from "./transaction.ts";
import { VoteType } from "./vote.ts";

/** Limits of the encoding; a preset may ask for less. */
export const TRANSACTIONS_MAX = 4096;
export const SUBMISSIONS_MAX = 1024;
export const BLOCK_BYTES_MAX = 2 * 1024 * 1024;
/** Nullifications that travel with a proposal; what is beyond is fetched. */
export const NULLIFICATIONS_MAX = 256;

export const HeaderType = new ContainerType({
  height: HeightType,
  epoch: EpochType,
  view: ViewType,
  parentHash: Bytes32,
  parentView: ViewType,
  proposer: ValidatorIndexType,
  timestampMs: uint64,
  /** Of the state after this block. */
  stateRoot: Bytes32,
  bodyRoot: Bytes32,
});
export type Header = ValueOf<typeof HeaderType>;

const small = {
  /** The proposer's unique signature over (reveal, epoch, view). */
  beaconReveal: Bytes96,
  /** Notarization or finalization of the parent; none only for the child of genesis. */
  parentCertificate: OptionalCertificateType,
  /** Notarization of the ancestor four heights below, with all signers heard since: participation. */
  lateCertificate: OptionalCertificateType,
} as const;
/** Equivocations; applied before anything else, so that no transaction of the block comes before a penalty. */
const evidence = new ListCompositeType(EvidenceType, EVIDENCE_MAX);

export const BodyType = new ContainerType({
  ...small,
  transactions: new ListCompositeType(TransactionType, TRANSACTIONS_MAX),
  submissions: new ListCompositeType(SubmissionType, SUBMISSIONS_MAX),
  evidence,
});
export type Body = Omit<ValueOf<typeof BodyType>, "transactions" | "evidence"> & {
  transactions: Transaction[];
  evidence: Evidence[];
};

/**
 * A body in which transactions and submissions are named by their roots. A list's root is made of its
 * elements' roots, so the outline has the body's root: names that belong to a header prove themselves.
 */
export const BodyOutlineType = new ContainerType({
  ...small,
  transactions: new ListCompositeType(Bytes32, TRANSACTIONS_MAX),
  submissions: new ListCompositeType(Bytes32, SUBMISSIONS_MAX),
  evidence,
});
export type BodyOutline = Omit<ValueOf<typeof BodyOutlineType>, "evidence"> & { evidence: Evidence[] };

export const BlockType = new ContainerType({ header: HeaderType, body: BodyType });
export type Block = { header: Header; body: Body };

export const JustificationType = new ContainerType({
  /** Of every view between the parent's and the proposal's, ascending. */
  nullifications: new ListCompositeType(CertificateType, NULLIFICATIONS_MAX),
  /** Only when an epoch's last block is proposed again: its notarization at parentView. */
  notarization: OptionalCertificateType,
});
export type Justification = ValueOf<typeof JustificationType>;

export const ProposalType = new ContainerType({
  block: BlockType,
  /** The proposer's notarize vote: the proposal's signature. */
  vote: VoteType,
  justification: JustificationType,
});
export type Proposal = { block: Block; vote: ValueOf<typeof VoteType>; justification: Justification };

export function blockHash(header: Header): Uint8Array {
  return HeaderType.hashTreeRoot(header);
}

export function bodyOutline(body: Body): BodyOutline {
  return {
    ...body,
    transactions: body.transactions.map(transactionContentRoot),
    submissions: body.submissions.map(submissionContentRoot),
  };
}

export function outlineRoot(outline: BodyOutline): Uint8Array {
  return rootOf(BodyOutlineType, outline);
}

/** By its outline: the roots of what a pool has held, or a block was built of, are known already. */
export function bodyRoot(body: Body): Uint8Array {
  return outlineRoot(bodyOutline(body));
}
