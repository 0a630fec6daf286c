/**
 * The losses of many models on the same rows: what scoring a round does four thousand times. The same exact sums
 * as `lossOf` of gradient.ts, two models and four rows at a time. Called by `score.ts`.
 *
 * Exact in float64: a product is < 2^34, a margin < 2^40, a sum over 4,096 rows < 2^53, and every partial sum is
 * an integer, so the order of adding does not matter. Two models by four rows keep eight sums in registers and
 * load six numbers for eight products, which is twice as fast as one model and one row.
 */
import { FEATURE_SCALE, marginLoss, type Rows } from "./gradient.ts";

const HALF = 2 ** 25;
const ROWS_AT_ONCE = 4;

export type Losses = {
  /** Entries of a model: the weights and the bias. */
  readonly width: number;
  /** The summed loss of each of `count` models, which stand one after the other. */
  of(models: Float64Array, count: number): Float64Array;
};

export function createLosses({ features, x, y }: Rows): Losses {
  const width = features + 1;
  const rows = Math.ceil(y.length / ROWS_AT_ONCE) * ROWS_AT_ONCE;
  // Signed so that 2^25 + Σ w·x is the margin's a of both labels, with the bias' feature last.
  const signed = new Float64Array(rows * width);
  for (let i = 0; i < y.length; i++) {
    const sign = y[i] === 1 ? -1 : 1;
    for (let j = 0; j < features; j++) signed[i * width + j] = sign * (x[i * features + j] ?? 0);
    signed[i * width + features] = sign * FEATURE_SCALE;
  }
  // A row of zeros has the margin 2^25 under every model.
  const padding = (rows - y.length) * marginLoss(HALF);
  return {
    width,
    of(models, count) {
      const even = count % 2 === 0 ? models : withOneMore(models, count, width);
      const sums = new Float64Array(count + (count % 2));
      for (let at = 0; at < sums.length; at += 2) addLosses(signed, even, width, at, sums);
      for (let at = 0; at < count; at++) sums[at] = (sums[at] ?? 0) - padding;
      return sums.subarray(0, count);
    },
  };
}

function withOneMore(models: Float64Array, count: number, width: number): Float64Array {
  const more = new Float64Array((count + 1) * width);
  more.set(models.subarray(0, count * width));
  return more;
}

/** The sums of models `at` and `at + 1`. */
function addLosses(
  rows: Float64Array,
  models: Float64Array,
  width: number,
  at: number,
  sums: Float64Array,
): void {
  const p = at * width;
  const q = p + width;
  let sumP = 0;
  let sumQ = 0;
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE * width) {
    const second = start + width;
    const third = second + width;
    const fourth = third + width;
    let p0 = HALF;
    let p1 = HALF;
    let p2 = HALF;
    let p3 = HALF;
    let q0 = HALF;
    let q1 = HALF;
    let q2 = HALF;
    let q3 = HALF;
    for (let j = 0; j < width; j++) {
      const u = models[p + j] ?? 0;
      const v = models[q + j] ?? 0;
      const x0 = rows[start + j] ?? 0;
      const x1 = rows[second + j] ?? 0;
      const x2 = rows[third + j] ?? 0;
      const x3 = rows[fourth + j] ?? 0;
      p0 += u * x0;
      p1 += u * x1;
      p2 += u * x2;
      p3 += u * x3;
      q0 += v * x0;
      q1 += v * x1;
      q2 += v * x2;
      q3 += v * x3;
    }
    sumP += marginLoss(p0) + marginLoss(p1) + marginLoss(p2) + marginLoss(p3);
    sumQ += marginLoss(q0) + marginLoss(q1) + marginLoss(q2) + marginLoss(q3);
  }
  sums[at] = sumP;
  sums[at + 1] = sumQ;
}
