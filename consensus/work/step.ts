/** A step of the model along summed gradients. Called by `score.ts`; the SDK may replay a round with it. */
import { clampWeight } from "./gradient.ts";

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
 * One weight − ⌊numerator·total / (2^18·rest)⌋, saturated. Nested floors of divisions by positive integers equal
 * one floor of the division by their product, so 2^18 goes first: |total| ≤ 2^51 leaves 33 bits, and a numerator
 * of at most 2^16 makes |scaled| ≤ 2^50. Its quotient may be rounded, but never up to an integer: it is at least
 * 1/rest below one, and half a unit of its last place is at most 2^50/rest · 2^−53. So the floor is exact.
 */
function stepWeight(weight: number, total: number, numerator: number, rest: number): number {
  const high = Math.floor(total / UNIT_SHIFT);
  const low = total - high * UNIT_SHIFT;
  const scaled = numerator * high + Math.floor((numerator * low) / UNIT_SHIFT);
  return clampWeight(weight - Math.floor(scaled / rest));
}

/** w − ⌊numerator·Σg / (divisor·2^(18+shift))⌋, saturated. */
export function stepModel(
  model: readonly number[],
  sum: readonly number[],
  divisor: number,
  { numerator, shift }: Rate,
): number[] {
  const rest = divisor * 2 ** shift;
  return model.map((weight, j) => stepWeight(weight, sum[j] ?? 0, numerator, rest));
}

/** {@link stepModel} for `count` sums that stand one after the other, each as long as the model. */
export function stepModels(
  model: readonly number[],
  sums: Float64Array,
  count: number,
  divisor: number,
  { numerator, shift }: Rate,
): Float64Array {
  const width = model.length;
  const rest = divisor * 2 ** shift;
  const from = Float64Array.from(model);
  const models = new Float64Array(count * width);
  for (let start = 0; start < models.length; start += width) {
    for (let j = 0; j < width; j++)
      models[start + j] = stepWeight(from[j] ?? 0, sums[start + j] ?? 0, numerator, rest);
  }
  return models;
}
