/**
 * Maps of the state: hash buckets, found by the first bits of the key. A read gives a plain value, a
 * write replaces the entry whole.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { type Amount, add, subtract, ZERO } from "../primitives/units.ts";
import { ACCOUNT_BUCKETS, type Account, AccountType, bucketOf } from "../types/account.ts";
import { type Dataset, DatasetType, POD_BUCKETS, type Pod, PodType, type State } from "./state.ts";

/** Entries a bucket may hold before new keys are refused: keys can be ground to fall together. */
const BUCKET_FULL = 4_096;

type Entries<V> = {
  readonly length: number;
  getReadonly(index: number): { toValue(): V };
};

/** Of records: their values are there, and fields of their views are not. */
function indexOf<V>(entries: Entries<V>, matches: (entry: V) => boolean): number {
  for (let i = 0; i < entries.length; i++) if (matches(entries.getReadonly(i).toValue())) return i;
  return -1;
}

export function getAccount(state: State, address: Uint8Array): Account | undefined {
  const bucket = state.accounts.getReadonly(bucketOf(address, ACCOUNT_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.address, address));
  return i < 0 ? undefined : bucket.getReadonly(i).toValue();
}

export function putAccount(state: State, account: Account): void {
  const bucket = state.accounts.get(bucketOf(account.address, ACCOUNT_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.address, account.address));
  const view = AccountType.toViewDU(account);
  if (i < 0) bucket.push(view);
  else bucket.set(i, view);
}

/** Whether an account of this address exists or could be opened. */
export function accountFits(state: State, address: Uint8Array): boolean {
  if (getAccount(state, address) !== undefined) return true;
  return state.accounts.getReadonly(bucketOf(address, ACCOUNT_BUCKETS)).length < BUCKET_FULL;
}

/** Adds to the balance; opens the account if need be (deposits are the caller's business). */
export function credit(state: State, address: Uint8Array, amount: Amount): void {
  const account = getAccount(state, address) ?? { address, nonce: 0, balance: ZERO, locked: ZERO };
  putAccount(state, { ...account, balance: add(account.balance, amount) });
}

/** Takes from the balance; the caller has checked that it suffices. */
export function debit(state: State, address: Uint8Array, amount: Amount): void {
  const account = getAccount(state, address) ?? { address, nonce: 0, balance: ZERO, locked: ZERO };
  putAccount(state, { ...account, balance: subtract(account.balance, amount) });
}

export function getPod(state: State, podId: Uint8Array): Pod | undefined {
  const bucket = state.pods.getReadonly(bucketOf(podId, POD_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.podId, podId));
  return i < 0 ? undefined : bucket.getReadonly(i).toValue();
}

export function putPod(state: State, pod: Pod): void {
  const bucket = state.pods.get(bucketOf(pod.podId, POD_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.podId, pod.podId));
  const view = PodType.toViewDU(pod);
  if (i < 0) bucket.push(view);
  else bucket.set(i, view);
}

export function getDataset(state: State, dataRoot: Uint8Array): Dataset | undefined {
  const bucket = state.datasets.getReadonly(bucketOf(dataRoot, POD_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.dataRoot, dataRoot));
  return i < 0 ? undefined : bucket.getReadonly(i).toValue();
}

export function putDataset(state: State, dataset: Dataset): void {
  const bucket = state.datasets.get(bucketOf(dataset.dataRoot, POD_BUCKETS));
  const i = indexOf(bucket, (it) => equalBytes(it.dataRoot, dataset.dataRoot));
  const view = DatasetType.toViewDU(dataset);
  if (i < 0) bucket.push(view);
  else bucket.set(i, view);
}

/** Refuses new keys in a bucket that is full; undefined if there is room. */
export function podRoom(state: State, podId: Uint8Array): Fault | undefined {
  const full = state.pods.getReadonly(bucketOf(podId, POD_BUCKETS)).length >= BUCKET_FULL;
  return full ? fault("transaction/bucket-full", { map: "pods" }) : undefined;
}

export function datasetRoom(state: State, dataRoot: Uint8Array): Fault | undefined {
  const full = state.datasets.getReadonly(bucketOf(dataRoot, POD_BUCKETS)).length >= BUCKET_FULL;
  return full ? fault("transaction/bucket-full", { map: "datasets" }) : undefined;
}

/** Position of a task in the state's list; −1 if there is none. */
export function taskIndexOf(state: State, id: Uint8Array): number {
  for (let i = 0; i < state.tasks.length; i++) if (equalBytes(state.tasks.getReadonly(i).id, id)) return i;
  return -1;
}
