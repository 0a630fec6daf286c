/**
 * Loaded into the nodes of the throughput bench before their own code (`--import`): says on stdout, four times a
 * second, how long the event loop was held up (perf_hooks), how much of that the main thread spent working, and
 * what processor time went where.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";
import { PROBE_MS } from "./figure.ts";

const REPORT_MS = 250;

/** Milliseconds of processor time so far: of the main thread, of the whole process. */
const spent = (): { main: number; all: number } => {
  const [main, all] = [process.threadCpuUsage(), process.cpuUsage()];
  return { main: (main.user + main.system) / 1000, all: (all.user + all.system) / 1000 };
};

export type Watched = {
  readonly timeMs: number;
  /** The longest delay of the event loop since the last report, by perf_hooks. */
  readonly delayMs: number;
  /** The most processor time the main thread took between two looks at the clock that were 10 ms apart at least. */
  readonly heldMs: number;
  readonly mainMs: number;
  readonly allMs: number;
};

if (isMainThread) {
  const delays = monitorEventLoopDelay({ resolution: PROBE_MS });
  delays.enable();
  let before = spent().main;
  let held = 0;
  setInterval(() => {
    const { main } = spent();
    held = Math.max(held, main - before);
    before = main;
  }, PROBE_MS).unref();
  setInterval(() => {
    const { main, all } = spent();
    const watched: Watched = {
      timeMs: Date.now(),
      delayMs: Math.max(0, delays.max / 1e6 - PROBE_MS),
      heldMs: held,
      mainMs: main,
      allMs: all,
    };
    delays.reset();
    held = 0;
    process.stdout.write(`${JSON.stringify({ watched })}\n`);
  }, REPORT_MS).unref();
}
