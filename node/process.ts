/**
 * How a node's process is started: the arguments for Node. Used by `zkp node start`, the devnet and the tests, so
 * that a node is the same however it is started.
 */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
/**
 * On a large machine V8 lets each half of the youngest objects' space grow to 64 MB before it collects. With 16 a
 * node takes about 100 MB less; what was measured is in docs/performance.md, "Memory".
 */
const SEMI_SPACE_MB = 16;

export const nodeArgs = (dir: string, script = MAIN): string[] => [
  `--max-semi-space-size=${SEMI_SPACE_MB}`,
  script,
  "--dir",
  dir,
];
