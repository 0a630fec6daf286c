/**
 * A block that holds here with what its children need, how the finalized tip is had again from the disk,
 * and what is written of blocks that become final. Used by chain.ts alone; others see the type.
 */
import { equalBytes } from "../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../consensus/primitives/faults.ts";
import { Epoch, Height } from "../consensus/primitives/units.ts";
import { setProof } from "../consensus/state/proofs.ts";
import { validatorSet } from "../consensus/state/sets.ts";
import { type State, StateType, stateRoot } from "../consensus/state/state.ts";
import { applyBlock, type BlockReceipt, type Parent } from "../consensus/state/transition.ts";
import { type Block, blockHash } from "../consensus/types/block.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import type { ValidatorSet } from "../consensus/types/validator-set.ts";
import type { Genesis } from "../genesis/state.ts";
import { receiptOps } from "./receipts.ts";
import type { Head, StoreOp } from "./store/ops.ts";
import type { Store } from "./store/store.ts";

/** Genesis has no block. */
export type Executed = {
  readonly hash: Uint8Array;
  readonly height: Height;
  readonly block: Block | undefined;
  readonly state: State;
  /** Of this block's children. */
  readonly set: ValidatorSet;
  readonly receipt: BlockReceipt;
};

/** Of a block that was not executed here. */
const NOTHING: BlockReceipt = { transactions: [], submissions: [], epoch: undefined };

export function executed(
  hash: Uint8Array,
  block: Block | undefined,
  state: State,
  receipt: BlockReceipt = NOTHING,
): Executed {
  return { hash, height: state.height, block, state, set: validatorSet(state, "current"), receipt };
}

export const parentOf = ({ hash, state, set }: Executed): Parent => ({ hash, state, set });

/**
 * The newest snapshot, then the finalized blocks above it; they were checked before they were stored. `boundary` is
 * the newest epoch's end among them, whose state is not on disk.
 */
export function loadFinal(
  genesis: Genesis,
  store: Pick<Store, "head" | "blockAt" | "snapshot" | "snapshotHeights">,
): { readonly final: Executed; readonly boundary: Executed | undefined } {
  const head = store.head();
  let at = executed(genesis.root, undefined, genesis.state);
  let boundary: Executed | undefined;
  if (head === undefined) return { final: at, boundary };
  const from = store
    .snapshotHeights()
    .filter((height) => height <= head.height)
    .at(-1);
  if (from !== undefined) {
    const bytes = store.snapshot(from);
    const block = store.blockAt(from);
    if (bytes === undefined || block === undefined)
      throw new FaultError("node/store-corrupt", { snapshot: from });
    const state = stateOf(bytes, block.header.stateRoot);
    if (state === undefined) throw new FaultError("node/store-corrupt", { snapshot: from, field: "root" });
    at = executed(blockHash(block.header), block, state);
  }
  while (at.height < head.height) {
    const block = store.blockAt(Height(at.height + 1));
    if (block === undefined) throw new FaultError("node/store-corrupt", { missingBlock: at.height + 1 });
    const applied = applyBlock(parentOf(at), block, genesis.params);
    if ("code" in applied)
      throw new FaultError("node/store-corrupt", { block: at.height + 1, cause: applied.code });
    at = executed(blockHash(block.header), block, applied.state, applied.receipt);
    if (applied.receipt.epoch !== undefined) boundary = at;
  }
  return { final: at, boundary };
}

/** A serialized state, if it has this root. What others send may be anything. */
export function stateOf(bytes: Uint8Array, root: Uint8Array): State | undefined {
  let state: State;
  try {
    state = StateType.deserializeToViewDU(bytes);
  } catch {
    return undefined; // the library throws on any malformed input
  }
  return equalBytes(stateRoot(state), root) ? state : undefined;
}

/** The head that a certificate makes of a block: of the block itself, or of one that builds on it. */
export function headOf({ hash, height, block }: Executed, certificate: Certificate): Head {
  const { epoch, view, blockHash: certified } = certificate.subject;
  const own = equalBytes(certified, hash) ? view : block?.header.view;
  invariant(own !== undefined, "genesis is not finalized");
  return { height, hash, epoch, view: own };
}

/**
 * What one batch holds of blocks that a certificate of the last one, or of a descendant of it, makes final:
 * blocks, certificate, indices, receipts, the head, and at an epoch's end its proof. The state follows later.
 */
export function finalOps(path: readonly Executed[], certificate: Certificate): StoreOp[] {
  const newest = path.at(-1);
  invariant(newest !== undefined, "a finalization finalizes something");
  const ops: StoreOp[] = [];
  for (const it of path) {
    const { block, hash, height, receipt } = it;
    invariant(block !== undefined, "only genesis has no block");
    const direct = equalBytes(certificate.subject.blockHash, hash) ? { certificate } : {};
    ops.push({ kind: "finalized", height, hash, block, ...direct });
    ops.push(...receiptOps(it));
    // Nothing is built on an epoch's last block but the next epoch: it is always finalized directly.
    if (receipt.epoch !== undefined && "certificate" in direct) ops.push(epochOp(it, block, certificate));
  }
  ops.push({ kind: "head", head: headOf(newest, certificate) });
  return ops;
}

/** What light clients and nodes far behind need of an epoch's last block; later states no longer show it. */
function epochOp({ state }: Executed, { header }: Block, finalization: Certificate): StoreOp {
  const proof = { finalized: { headers: [header], finalization }, next: setProof(state, state.epoch) };
  return { kind: "epoch-proof", epoch: Epoch(state.epoch - 1), proof };
}

/** What one batch holds of a state that others sent: either all of it is on disk, or the node is where it was. */
export function baseOps(
  base: Executed,
  block: Block,
  certificate: Certificate,
  bytes: Uint8Array,
): StoreOp[] {
  const { height, hash } = base;
  return [
    { kind: "base", height },
    { kind: "finalized", height, hash, block, certificate },
    { kind: "snapshot", height, bytes },
    epochOp(base, block, certificate),
    { kind: "head", head: headOf(base, certificate) },
  ];
}
