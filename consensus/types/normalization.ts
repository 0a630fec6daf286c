/**
 * What a data set's registration says about the mean and scale that its rows were standardised with.
 * A root may enroll only in a task of the same ones. Pods, genesis makers and nodes call it: pure.
 */
import { hash } from "../primitives/hash.ts";

/** Means, then scales, as little-endian float64: one of each a column, so the halves are told apart. */
export function standardisationBytes(mean: readonly number[], scale: readonly number[]): Uint8Array {
  const values = [...mean, ...scale];
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat64(8 * i, value, true);
  return bytes;
}

/** The inverse of {@link standardisationBytes}. */
export function parseStandardisation(bytes: Uint8Array): { mean: number[]; scale: number[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => view.getFloat64(8 * i, true));
  return { mean: values.slice(0, values.length / 2), scale: values.slice(values.length / 2) };
}

export function normalizationHash(mean: readonly number[], scale: readonly number[]): Uint8Array {
  return hash("data-normalization", standardisationBytes(mean, scale));
}
