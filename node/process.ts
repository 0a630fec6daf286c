/**
 * How a node's process is started: the arguments for Node, the environment. Used by `zkp node start`, the devnet and the tests, so
 * that a node is the same however it is started.
 */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
/**
 * On a large machine V8 lets each half of the youngest objects' space grow to 64 MB before it collects. With 16 a
 * node takes about 100 MB less; what was measured is in docs/performance.md, "Memory".
 */
const SEMI_SPACE_MB = 16;
/**
 * V8 collects and compiles with four threads beside the main one, on a machine with two cores too, and waits for
 * all of them. Four nodes on one machine finalize a tenth more with one each.
 */
const V8_THREADS = 1;

/**
 * How far old objects may grow past what the last full collection left. V8 decides it anew each time, between a
 * tenth and the fourfold: a node was at 220 MB of heap for 70 in use then, and stood still for 140 ms to collect it.
 */
const HEAP_GROWTH_PERCENT = 60;

export const nodeArgs = (dir: string, script = MAIN): string[] => [
  `--max-semi-space-size=${SEMI_SPACE_MB}`,
  `--v8-pool-size=${V8_THREADS}`,
  `--heap-growing-percent=${HEAP_GROWTH_PERCENT}`,
  script,
  "--dir",
  dir,
];

/**
 * The environment of a node and of those that work beside it: settings of GNU's C library, which others don't know.
 * Each of a process' dozen threads would have a heap of its own, which keeps what is freed in it: two are enough.
 * And large pieces, such as a block's or a state's bytes, go back to the system when they are freed: the library
 * would learn from the first of them to keep such pieces. The two sizes are what it begins with.
 */
export const nodeEnv = (): NodeJS.ProcessEnv => ({
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "131072",
  MALLOC_TRIM_THRESHOLD_: "131072",
  ...process.env,
});
