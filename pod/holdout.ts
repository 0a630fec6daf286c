/**
 * The sponsor's pool of holdout slices: 8 rows and a salt each, under one Merkle root that the task's
 * creation publishes. Made by the devnet's plan, opened slice by slice by pod/sponsor.ts.
 */
import { FaultError } from "../consensus/primitives/faults.ts";
import { merkleBranch, merkleLevels, merkleRoot } from "../consensus/primitives/merkle.ts";
import { encodeFeatures, holdoutLeaf } from "../consensus/types/holdout.ts";
import { HOLDOUT_DEPTH, type HoldoutSlice, SLICE_ROWS } from "../consensus/types/transaction.ts";
import type { Rows } from "../consensus/work/gradient.ts";
import { padRows, sliceRows } from "./dataset.ts";

export type Slice = { readonly rows: Rows; readonly salt: Uint8Array };

export type HoldoutPool = {
  readonly slices: readonly Slice[];
  readonly root: Uint8Array;
  /** @throws `task/reveal-wrong-slices` for an index outside the pool */
  open(index: number): HoldoutSlice;
};

/** Cuts rows into slices with fresh salts; rows that fill no slice are left out. */
export function commitHoldout(rows: Rows, features: number): HoldoutPool {
  const padded = padRows(rows, features);
  const count = Math.min(2 ** HOLDOUT_DEPTH, Math.floor(padded.y.length / SLICE_ROWS));
  if (count === 0)
    throw new FaultError("table/too-small", { holdoutRows: rows.y.length, rowsMin: SLICE_ROWS });
  return openHoldout(
    Array.from({ length: count }, (_, i) => ({
      rows: sliceRows(padded, i * SLICE_ROWS, (i + 1) * SLICE_ROWS),
      salt: crypto.getRandomValues(new Uint8Array(32)),
    })),
  );
}

/** The commitment to slices that have their salts already: read back from disk. */
export function openHoldout(slices: readonly Slice[]): HoldoutPool {
  const levels = merkleLevels(
    slices.map(({ rows, salt }) => holdoutLeaf(salt, encodeFeatures(rows.x), rows.y)),
    HOLDOUT_DEPTH,
  );
  return {
    slices,
    root: merkleRoot(levels),
    open: (index) => {
      const slice = slices[index];
      if (slice === undefined)
        throw new FaultError("task/reveal-wrong-slices", { index, slices: slices.length });
      const { rows, salt } = slice;
      return {
        index,
        salt,
        features: encodeFeatures(rows.x),
        labels: rows.y,
        branch: merkleBranch(levels, index),
      };
    },
  };
}
