/** Accounts as the state holds them, in hash buckets: here because light clients rebuild a bucket's root. */
import { ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { AmountType, Bytes20, uint64 } from "./ssz.ts";
import { StructType } from "./struct.ts";

export const ACCOUNT_BUCKETS = 65_536;
/** Limit of every bucket's encoding; new keys are refused long before. */
export const BUCKET_MAX = 2 ** 20;

export const AccountType = new StructType({
  address: Bytes20,
  nonce: uint64,
  balance: AmountType,
  /** Rewards not yet spendable; the entries by epoch are in `locks`. */
  locked: AmountType,
});
export type Account = ValueOf<typeof AccountType>;
export const AccountBucketType = new ListCompositeType(AccountType, BUCKET_MAX);

/** Place of a key's bucket among so many. */
export const bucketOf = (key: Uint8Array, buckets: number): number =>
  ((key[0] ?? 0) * 256 + (key[1] ?? 0)) % buckets;
