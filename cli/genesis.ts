/** `zkp genesis show|verify`: what a chain begins with. Needs no node. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import { type GenesisDocument, parseGenesis } from "../genesis/document.ts";
import { genesisState } from "../genesis/state.ts";
import { globalsOf, print } from "./options.ts";

const EXAMPLES = `Examples:
  zkp genesis show mynet/genesis.json
  zkp genesis verify mynet/genesis.json        builds the first state; prints its root
`;

export function addGenesis(program: Command): void {
  const genesis = program
    .command("genesis")
    .description("read and check genesis documents")
    .addHelpText("before", EXAMPLES);
  genesis
    .command("show <file>")
    .description("who and what a chain begins with")
    .action(async (file: string, _: unknown, command: Command) => {
      const document = parseGenesis(await read(file));
      print(globalsOf(command), document, () => describe(document));
    });
  genesis
    .command("verify <file>")
    .description("build the first state and print its root")
    .action(async (file: string, _: unknown, command: Command) => {
      const document = parseGenesis(await read(file));
      const { root } = genesisState(document);
      const result = { chainId: document.chainId, genesisRoot: toHex(root) };
      print(globalsOf(command), result, () => `${result.chainId}  genesis root ${result.genesisRoot}`);
    });
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new FaultError(
      "genesis/invalid",
      { field: "(file)", file, expected: "a file that can be read" },
      error,
    );
  }
}

function describe({
  chainId,
  preset,
  timeMs,
  accounts,
  validators,
  pods,
  tasks,
  circuits,
  params,
}: GenesisDocument): string {
  const overrides = Object.entries(params).map(([name, value]) => `${name} = ${value}`);
  return [
    `chain ${chainId}   preset ${preset}   begins ${new Date(Number(timeMs)).toISOString()}`,
    `parameters changed: ${overrides.join(", ") || "none"}`,
    ...accounts.map(
      ({ address, balance, note }) => `account ${address}  ${formatZkp(BigInt(balance))}  ${note ?? ""}`,
    ),
    ...validators.map(
      ({ name, blsKey, stake }) =>
        `validator ${name}  ${blsKey.slice(0, 18)}…  ${formatZkp(BigInt(stake))} staked`,
    ),
    ...pods.map(({ name, podId, bond, datasets }) => {
      const batches = datasets.reduce((sum, it) => sum + it.batches, 0);
      return `pod ${name ?? ""}  ${podId.slice(0, 18)}…  ${formatZkp(BigInt(bond))} bonded, ${batches} batches`;
    }),
    ...circuits.map(({ shape, vkHash }) => `circuit ${shape}  ${vkHash}`),
    ...tasks.map(
      ({ name, shape, firstRound, lastRound, holdoutSlices, enrolled }) =>
        `task "${name}"  ${shape}, rounds ${firstRound} … ${lastRound}, ${holdoutSlices} holdout slices, ${enrolled.length} pods`,
    ),
  ].join("\n");
}
