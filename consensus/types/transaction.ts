/** Transactions: one operation of one account, ordered by its nonce, signed with Ed25519. */
import {
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  type Type,
  UnionType,
  type ValueOf,
} from "@chainsafe/ssz";
import { uint64Bytes } from "../primitives/bytes.ts";
import { hash } from "../primitives/hash.ts";
import { VALUES_MAX } from "./outputs.ts";
import {
  AmountType,
  Bytes20,
  Bytes32,
  Bytes48,
  Bytes64,
  Bytes96,
  bigint128,
  decode,
  EpochType,
  rememberedRoot,
  rootOf,
  uint8,
  uint16,
  uint32,
  uint64,
} from "./ssz.ts";
import { SubmissionType } from "./submission.ts";

/** Rows in a holdout slice. */
export const SLICE_ROWS = 8;
/** Depth of the Merkle tree over a task's holdout slices. */
export const HOLDOUT_DEPTH = 12;
export const SLICES_PER_REVEAL_MAX = 64;
export const FEATURES_MAX = 64;
/** Bytes of a task's name, its shape's id, and what it tells pods about their privacy. */
export const NAME_BYTES_MAX = 64;
export const SHAPE_BYTES_MAX = 32;
export const NOTICE_BYTES_MAX = 512;

export const TransferType = new ContainerType({ to: Bytes20, amount: AmountType });
export const PodRegisterType = new ContainerType({ podId: Bytes32, bond: AmountType });
export const DatasetRegisterType = new ContainerType({
  podId: Bytes32,
  dataRoot: Bytes32,
  batches: uint16,
  /** Hash of the mean and scale that the rows were standardised with; it must be the task's. */
  normalization: Bytes32,
});
export const PodEnrollType = new ContainerType({
  podId: Bytes32,
  task: Bytes32,
  dataRoot: Bytes32,
  slots: uint8,
});

export const HoldoutSliceType = new ContainerType({
  index: uint16,
  salt: Bytes32,
  /** Features, row by row, 16-bit little-endian two's complement in Q8. */
  features: new ByteListType(SLICE_ROWS * FEATURES_MAX * 2),
  /** 0 or 1 a row. */
  labels: new ByteVectorType(SLICE_ROWS),
  branch: new ListCompositeType(Bytes32, HOLDOUT_DEPTH),
});
export type HoldoutSlice = ValueOf<typeof HoldoutSliceType>;
export const HoldoutRevealType = new ContainerType({
  task: Bytes32,
  epoch: EpochType,
  slices: new ListCompositeType(HoldoutSliceType, SLICES_PER_REVEAL_MAX),
});

export const ValidatorJoinType = new ContainerType({
  blsKey: Bytes48,
  /** Signature over H(possession ‖ chain ‖ blsKey). */
  possession: Bytes96,
  stake: AmountType,
});
export const ValidatorTopUpType = new ContainerType({ blsKey: Bytes48, amount: AmountType });
/** Exit, withdraw and unjail say only which validator; each is an operation of its own. */
export const ValidatorExitType = new ContainerType({ blsKey: Bytes48 });
export const ValidatorWithdrawType = new ContainerType({ blsKey: Bytes48 });
export const ValidatorUnjailType = new ContainerType({ blsKey: Bytes48 });
export const PodExitType = new ContainerType({ podId: Bytes32 });
export const PodTopUpType = new ContainerType({ podId: Bytes32, amount: AmountType });
export const TaskCreateType = new ContainerType({
  /** Printable ASCII. */
  name: new ByteListType(NAME_BYTES_MAX),
  /** A shape of the chain's catalogue, such as "gradient-32x10". */
  shape: new ByteListType(SHAPE_BYTES_MAX),
  /** Means then scales, float64 little-endian: types/normalization.ts. */
  standardisation: new ByteListType(2 * FEATURES_MAX * 8),
  rateNumerator: uint32,
  rateShift: uint8,
  /** C², the largest squared norm of a gradient after clipping. */
  normBound: bigint128,
  /** Epochs from the one that includes this to the first round. */
  lead: uint16,
  rounds: uint16,
  holdoutRoot: Bytes32,
  holdoutSlices: uint16,
  /** What the first round begins with: 32-bit two's complement in Q16, the bias last; none is all zeros. */
  model: new ListBasicType(uint32, VALUES_MAX),
  /** nzkp that a round of positive quality pays out of the escrow. */
  roundPay: AmountType,
  /** Of the sponsor, lost when a round is not revealed: at least twice a round's pay. */
  bond: AmountType,
  /** First funding, at least one round's pay. */
  escrow: AmountType,
  /** Least reputation of a pod that may enroll. */
  minAccepted: uint64,
  minQuality: bigint128,
  /** Group whose members may enroll; zero for everybody. */
  groupRoot: Bytes32,
  /** UTF-8, for people: what a pod's owner should know before taking part. */
  notice: new ByteListType(NOTICE_BYTES_MAX),
});
export const TaskFundType = new ContainerType({ task: Bytes32, amount: AmountType });
export const TaskApproveType = new ContainerType({ task: Bytes32 });
export const TaskCloseType = new ContainerType({ task: Bytes32 });
/** A signed submission whose inputs are right and whose proof is false. */
export const PodEvidenceType = new ContainerType({ submission: SubmissionType });

