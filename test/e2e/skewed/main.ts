/**
 * The real node on a machine whose clock is wrong: the process's Date is shifted before the node is loaded.
 * Started by machine.test.ts: `node test/e2e/skewed/main.ts --dir DIR --ms=MS`.
 */
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { dir: { type: "string" }, ms: { type: "string" } } });
const shiftMs = Number(values.ms);
const now = Date.now.bind(Date);
Date.now = () => now() + shiftMs;

const { runNode } = await import("../../../node/main.ts");
await runNode(values.dir ?? "");
process.exit(0);
