/** `zkp node start` (and, in files of their own, `init`, `status` and `clear-halt`): runs node/main.ts in a process of its own, so that it is the same however it is started. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Command, Option } from "commander";
import { nodeArgs, nodeEnv } from "../node/process.ts";
import { addClearHalt } from "./node-halt.ts";
import { addNodeInit } from "./node-init.ts";
import { addNodeStatus } from "./node-status.ts";

const EXAMPLES = `Examples:
  zkp node start --dir mynet/node-0            with the config.json and keys in this folder
`;

export function addNode(program: Command, signal: AbortSignal): void {
  const node = program.command("node").description("run a validator or a follower");
  addNodeInit(node);
  addNodeStatus(node, signal);
  addClearHalt(node);
  node
    .command("start")
    .description("start the node of a folder")
    .addHelpText("before", EXAMPLES)
    .addOption(new Option("--dir <dir>", "the node's folder").env("ZKP_DIR").makeOptionMandatory())
    .action(async ({ dir }: { readonly dir: string }) => {
      const child = spawn(process.execPath, nodeArgs(dir), { env: nodeEnv(), stdio: "inherit" });
      const onAbort = (): void => {
        child.kill("SIGTERM");
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const [code]: unknown[] = await once(child, "close");
      signal.removeEventListener("abort", onAbort);
      if (code !== 0) process.exit(typeof code === "number" ? code : 1);
    });
}
