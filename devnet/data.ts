/**
 * The rows of a devnet: generated ones with a known truth, or the user's own table, dealt to pods, to the
 * sponsor's holdout and to a test set that nobody trains or is paid on. Called by the devnet's plan and tests.
 *
 * Deterministic on every machine: a seeded generator of integers, and of floats only + − × ÷ √, which IEEE 754
 * fixes (no Math.log or Math.cos, which it does not).
 */
import { FaultError } from "../consensus/primitives/faults.ts";
import type { Label, RawRows, Table } from "../pod/table.ts";

/** A holdout slice on the chain. */
const SLICE_ROWS = 8;
/** Leaves of a data tree. */
const BATCHES_MAX = 1_024;
const TEST_ROWS_MIN = 2;
/** One row in so many is kept for the test if the number of batches is not given. */
const TEST_PART = 10;

/** mulberry32 (public domain, Tommy Ettinger): uniform in [0, 1), 2^32 steps. Not for secrets. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** About normal, within ±6: twelve uniforms summed (Irwin–Hall). */
function normal(random: () => number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random();
  return sum;
}

export type GeneratedOptions = { readonly seed: number; readonly rows: number; readonly features: number };

/** Distance of the classes' means over all features together, in deviations of a feature's own noise. */
const SEPARATION = 5.2;
/** Deviation of the disturbance over all features that have it together. */
const DISTURBANCE = 2.45;

/**
 * Two classes, three in eight positive. Every feature shows the class and has noise of its own; every second one
 * also has a disturbance that they share; each has a scale and offset of its own, as measurements do. For any
 * number of features the difference of the means alone tells about 90 % of rows (where training starts), and
 * the best model, which cancels the disturbance with the undisturbed features, about 97.5 %.
 */
export function generatedTable({ seed, rows, features }: GeneratedOptions): Table {
  const random = createRandom(seed);
  const columns = Array.from({ length: features }, (_, j) => ({
    signal: SEPARATION / Math.sqrt(features),
    disturbance: j % 2 === 0 ? DISTURBANCE / Math.sqrt(Math.ceil(features / 2)) : 0,
    scale: 1 + 9 * random(),
    offset: 100 * random(),
  }));
  const table: number[][] = [];
  const labels: Label[] = [];
  for (let i = 0; i < rows; i++) {
    const label = (i * 3) % 8 < 3 ? 1 : 0;
    const side = label === 1 ? 0.5 : -0.5;
    const shared = normal(random);
    labels.push(label);
    table.push(
      columns.map((it) => {
        const value = side * it.signal + shared * it.disturbance + normal(random);
        return Math.round((it.offset + it.scale * value) * 1e4) / 1e4;
      }),
    );
  }
  return { columns: columns.map((_, j) => `measure-${j + 1}`), rows: table, labels };
}

export type DealOptions = {
  readonly pods: number;
  readonly batchRows: number;
  /** Batches of each pod; without it, as many as leave a tenth of the rows (at least 2) for the test. */
  readonly batchesPerPod?: number;
  readonly holdoutSlices: number;
  readonly sliceRows?: number;
  readonly seed: number;
};

export type Dealt = {
  /** Of each pod: whole batches, in their order. */
  readonly pods: readonly RawRows[];
  /** The sponsor's: whole slices, in their order. */
  readonly holdout: RawRows;
  /** All the rest. */
  readonly test: RawRows;
};

/**
 * Deals every row once, in a seeded order in which the classes alternate in proportion: any batch or slice has
 * its share of both, to within a row.
 * @throws `table/too-small`, which says how many rows are needed
 */
export function deal(table: RawRows, options: DealOptions): Dealt {
  const { pods, batchRows, holdoutSlices, seed, sliceRows = SLICE_ROWS } = options;
  const rows = table.rows.length;
  const holdoutRows = holdoutSlices * sliceRows;
  const roundRows = pods * batchRows;
  const rowsNeeded = roundRows * (options.batchesPerPod ?? 1) + holdoutRows + TEST_ROWS_MIN;
  if (rows < rowsNeeded) {
    throw new FaultError("table/too-small", { rows, rowsNeeded, pods, batchRows, holdoutRows });
  }
  const testRows = Math.max(TEST_ROWS_MIN, Math.ceil(rows / TEST_PART));
  const fitting = Math.floor((rows - holdoutRows - testRows) / Math.max(1, roundRows));
  const batches = options.batchesPerPod ?? Math.min(BATCHES_MAX, Math.max(1, fitting));

  const order = balancedOrder(table.labels, createRandom(seed));
  let at = 0;
  const take = (count: number): RawRows => {
    const taken = order.slice(at, at + count);
    at += taken.length;
    return { rows: taken.map((i) => table.rows[i] ?? []), labels: taken.map((i) => table.labels[i] ?? 0) };
  };
  const holdout = take(holdoutRows);
  const dealt = Array.from({ length: pods }, () => take(batches * batchRows));
  return { pods: dealt, holdout, test: take(rows) };
}

/** Each class shuffled, then both merged so that every stretch has them in the table's proportion. */
function balancedOrder(labels: readonly Label[], random: () => number): number[] {
  const classes = ([0, 1] as const).map((label) => {
    const members = [...labels.keys()].filter((i) => labels[i] === label);
    for (let i = members.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      const other = members[j] ?? 0;
      members[j] = members[i] ?? 0;
      members[i] = other;
    }
    return members.map((row, i) => ({ row, place: (i + 0.5) / members.length }));
  });
  return classes
    .flat()
    .sort((a, b) => a.place - b.place)
    .map(({ row }) => row);
}
