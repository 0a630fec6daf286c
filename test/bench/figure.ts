/**
 * What a figure is, and how times are taken. Called by the benches beside it and by main.ts, which prints.
 *
 * A bench is a file that exports `bench`: it yields figures as it finds them. Speeds are ratios measured in one
 * run, the contestants in turn, of medians: machines and their neighbours' load differ, ratios less so.
 */

import { availableParallelism, cpus, loadavg } from "node:os";

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** How many times better than `against`; absent where nothing stands beside it. */
  readonly ratio?: number;
  readonly against?: string;
};

export type Bench = () => AsyncGenerator<Figure>;

/** For people: what the figures were measured on. */
export function machine(): string {
  const [{ model } = { model: "unknown" }] = cpus();
  const load = loadavg()[0]?.toFixed(1);
  return `${model} × ${availableParallelism()}, Node ${process.versions.node}, load ${load}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Milliseconds that a call takes. */
export async function timed(run: () => unknown): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

/** The medians of several contestants that take turns, after a turn each that does not count. */
export async function inTurns<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(contestants) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const taken = await contestants[name]();
      if (round >= 0) times[name].push(taken);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<Name, number>;
}

/** How often delays of an event loop are looked at. */
export const PROBE_MS = 10;
