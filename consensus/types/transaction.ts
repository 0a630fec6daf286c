/** Transactions: one operation of one account, ordered by its nonce, signed with Ed25519. */
import {
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  UnionType,
  type ValueOf,
} from "@chainsafe/ssz";
import { hash } from "../primitives/hash.ts";
import {
  AmountType,
  Bytes20,
  Bytes32,
  Bytes48,
  Bytes64,
  Bytes96,
  decode,
  EpochType,
  rootOf,
  uint8,
  uint16,
  uint64,
} from "./ssz.ts";

/** Rows in a holdout slice. */
export const SLICE_ROWS = 8;
/** Depth of the Merkle tree over a task's holdout slices. */
export const HOLDOUT_DEPTH = 12;
export const SLICES_PER_REVEAL_MAX = 64;
export const FEATURES_MAX = 64;

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
]);

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
  | { readonly selector: 9; readonly value: ValueOf<typeof ValidatorUnjailType> };

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

/** 20 bytes; shown as bech32m with the prefix "zkp". */
export function addressOf(publicKey: Uint8Array): Uint8Array {
  return hash("address", publicKey).slice(0, 20);
}

export const decodeTransaction = (bytes: Uint8Array): Transaction | undefined =>
  decode(TransactionType, bytes) as Transaction | undefined;
