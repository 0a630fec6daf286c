/**
 * How late this process is: percentiles of the event loop's delay for the operator, and the worst delay
 * since a moment for the reason of a missed view. Made by node.ts, read by the driver and the status.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Percentiles cover the last one to two of these. */
const PERIOD_MS = 60_000;
/** The histogram's timer; what it records of an idle loop is this long, and is no delay. */
const RESOLUTION_MS = 20;
const PROBE_MS = 50;
/** Delays shorter than this explain nothing. */
const NOTABLE_MS = 25;
const DELAYS_MAX = 64;

export type LagSummary = { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };

export type Lag = ReturnType<typeof createLag>;

export function createLag() {
  const startHistogram = () => {
    const it = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    it.enable();
    return it;
  };
  /** The older one answers. A reset would lose the delay that is just going on, so they take turns. */
  let older = startHistogram();
  let younger = startHistogram();
  const turning = setInterval(() => {
    older.disable();
    older = younger;
    younger = startHistogram();
  }, PERIOD_MS);

  const delays: { readonly endMs: number; readonly lagMs: number }[] = [];
  let probedMs = performance.now();
  const probing = setInterval(() => {
    const endMs = performance.now();
    const lagMs = endMs - probedMs - PROBE_MS;
    probedMs = endMs;
    if (lagMs < NOTABLE_MS) return;
    delays.push({ endMs, lagMs });
    if (delays.length > DELAYS_MAX) delays.shift();
  }, PROBE_MS);
  for (const timer of [turning, probing]) timer.unref();

  const delayOf = (nanoseconds: number): number =>
    Math.max(0, Math.round(nanoseconds / 1e5 - 10 * RESOLUTION_MS) / 10);

  return {
    /** The longest delay that ended after `sinceMs` (of performance.now) or still goes on; 0 if none was notable. */
    worstSince(sinceMs: number): number {
      const present = performance.now() - probedMs - PROBE_MS;
      const ended = delays.filter(({ endMs }) => endMs >= sinceMs).map(({ lagMs }) => lagMs);
      return Math.max(0, present >= NOTABLE_MS ? present : 0, ...ended);
    },
    summary: (): LagSummary => ({
      p50Ms: delayOf(older.percentile(50)),
      p99Ms: delayOf(older.percentile(99)),
      maxMs: delayOf(older.max),
    }),
    stop(): void {
      clearInterval(turning);
      clearInterval(probing);
      older.disable();
      younger.disable();
    },
  };
}
