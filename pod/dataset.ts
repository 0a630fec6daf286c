/**
 * A data set as a pod commits to it: rows in batches of the shape's size, a random salt a batch, the
 * Merkle root that the chain knows. Rows and salts never leave the pod's machine. Called by the agent's
 * owners (devnet, CLI, SDK) to make one, by the agent to prove from it. Runs in a browser.
 */
import { contentOf, leafOf, type MerkleTree, merkleTree } from "../circuits/hash.ts";
import { bytesToBigint } from "../consensus/primitives/bytes.ts";
import { FaultError, invariant } from "../consensus/primitives/faults.ts";
import { normalizationHash } from "../consensus/types/normalization.ts";
import { fieldToBytes } from "../consensus/types/submission.ts";
import { type GradientShape, type Rows, rowsValid } from "../consensus/work/gradient.ts";

/** Mean and scale, one a column: what the task publishes. */
export type Standard = { readonly mean: readonly number[]; readonly scale: readonly number[] };

export type Batch = {
  readonly rows: Rows;
  /** 128 random bits, without which the leaf could be guessed from likely rows. */
  readonly salt: bigint;
};

export type Dataset = {
  readonly shape: GradientShape;
  readonly batches: readonly Batch[];
  readonly tree: MerkleTree;
  /** The tree's root as the chain has it: 32 bytes little-endian. */
  readonly dataRoot: Uint8Array;
  readonly standard: Standard;
  readonly normalization: Uint8Array;
};

/** The same rows with zero columns up to `features`; more columns than that are an error. */
export function padRows(rows: Rows, features: number): Rows {
  if (rows.features === features) return rows;
  if (rows.features > features) {
    throw new FaultError("table/invalid", {
      columns: rows.features,
      expected: `at most ${features} columns`,
    });
  }
  const x = new Int16Array(rows.y.length * features);
  for (let i = 0; i < rows.y.length; i++) {
    x.set(rows.x.subarray(i * rows.features, (i + 1) * rows.features), i * features);
  }
  return { features, x, y: rows.y };
}

/** Mean 0 and scale 1 for the columns that padding adds: a padded column is 0 before and after. */
export function padStandard({ mean, scale }: Standard, features: number): Standard {
  const fill = (values: readonly number[], by: number): number[] => [
    ...values,
    ...new Array<number>(Math.max(0, features - values.length)).fill(by),
  ];
  return { mean: fill(mean, 0), scale: fill(scale, 1) };
}

/** Rows `from` … `to` − 1. */
export function sliceRows({ features, x, y }: Rows, from: number, to: number): Rows {
  return { features, x: x.slice(from * features, to * features), y: y.slice(from, to) };
}

/** A random order: a table sorted by its label would otherwise give batches of one kind. */
export function shuffleRows({ features, x, y }: Rows): Rows {
  const order = Array.from(y, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomBelow(i + 1);
    const at = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = at;
  }
  const shuffled = { features, x: new Int16Array(x.length), y: new Uint8Array(y.length) };
  for (const [to, from] of order.entries()) {
    shuffled.x.set(x.subarray(from * features, (from + 1) * features), to * features);
    shuffled.y[to] = y[from] ?? 0;
  }
  return shuffled;
}

/** Below 2^32 without bias. */
function randomBelow(bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const value = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    if (value < limit) return value % bound;
  }
}

function randomSalt(): bigint {
  return bytesToBigint(crypto.getRandomValues(new Uint8Array(16)));
}

/** How many whole batches so many rows give; an incomplete one is dropped. */
export function batchesOf(rows: number, shape: GradientShape): number {
  return Math.min(2 ** shape.depth, Math.floor(rows / shape.rows));
}

/** Cuts rows, in their order, into batches with fresh salts and commits to them. */
export function commitRows(rows: Rows, shape: GradientShape, standard: Standard): Dataset {
  const padded = padRows(rows, shape.features);
  const count = batchesOf(padded.y.length, shape);
  if (count === 0) throw new FaultError("table/too-small", { rows: rows.y.length, rowsMin: shape.rows });
  const batches = Array.from({ length: count }, (_, i) => ({
    rows: sliceRows(padded, i * shape.rows, (i + 1) * shape.rows),
    salt: randomSalt(),
  }));
  return openDataset(batches, shape, standard);
}

/** The commitment to batches that have their salts already: read back from disk. */
export function openDataset(batches: readonly Batch[], shape: GradientShape, standard: Standard): Dataset {
  for (const { rows } of batches) {
    invariant(
      rowsValid(rows) && rows.y.length === shape.rows && rows.features === shape.features,
      "a batch has the shape's rows",
    );
  }
  const tree = merkleTree(
    batches.map(({ rows, salt }) => leafOf(contentOf(rows), salt)),
    shape.depth,
  );
  return {
    shape,
    batches,
    tree,
    dataRoot: fieldToBytes(tree.root),
    standard,
    normalization: normalizationHash(standard.mean, standard.scale),
  };
}
