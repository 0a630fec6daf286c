/** The process of one node: `node node/main.ts --dir DIR`. Prints one JSON line when it is ready. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { FaultError } from "../consensus/primitives/faults.ts";
import { parseGenesis } from "../genesis/document.ts";
import { loadConfig } from "./config.ts";
import { EXIT, exitCodeOf } from "./exit.ts";
import { createLogger } from "./log.ts";
import { type NodeComponents, startNode } from "./node.ts";

/** Runs until a signal. `components` replace those that a node has by itself. */
export async function runNode(
  dir: string,
  components: Pick<NodeComponents, "createNetwork"> = {},
): Promise<void> {
  const config = await loadConfig(dir);
  const genesis = parseGenesis(await readFile(config.genesis, "utf8"));
  const log = createLogger({ level: config.logLevel, file: join(dir, "node.log"), node: config.name });
  const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
  const node = await startNode({ dir, config, genesis }, { log, onFatal: end, ...components });
  process.stdout.write(
    `${JSON.stringify({ ready: { name: config.name, rpc: node.rpcUrl, addresses: node.addresses } })}\n`,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end(undefined));
  const error = await ended;
  if (error !== undefined) log.error({ err: error }, "fatal");
  await node.stop();
  if (error !== undefined) throw error;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { dir: { type: "string" } } });
  if (values.dir === undefined) {
    process.stderr.write("usage: node node/main.ts --dir DIR\n");
    process.exit(EXIT.usage);
  }
  try {
    await runNode(values.dir);
    process.exit(EXIT.ok);
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? (error instanceof FaultError ? error.message : error.stack) : String(error)}\n`,
    );
    process.exit(exitCodeOf(error));
  }
}
