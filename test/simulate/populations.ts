/** How pods behave: honest ones, and those who want pay for nothing. Rows are generated, or given (WDBC). */
import {
  activeRowsOf,
  FEATURE_MAX,
  FEATURE_MIN,
  gradientOf,
  type Rows,
} from "../../consensus/work/gradient.ts";
import { commitPool, digest, type Pool, type SlotWork, type Work, type Worker } from "./world.ts";

/** Rows of a pod's batch. */
export type Source = (pod: string, batch: number, slot: SlotWork) => Rows;

/** A stream of bytes for a text, 32 of them a digest. */
export function noiseOf(text: string, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0, i = 0; at < count; at += 32, i++)
    bytes.set(digest(`${text}/${i}`).subarray(0, Math.min(32, count - at)), at);
  return bytes;
}

/** Rows whose label says on which side of a plane they lie; one row in `wrong` is labelled at random. */
export function generatedRows(text: string, rows: number, features: number, wrong = 16): Rows {
  const noise = noiseOf(text, rows * (features + 1));
  const x = new Int16Array(rows * features);
  const y = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) {
    let side = 0;
    for (let j = 0; j < features; j++) {
      const value = ((noise[i * (features + 1) + j] ?? 0) - 128) * 4;
      x[i * features + j] = value;
      side += j % 2 === 0 ? value : value / 2;
    }
    const coin = noise[i * (features + 1) + features] ?? 0;
    y[i] = coin % wrong === 0 ? coin >> 7 : side > 0 ? 1 : 0;
  }
  return { features, x, y };
}

export const generated: Source = (pod, batch, { shape }) =>
  generatedRows(`rows/${pod}/${batch}`, shape.rows, shape.features);

/** A sponsor's pool of generated rows of the same kind. */
export function generatedPool(name: string, slices: number, features: number): Pool {
  return commitPool(
    Array.from({ length: slices }, (_, i) => generatedRows(`holdout/${name}/${i}`, 8, features)),
    name,
  );
}

/** What a pod proves of these rows: nothing if too few are active, because the circuit refuses them. */
function provedOf({ model, shape }: SlotWork, rows: Rows, content: string): Work | undefined {
  if (activeRowsOf(model, rows) < shape.minActive) return undefined;
  return { gradient: gradientOf(model, rows), content };
}

export const honest =
  (source: Source = generated): Worker =>
  (slot) =>
    provedOf(slot, source(slot.pod, slot.batch, slot), `${slot.pod}/${slot.batch}`);

/** Honest work on rows that a liar changes first. */
const onRows =
  (change: (rows: Rows, text: string) => Rows) =>
  (source: Source = generated): Worker =>
  (slot) => {
    const text = `${slot.pod}/${slot.batch}`;
    return provedOf(slot, change(source(slot.pod, slot.batch, slot), text), text);
  };

export const labelFlip = onRows((rows) => ({ ...rows, y: rows.y.map((label) => 1 - label) }));
export const shuffled = onRows((rows, text) => {
  const noise = noiseOf(`shuffle/${text}`, rows.y.length);
  const order = [...rows.y.keys()].sort((a, b) => (noise[a] ?? 0) - (noise[b] ?? 0));
  return { ...rows, y: Uint8Array.from(order, (i) => rows.y[i] ?? 0) };
});
export const randomRows = onRows((rows, text) => {
  const noise = noiseOf(`random/${text}`, rows.x.length + rows.y.length);
  return {
    features: rows.features,
    x: rows.x.map((_, i) => Math.max(FEATURE_MIN, Math.min(FEATURE_MAX, ((noise[i] ?? 0) - 128) * 8))),
    y: rows.y.map((_, i) => (noise[rows.x.length + i] ?? 0) & 1),
  };
});
/** One row, as often as the batch has rows. */
export const repeatedRow = onRows((rows) => ({
  features: rows.features,
  x: rows.x.map((_, i) => rows.x[i % rows.features] ?? 0),
  y: rows.y.map(() => rows.y[0] ?? 0),
}));

/** Rows that cancel out. */
export const zeroGradient: Worker = ({ shape, pod, batch }) => ({
  gradient: new Array<number>(shape.features + 1).fill(0),
  content: `${pod}/${batch}`,
});

/** Another pod's batch under the own identity: the data tag is the victim's. */
export const exactCopy =
  (victim: string, source: Source = generated): Worker =>
  (slot) =>
    provedOf(slot, source(victim, slot.batch, slot), `${victim}/${slot.batch}`);

/** Another pod's batch, each value moved a little, so that its tag is new. */
export const nearCopy = (victim: string, source: Source = generated): Worker =>
  onRows((rows, text) => {
    const noise = noiseOf(`near/${text}`, rows.x.length);
    const moved = rows.x.map((value, i) =>
      Math.max(FEATURE_MIN, Math.min(FEATURE_MAX, value + ((noise[i] ?? 0) % 5) - 2)),
    );
    return { ...rows, x: moved };
  })((_pod, batch, slot) => source(victim, batch, slot));

/** Works in one epoch of `period` only. */
export const bursting =
  (period: number, worker: Worker): Worker =>
  (slot) =>
    slot.epoch % period === 0 ? worker(slot) : undefined;
