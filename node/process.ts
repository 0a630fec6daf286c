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

export const nodeArgs = (dir: string, script = MAIN): string[] => [
  `--max-semi-space-size=${SEMI_SPACE_MB}`,
  `--v8-pool-size=${V8_THREADS}`,
  script,
  "--dir",
  dir,
];

/**
 * The environment of a node and of those that work beside it. Each of a process' dozen threads would have a heap of
 * the C library's own, which keeps what is freed in it: two are enough, and take 30 MB less. Other C libraries
 * don't know the name.
 */
export const nodeEnv = (): NodeJS.ProcessEnv => ({ MALLOC_ARENA_MAX: "2", ...process.env });