/** The selector of each operation is its place in this list: append only. */
const OperationUnion = new UnionType([
  TransferType,
  PodRegisterType,
  DatasetRegisterType,
  PodEnrollType,
  HoldoutRevealType,
  ValidatorJoinType,
  ValidatorTopUpType,
  ValidatorExitType,
  ValidatorWithdrawType,
  ValidatorUnjailType,
  PodExitType,
  TaskCreateType,
  TaskFundType,
  TaskApproveType,
  TaskCloseType,
  PodEvidenceType,
  PodTopUpType,
]);

/** Selectors of the economy's operations, for whoever builds or dispatches one. */
export const SELECTOR = {
  podExit: 10,
  taskCreate: 11,
  taskFund: 12,
  taskApprove: 13,
  taskClose: 14,
  podEvidence: 15,
  podTopUp: 16,
} as const;

export type Operation =
  | { readonly selector: 0; readonly value: ValueOf<typeof TransferType> }
  | { readonly selector: 1; readonly value: ValueOf<typeof PodRegisterType> }
  | { readonly selector: 2; readonly value: ValueOf<typeof DatasetRegisterType> }
  | { readonly selector: 3; readonly value: ValueOf<typeof PodEnrollType> }
  | { readonly selector: 4; readonly value: ValueOf<typeof HoldoutRevealType> }
  | { readonly selector: 5; readonly value: ValueOf<typeof ValidatorJoinType> }
  | { readonly selector: 6; readonly value: ValueOf<typeof ValidatorTopUpType> }
  | { readonly selector: 7; readonly value: ValueOf<typeof ValidatorExitType> }
  | { readonly selector: 8; readonly value: ValueOf<typeof ValidatorWithdrawType> }
  | { readonly selector: 9; readonly value: ValueOf<typeof ValidatorUnjailType> }
  | { readonly selector: typeof SELECTOR.podExit; readonly value: ValueOf<typeof PodExitType> }
  | { readonly selector: typeof SELECTOR.taskCreate; readonly value: ValueOf<typeof TaskCreateType> }
  | { readonly selector: typeof SELECTOR.taskFund; readonly value: ValueOf<typeof TaskFundType> }
  | { readonly selector: typeof SELECTOR.taskApprove; readonly value: ValueOf<typeof TaskApproveType> }
  | { readonly selector: typeof SELECTOR.taskClose; readonly value: ValueOf<typeof TaskCloseType> }
  | { readonly selector: typeof SELECTOR.podEvidence; readonly value: ValueOf<typeof PodEvidenceType> }
  | { readonly selector: typeof SELECTOR.podTopUp; readonly value: ValueOf<typeof PodTopUpType> };

export const OPERATION_NAMES = [
  "transfer",
  "pod-register",
  "dataset-register",
  "pod-enroll",
  "holdout-reveal",
  "validator-join",
  "validator-top-up",
  "validator-exit",
  "validator-withdraw",
  "validator-unjail",
  "pod-exit",
  "task-create",
  "task-fund",
  "task-approve",
  "task-close",
  "pod-evidence",
  "pod-top-up",
] as const;

const unsigned = { publicKey: Bytes32, nonce: uint64, fee: AmountType, operation: OperationUnion };
const UnsignedTransactionType = new ContainerType(unsigned);
export const TransactionType = new ContainerType({ ...unsigned, signature: Bytes64 });
export type UnsignedTransaction = Omit<ValueOf<typeof UnsignedTransactionType>, "operation"> & {
  operation: Operation;
};
export type Transaction = UnsignedTransaction & { signature: Uint8Array };

/** What the sender signs, and the transaction's id: a second signature makes no second transaction. */
export function transactionId(chain: Uint8Array, transaction: UnsignedTransaction): Uint8Array {
  const { publicKey, nonce, fee, operation } = transaction;
  return hash("transaction", chain, rootOf(UnsignedTransactionType, { publicKey, nonce, fee, operation }));
}

/** Of all its bytes, the signature included: what a block's body commits to. Remembered. */
export const transactionContentRoot: (transaction: Transaction) => Uint8Array = rememberedRoot(
  TransactionType as unknown as Type<Transaction>,
);

/** 20 bytes; shown as bech32m with the prefix "zkp". */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  return hash("address", publicKey).slice(0, 20);
}

/** A created task's id, known to its sponsor before it is sent: 31 bytes of a hash with a zero on top, so below r. */
export function createdTaskId(
  chain: Uint8Array,
  vkHash: Uint8Array,
  sponsor: Uint8Array,
  nonce: number,
): Uint8Array {
  const id = new Uint8Array(32);
  id.set(hash("task-create", chain, vkHash, sponsor, uint64Bytes(nonce)).subarray(0, 31));
  return id;
}

export const decodeTransaction = (bytes: Uint8Array): Transaction | undefined =>
  decode(TransactionType, bytes) as Transaction | undefined;
