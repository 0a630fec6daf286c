/** `zkp node clear-halt`: lets a node sign again that stopped because it saw a contradiction. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { FaultError } from "../consensus/primitives/faults.ts";
import { loadConfig } from "../node/config.ts";
import { clearHalt } from "../node/halt.ts";
import { openStore } from "../node/store/store.ts";
import { globalsOf, print } from "./options.ts";

const EXAMPLES = `Examples:
  zkp node clear-halt --dir mynet/node-0 --yes   once the dump in the folder is understood
`;

export function addClearHalt(node: Command): void {
  node
    .command("clear-halt")
    .description("let a stopped node sign again that halted on a divergence")
    .addHelpText("before", EXAMPLES)
    .addOption(new Option("--dir <dir>", "the node's folder").env("ZKP_DIR").makeOptionMandatory())
    .option("--yes", "the dump is understood, and signing is safe", false)
    .action(async ({ dir, yes }: { readonly dir: string; readonly yes: boolean }, command: Command) => {
      if (!yes)
        throw new FaultError("config/usage", { option: "--yes", expected: "given, after reading the dump" });
      await loadConfig(dir); // a mistyped folder is no node's, and must not become one
      // Refused while the node runs: its folder is locked.
      const store = await openStore(join(dir, "db"));
      try {
        const cleared = await clearHalt(store);
        print(globalsOf(command), { cleared: cleared ?? null }, () =>
          cleared === undefined
            ? "it was not halted"
            : `cleared: ${cleared.kind} of ${new Date(cleared.timeMs).toISOString()}; ${cleared.dump} stays`,
        );
      } finally {
        await store.close();
      }
    });
}
