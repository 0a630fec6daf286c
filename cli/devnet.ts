/** `zkp devnet`: a whole network on this machine (devnet/run.ts does the work). */
import { type Command, Option } from "commander";
import { FaultError } from "../consensus/primitives/faults.ts";
import { type RunDevnetOptions, runDevnet } from "../devnet/run.ts";
import { globalsOf, parseCount, parseDuration } from "./options.ts";

type Flags = {
  readonly data?: string;
  readonly label?: string;
  readonly positive?: string;
  readonly ignore?: readonly string[];
  readonly dir?: string;
  readonly fresh?: boolean;
  readonly validators?: number;
  readonly pods?: number;
  readonly features?: number;
  readonly blockInterval?: number;
  readonly for?: number;
  readonly rpcPort?: number;
  readonly logLevel?: string;
};

const EXAMPLES = `Examples:
  zkp devnet                                  until Ctrl-C; nothing is kept
  zkp devnet --dir mynet                      keeps the chain, goes on with it the next time
  zkp devnet --data wdbc.data --label 1 --positive M --ignore 0 --for 180s --json
  zkp devnet --block-interval 250 --validators 7
`;

export function addDevnet(program: Command, signal: AbortSignal): void {
  program
    .command("devnet")
    .description("start validators, pods and a sponsor on this machine")
    .addHelpText("before", EXAMPLES)
    .option("--data <file>", "train on your own table: CSV, numbers and one label column")
    .option("--label <column>", "its label: a name, or a position from 0 where there is no header")
    .option("--positive <value>", "the label's value that counts as 1")
    .option("--ignore <column...>", "columns that are no features")
    .addOption(new Option("--dir <dir>", "keep the chain here").env("ZKP_DIR"))
    .option("--fresh", "wipe the chain in --dir first")
    .option("--validators <n>", "nodes, a process each (4)", parseCount)
    .option("--pods <n>", "pods, a process each (3)", parseCount)
    .option("--features <n>", "columns of the generated data (10)", parseCount)
    .option("--block-interval <ms>", "least time between blocks (500)", parseCount)
    .option("--for <time>", "stop by itself after 90s, 3m, …; the last line is a JSON summary", parseDuration)
    .addOption(
      new Option("--rpc-port <port>", "of node-0, the others follow (9545)")
        .env("ZKP_RPC_PORT")
        .argParser(parseCount),
    )
    .addOption(new Option("--log-level <level>", "of the nodes' logs").env("ZKP_LOG_LEVEL").choices(LEVELS))
    .action(async (flags: Flags, command: Command) => {
      const { json, verbose } = globalsOf(command);
      await runDevnet({ ...optionsOf(flags), json, verbose, signal });
    });
}

const LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"];

function optionsOf(flags: Flags): Omit<RunDevnetOptions, "json" | "verbose" | "signal"> {
  const { data, label, positive, ignore, blockInterval, for: forMs, ...rest } = flags;
  return {
    ...rest,
    ...(blockInterval === undefined ? {} : { blockIntervalMs: blockInterval }),
    ...(forMs === undefined ? {} : { forMs }),
    ...(data === undefined ? {} : { table: tableOf(data, label, positive, ignore ?? []) }),
  };
}

function tableOf(
  file: string,
  label: string | undefined,
  positive: string | undefined,
  ignore: readonly string[],
) {
  if (label === undefined || positive === undefined) {
    throw new FaultError("config/usage", {
      option: "--data",
      expected: "--label COLUMN and --positive VALUE with it",
    });
  }
  return { file, label, positive, ignore };
}
