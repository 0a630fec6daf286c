/**
 * A step of the model along summed gradients, and the loss of many models on the same rows: what scoring a
 * round repeats four thousand times. Called by `score.ts`; the SDK may replay a round with it.
 */
import { clampWeight, FEATURE_SCALE, type Rows, rowLoss } from "./gradient.ts";

/** A step is `⌊numerator · Σg / (K·N·2^(18 + shift))⌋` in Q16 weights; numerator / 2^shift is the learning rate. */
export type Rate = { readonly numerator: number; readonly shift: number };

const RATE_NUMERATOR_MAX = 2 ** 16;
const RATE_SHIFT_MAX = 32;
/** From the gradient's 2^34 to the weights' 2^16. */
const UNIT_SHIFT = 2 ** 18;

/** Whether a task may use this rate. `scoreRound` scores nothing under any other. */
export function rateValid({ numerator, shift }: Rate): boolean {
  return (
    Number.isInteger(numerator) &&
    numerator >= 1 &&
    numerator <= RATE_NUMERATOR_MAX &&
    Number.isInteger(shift) &&
    shift >= 0 &&
    shift <= RATE_SHIFT_MAX
  );
}

/**
 * w − ⌊numerator·Σg / (divisor·2^(18+shift))⌋, saturated. Nested floors of divisions by positive integers equal
 * one floor of the division by their product, so 2^18 goes first: |Σg| ≤ 2^51 leaves 33 bits, a numerator of at
 * most 2^16 makes 49, and the remainder by `%` is exact.
 */
export function stepModel(
  model: readonly number[],
  sum: readonly number[],
  divisor: number,
  { numerator, shift }: Rate,
): number[] {
  const rest = divisor * 2 ** shift;
  return model.map((weight, j) => {
    const total = sum[j] ?? 0;
    const high = Math.floor(total / UNIT_SHIFT);
    const low = total - high * UNIT_SHIFT;
    const scaled = numerator * high + Math.floor((numerator * low) / UNIT_SHIFT);
    const remainder = scaled % rest;
    const step = (scaled - (remainder < 0 ? remainder + rest : remainder)) / rest;
    return clampWeight(weight - step);
  });
}

/**
 * `lossOf` of gradient.ts for thousands of models on the same rows: the same exact sum, four features at a time
 * over padded rows, which is three times as fast. A round of 64 gradients needs 4,225 of them.
 */
export function createLoss({ features, x, y }: Rows): (model: readonly number[]) => number {
  const width = Math.ceil(features / 4) * 4;
  const padded = new Float64Array(y.length * width);
  for (let i = 0; i < y.length; i++) {
    for (let j = 0; j < features; j++) padded[i * width + j] = x[i * features + j] ?? 0;
  }
  const weights = new Float64Array(width);
  return (model) => {
    for (let j = 0; j < features; j++) weights[j] = model[j] ?? 0;
    return sumLoss(padded, y, weights, (model[features] ?? 0) * FEATURE_SCALE);
  };
}

function sumLoss(x: Float64Array, y: Uint8Array, weights: Float64Array, bias: number): number {
  let sum = 0;
  let at = 0;
  for (let i = 0; i < y.length; i++) {
    let a = bias;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let j = 0; j < weights.length; j += 4) {
      a += (weights[j] ?? 0) * (x[at] ?? 0);
      b += (weights[j + 1] ?? 0) * (x[at + 1] ?? 0);
      c += (weights[j + 2] ?? 0) * (x[at + 2] ?? 0);
      d += (weights[j + 3] ?? 0) * (x[at + 3] ?? 0);
      at += 4;
    }
    sum += rowLoss(a + b + c + d, y[i] ?? 0);
  }
  return sum;
}
