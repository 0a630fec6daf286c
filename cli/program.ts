/**
 * The command line: which commands there are, how they are asked for, how they end. Each command's work is
 * in a file of its own. Flag > environment (ZKP_…) > default; stdout is data, stderr is for people.
 */
import { Command, CommanderError, Option } from "commander";
import { EXIT } from "../node/exit.ts";
import { addDevnet } from "./devnet.ts";
import { commandExitCode, errorText } from "./exit.ts";
import { addGenesis } from "./genesis.ts";
import { addNode } from "./node.ts";
import { addPod } from "./pod.ts";
import { addQueries } from "./query.ts";
import { addValidator } from "./validator.ts";

const EXAMPLES = `Examples:
  zkp devnet                                   four validators, three pods, generated data
  zkp devnet --data cells.csv --label diagnosis --positive M --for 3m
  zkp task show                                models, accuracy and pay of the first task
  zkp pod run --dir pods/clinic-0              prove on private rows, follow the rewards
  zkp validator status                         who has a seat, with which weight
  zkp rpc chain_status                         any method of a node
`;

export function createProgram(signal: AbortSignal): Command {
  const program = new Command("zkp")
    .description("A chain whose coins are minted for proven intelligence.")
    .version("0.1.0")
    .usage("<noun> <verb> [options]")
    .addHelpText("beforeAll", EXAMPLES)
    .addOption(new Option("--rpc <url>", "a node's RPC").env("ZKP_RPC").default("http://127.0.0.1:9545"))
    .option("--json", "stdout is data, one JSON document or one a line", false)
    .option("--verbose", "say more, with stack traces", false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(text) });
  addDevnet(program, signal);
  addNode(program, signal);
  addPod(program, signal);
  addValidator(program, signal);
  addQueries(program, signal);
  addGenesis(program);
  for (const command of allOf(program))
    command.exitOverride().showHelpAfterError("(--help shows examples and options)");
  return program;
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => allOf(child as Command))];
}

/** Runs the command line and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const stopping = new AbortController();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    if (signals > 1) process.exit(130);
    process.stderr.write("\nStopping; Ctrl-C again forces it.\n");
    stopping.abort(new Error("stopped by a signal"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const verbose = args.includes("--verbose");
  try {
    await createProgram(stopping.signal).parseAsync([...args], { from: "user" });
    process.exitCode = EXIT.ok;
  } catch (error) {
    process.exitCode = stopping.signal.aborted ? EXIT.ok : commandExitCode(error);
    // commander has printed its own; what a signal interrupted is no error
    if (!(error instanceof CommanderError) && !stopping.signal.aborted)
      process.stderr.write(`${errorText(error, verbose)}\n`);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
