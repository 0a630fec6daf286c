/**
 * How a node's process is started: the arguments for Node. Used by `zkp node start`, the devnet and the tests, so
 * that a node is the same however it is started.
 */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
/**
 * On a large machine V8 lets each half of the youngest objects' space grow to 64 MB before it collects: more than
 * all that a node holds. With 16 it takes 100 MB less, and no more of the processor; 8 would cost an eighth more of it
 * (docs/performance.md, "Memory").
 */
const SEMI_SPACE_MB = 16;

export const nodeArgs = (dir: string, script = MAIN): string[] => [
  `--max-semi-space-size=${SEMI_SPACE_MB}`,
  script,
  "--dir",
  dir,
];
