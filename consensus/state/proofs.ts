/** Branches from the state's tree, for light clients (consensus/types/light-client.ts verifies them). */
import { type Node, Tree } from "@chainsafe/persistent-merkle-tree";
import { ACCOUNT_BUCKETS, type Account, bucketOf } from "../types/account.ts";
import { type Body, BodyType } from "../types/block.ts";
import { accountGindex, type SetProof, setGindex, submissionGindex } from "../types/light-client.ts";
import { SETS_KEPT } from "../types/validator-set.ts";
import type { State } from "./state.ts";

const branchOf = (node: Node, gindex: bigint): Uint8Array[] => new Tree(node).getSingleProof(gindex);

/** The stored set of an epoch, which the caller knows to be there. */
export function setProof(state: State, epoch: number): SetProof {
  state.commit();
  const set = state.sets.getReadonly(epoch % SETS_KEPT).toValue();
  return { set, branch: branchOf(state.node, setGindex(epoch)) };
}

/** The bucket that an address belongs to. */
export function accountBranch(
  state: State,
  address: Uint8Array,
): { readonly accounts: Account[]; readonly branch: Uint8Array[] } {
  state.commit();
  const accounts = state.accounts.getReadonly(bucketOf(address, ACCOUNT_BUCKETS)).getAllReadonlyValues();
  return { accounts, branch: branchOf(state.node, accountGindex(address)) };
}

export function submissionBranch(body: Body, index: number): Uint8Array[] {
  return branchOf(BodyType.toView(body as never).node, submissionGindex(index));
}
