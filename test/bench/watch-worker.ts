/**
 * Loaded into the nodes of the throughput bench before their own code (`--import`): says on stdout, four times a
 * second, how long the event loop was held up (perf_hooks), how much of that the main thread spent working, and
 * what processor time went where.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";
import { PROBE_MS } from "./figure.ts";

const REPORT_MS = 250;

const milliseconds = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;
/** Of the main thread, so far. The whole process', a sum over its threads, costs several times as much. */
const mainSpent = (): number => milliseconds(process.threadCpuUsage());

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
  let before = mainSpent();
  let held = 0;
  setInterval(() => {
    const main = mainSpent();
    held = Math.max(held, main - before);
    before = main;
  }, PROBE_MS).unref();
  setInterval(() => {
    const watched: Watched = {
      timeMs: Date.now(),
      delayMs: Math.max(0, delays.max / 1e6 - PROBE_MS),
      heldMs: held,
      mainMs: mainSpent(),
      allMs: milliseconds(process.cpuUsage()),
    };
    delays.reset();
    held = 0;
    process.stdout.write(`${JSON.stringify({ watched })}\n`);
  }, REPORT_MS).unref();
}
