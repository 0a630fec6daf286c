/**
 * A holdout slice's encoding and its leaf: the one place where rows become the bytes that a sponsor
 * commits to and a node opens. Sponsors (pod/holdout.ts) and the state transition call it: pure.
 */
import { hash } from "../primitives/hash.ts";
import type { HoldoutSlice } from "./transaction.ts";

/** Leaf of the holdout tree: labels have a fixed length, so that only one part varies. */
export function holdoutLeaf(salt: Uint8Array, features: Uint8Array, labels: Uint8Array): Uint8Array {
  return hash("holdout-leaf", salt, features, labels);
}

export function sliceLeaf(slice: Pick<HoldoutSlice, "salt" | "features" | "labels">): Uint8Array {
  return holdoutLeaf(slice.salt, slice.features, slice.labels);
}

/** Features in Q8, row by row, as 16-bit little-endian two's complement. */
export function encodeFeatures(features: Int16Array): Uint8Array {
  const bytes = new Uint8Array(2 * features.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of features.entries()) view.setInt16(2 * i, value, true);
  return bytes;
}

/** The inverse of {@link encodeFeatures}; a trailing odd byte is not read, so callers compare lengths first. */
export function decodeFeatures(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int16Array.from({ length: Math.floor(bytes.length / 2) }, (_, i) => view.getInt16(2 * i, true));
}
