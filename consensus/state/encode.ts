/**
 * The state's encoding in steps: the very bytes of `state.serialize()`, without holding a thread for as long as
 * they take. A tree's nodes never change, so that the state may go on being forked and built upon meanwhile.
 * Driven by node/snapshots.ts.
 */
import { getNodesAtDepth, type Node } from "@chainsafe/persistent-merkle-tree";
import { ListCompositeType, type Type, VectorCompositeType } from "@chainsafe/ssz";
import type { Steps } from "../primitives/steps.ts";
import { OFFSET_BYTES } from "../types/buckets.ts";
import { type State, StateType } from "./state.ts";

/** Elements of a list in one step: empty buckets take a microsecond each. */
const ELEMENTS_AT_ONCE = 128;
/** Bytes after which a step ends: a round's contributions are some hundred kilobytes. */
const STEP_BYTES = 64 * 1024;

/** Pieces in their order, and how long they are together. */
type Encoded = { readonly pieces: Uint8Array[]; bytes: number };

const push = (to: Encoded, piece: Uint8Array): void => {
  if (piece.length === 0) return;
  to.pieces.push(piece);
  to.bytes += piece.length;
};

function encodeNode(type: Type<unknown>, node: Node): Uint8Array {
  const bytes = new Uint8Array(type.tree_serializedSize(node));
  const dataView = new DataView(bytes.buffer);
  type.tree_serializeToBytes({ uint8Array: bytes, dataView }, 0, node);
  return bytes;
}

/** The parts behind each other; those of varying size behind offsets, which count from the first byte. */
function join(parts: readonly { readonly isFixed: boolean; readonly encoded: Encoded }[]): Encoded {
  const sizes = parts.map(({ isFixed, encoded }) => (isFixed ? encoded.bytes : OFFSET_BYTES));
  let at = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const whole: Encoded = { pieces: [], bytes: 0 };
  for (const { isFixed, encoded } of parts) {
    if (isFixed) for (const piece of encoded.pieces) push(whole, piece);
    else {
      const offset = new Uint8Array(OFFSET_BYTES);
      new DataView(offset.buffer).setUint32(0, at, true);
      push(whole, offset);
      at += encoded.bytes;
    }
  }
  for (const { isFixed, encoded } of parts)
    if (!isFixed) for (const piece of encoded.pieces) push(whole, piece);
  return whole;
}

/** A list or a vector of composites, some elements a step; anything else at once. */
function* fieldSteps(type: Type<unknown>, node: Node): Steps<Encoded> {
  const encoded: Encoded = { pieces: [], bytes: 0 };
  if (!(type instanceof ListCompositeType || type instanceof VectorCompositeType)) {
    push(encoded, encodeNode(type, node));
    return encoded;
  }
  const element = type.elementType as Type<unknown>;
  const length = type.tree_getLength(node);
  const chunks = type.tree_getChunksNode(node);
  const isFixed = element.fixedSize !== null;
  // Most buckets of the maps are empty, nothing but an offset, and most of those are one and the same node.
  let known: Node | undefined;
  const isEmpty = (it: Node): boolean => {
    if (it === known) return true;
    if (!(element instanceof ListCompositeType) || element.tree_getLength(it) > 0) return false;
    known = it;
    return true;
  };
  const offsets = new DataView(new ArrayBuffer(isFixed ? 0 : OFFSET_BYTES * length));
  push(encoded, new Uint8Array(offsets.buffer));
  for (let from = 0; from < length; from += ELEMENTS_AT_ONCE) {
    const count = Math.min(ELEMENTS_AT_ONCE, length - from);
    let stepped = encoded.bytes;
    for (const [i, it] of getNodesAtDepth(chunks, type.chunkDepth, from, count).entries()) {
      if (!isFixed) offsets.setUint32(OFFSET_BYTES * (from + i), encoded.bytes, true);
      if (isEmpty(it)) continue;
      push(encoded, encodeNode(element, it));
      if (encoded.bytes - stepped < STEP_BYTES) continue;
      stepped = encoded.bytes;
      yield;
    }
    yield;
  }
  return encoded;
}

/** The bytes of a state without pending changes, as any executed block's is. */
export function* encodeSteps({ node }: State): Steps<Uint8Array> {
  const parts: { isFixed: boolean; encoded: Encoded }[] = [];
  const nodes = getNodesAtDepth(node, StateType.depth, 0, StateType.fieldsEntries.length);
  for (const [i, { fieldType }] of StateType.fieldsEntries.entries()) {
    const it = nodes[i];
    if (it === undefined) continue; // a container's tree has a node for each field
    const encoded = yield* fieldSteps(fieldType as Type<unknown>, it);
    parts.push({ isFixed: fieldType.fixedSize !== null, encoded });
  }
  const { pieces, bytes } = join(parts);
  const whole = new Uint8Array(bytes);
  let at = 0;
  let stepped = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
    if (at - stepped < 16 * STEP_BYTES) continue;
    stepped = at;
    yield;
  }
  return whole;
}
