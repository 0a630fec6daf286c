/**
 * Whether a public gradient is that of a single row, counted several times. Called by `score.ts`: such a
 * contribution is worth nothing. docs/decisions/0030-one-row-is-no-batch.md.
 *
 * The circuit asks for at least eight rows with a residual, because the gradient of one row is that row times a
 * number, so whoever reads it reads the row. Rows that are equal pass it. Here they do not: the bias' feature
 * is the constant 1.0, so the bias' entry is Σ r·2^8, and if all rows with a residual are one row x, the other
 * entries over Σ r are x itself.
 */
import {
  ACTIVE_ROWS_MIN,
  FEATURE_MAX,
  FEATURE_MIN,
  FEATURE_SCALE,
  type Rows,
  rowResidual,
  scoreAt,
} from "./gradient.ts";

/**
 * True if the gradient equals k times that of one row under this model, 8 ≤ k ≤ rows; fewer the circuit refuses.
 * Exact, so that no batch is taken for one by being nearly alike: a pod with a single class has rows that differ.
 * From a model of zeros, where all residuals are equal, chance does it once in at least 8^columns batches.
 */
export function isOneRow(model: readonly number[], gradient: readonly number[], rows: number): boolean {
  const features = gradient.length - 1;
  const bias = gradient[features] ?? 0;
  const residuals = bias / FEATURE_SCALE;
  if (bias === 0 || !Number.isInteger(residuals)) return false;
  const x = new Int16Array(features);
  for (let j = 0; j < features; j++) {
    const value = (gradient[j] ?? 0) / residuals;
    if ((gradient[j] ?? 0) % residuals !== 0 || value < FEATURE_MIN || value > FEATURE_MAX) return false;
    x[j] = value;
  }
  const label = residuals < 0 ? 1 : 0;
  const row: Rows = { features, x, y: Uint8Array.of(label) };
  const residual = rowResidual(scoreAt(model, row, 0), label);
  if (residual === 0 || residuals % residual !== 0) return false;
  const copies = residuals / residual;
  return copies >= ACTIVE_ROWS_MIN && copies <= rows;
}
