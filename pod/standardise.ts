/**
 * From a person's numbers to the circuit's: mean 0 and deviation 1 by the task's published figures, then fixed
 * point. The sponsor calls {@link standardOf} on its own rows, pods call {@link toFixed} with what it published.
 *
 * This is where floats end: whatever follows is an exact integer. It isn't consensus, since a pod commits to
 * the integers it gets; two machines that rounded differently would only have different data.
 */
import { FaultError } from "../consensus/primitives/faults.ts";
import { FEATURE_MAX, FEATURE_MIN, FEATURE_SCALE, type Rows } from "../consensus/work/gradient.ts";
import type { Standard } from "./dataset.ts";
import type { RawRows } from "./table.ts";

/** Mean and population deviation of every column, in float64; a column that does not vary has scale 1. */
export function standardOf({ rows }: Pick<RawRows, "rows">): Standard {
  const columns = rows[0]?.length ?? 0;
  const mean: number[] = [];
  const scale: number[] = [];
  for (let j = 0; j < columns; j++) {
    const values = rows.map((row) => row[j] ?? 0);
    const varies = values.some((value) => value !== values[0]);
    const centre = varies ? average(values) : (values[0] ?? 0);
    const deviation = Math.sqrt(average(values.map((value) => (value - centre) ** 2)));
    mean.push(centre);
    scale.push(varies && deviation > 0 ? deviation : 1);
  }
  return { mean, scale };
}

const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/**
 * (value − mean) / scale in Q8, to the nearest, clipped to 12 bits: beyond eight deviations all is alike.
 * @throws `table/invalid` if a row has another number of columns than the standard
 */
export function toFixed({ rows, labels }: RawRows, { mean, scale }: Standard): Rows {
  const features = mean.length;
  const x = new Int16Array(rows.length * features);
  for (const [i, row] of rows.entries()) {
    if (row.length !== features) {
      throw new FaultError("table/invalid", { found: `${row.length} feature columns`, expected: features });
    }
    for (let j = 0; j < features; j++) {
      const standard = ((row[j] ?? 0) - (mean[j] ?? 0)) / (scale[j] ?? 1);
      x[i * features + j] = Math.min(
        FEATURE_MAX,
        Math.max(FEATURE_MIN, Math.round(standard * FEATURE_SCALE)),
      );
    }
  }
  return { features, x, y: Uint8Array.from(labels) };
}
