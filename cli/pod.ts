/** `zkp pod init|run|explain|top-up|exit`: private data in a folder, proofs from it. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Command, Option } from "commander";
import { buildCircuit } from "../circuits/build/build.ts";
import { createProver } from "../circuits/prove/prover.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { parseZkp } from "../consensus/primitives/units.ts";
import { exists } from "../devnet/folder.ts";
import { accountFromSeed } from "../pod/account.ts";
import { runPod } from "../pod/agent.ts";
import { createClient } from "../pod/client.ts";
import { commitTable } from "../pod/commit.ts";
import { describeEvent, type PodEvent } from "../pod/events.ts";
import { explainProof } from "../pod/explain.ts";
import { loadPod, randomSecret, savePod } from "../pod/folder.ts";
import { readTable } from "../pod/table.ts";
import { globalsOf, print } from "./options.ts";
import { addPodBond } from "./pod-bond.ts";
import { findTask } from "./query.ts";

const EXAMPLES = `Examples:
  zkp pod init --dir mypod --data patients.csv --label diagnosis --positive M
  zkp pod run --dir mypod                      registers if it has to, proves, follows the rewards
  zkp pod top-up --dir mypod --amount 10       one slot more, or one again after a penalty
`;

type InitFlags = {
  readonly dir: string;
  readonly data: string;
  readonly label: string;
  readonly positive: string;
  readonly ignore?: readonly string[];
  readonly task?: string;
};
type RunFlags = { readonly dir: string; readonly bond?: bigint };

export function addPod(program: Command, signal: AbortSignal): void {
  const pod = program
    .command("pod")
    .description("prove training steps on private data")
    .addHelpText("before", EXAMPLES);
  const dir = (): Option =>
    new Option("--dir <dir>", "the pod's folder: keys, rows, salts").env("ZKP_DIR").makeOptionMandatory();
  pod
    .command("init")
    .description("commit a table of your own for a task; rows never leave the folder")
    .addOption(dir())
    .requiredOption("--data <file>", "CSV: numbers and one label column")
    .requiredOption("--label <column>", "its label: a name, or a position from 0")
    .requiredOption("--positive <value>", "the label's value that counts as 1")
    .option("--ignore <column...>", "columns that are no features")
    .option("--task <task>", "id or name; the first open one if absent")
    .action(async (flags: InitFlags, command: Command) => {
      await init(flags, command, signal);
    });
  pod
    .command("run")
    .description("prove every drawn batch until the task ends")
    .addOption(dir())
    .option("--bond <zkp>", "ZKP to bond when it registers: one unit a slot", parseZkp)
    .action(async (flags: RunFlags, command: Command) => {
      await run(flags, command, signal);
    });
  pod
    .command("explain <proof>")
    .description("the life of a proof, and the arithmetic of its reward")
    .action(async (id: string, _: unknown, command: Command) => {
      const client = createClient({ rpc: globalsOf(command).rpc });
      const status = await client.call("proof_get", { id }, { signal });
      const { lines, amount } = explainProof(status);
      const recomputed = amount === undefined ? {} : { recomputed: String(amount) };
      print(globalsOf(command), { ...status, ...recomputed }, () => lines.join("\n"));
    });
  addPodBond(pod, dir, signal);
}

async function init(flags: InitFlags, command: Command, signal: AbortSignal): Promise<void> {
  const { rpc } = globalsOf(command);
  if (await exists(`${flags.dir}/secret.json`)) {
    throw new FaultError("config/invalid", {
      dir: flags.dir,
      problem: "holds a pod already, and its secrets are not replaced",
    });
  }
  const client = createClient({ rpc });
  const id = await findTask(client, flags.task, signal);
  const task = await client.call("task_get", { task: id }, { signal });
  const { label, positive, ignore = [] } = flags;
  const text = await readFile(flags.data, "utf8");
  const table = readTable(text, { label, positive, ignore, name: basename(flags.data) });
  const dataset = commitTable(table, task);
  process.stderr.write(
    `${dataset.batches.length} batches of ${dataset.shape.rows} rows committed; building or finding the keys…\n`,
  );
  const circuit = await buildCircuit(task.shape);
  if (circuit.vkHash.replace(/^0x/, "") !== task.vkHash.slice(2)) {
    throw new FaultError("circuit/unknown", {
      shape: task.shape,
      problem: "the chain's verification key is not of this version's circuit",
    });
  }
  await savePod(flags.dir, {
    name: basename(flags.dir),
    task: id,
    keys: { wasm: circuit.wasmPath, zkey: circuit.zkeyPath },
    seed: crypto.getRandomValues(new Uint8Array(32)),
    secret: randomSecret(),
    dataset,
  });
  process.stderr.write(`Kept in ${flags.dir}, for your eyes only. Next: zkp pod run --dir ${flags.dir}\n`);
}

async function run({ dir, bond }: RunFlags, command: Command, signal: AbortSignal): Promise<void> {
  const { json, rpc, verbose } = globalsOf(command);
  const pod = await loadPod(dir);
  const prover = createProver(pod.keys);
  const onEvent = (event: PodEvent): void => {
    if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
    else if (verbose || !("stage" in event) || event.stage !== "proving")
      process.stdout.write(`${describeEvent(event)}\n`);
  };
  try {
    await runPod({
      client: createClient({ rpc }),
      account: accountFromSeed(pod.seed),
      secret: pod.secret,
      dataset: pod.dataset,
      task: pod.task,
      prover,
      onEvent,
      signal,
      ...(bond === undefined ? {} : { bond }),
    });
  } finally {
    await prover.stop();
  }
}
