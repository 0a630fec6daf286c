/** `zkp task create|fund|close|run`: a sponsor's side of a task, from a holdout table to the reveals. */
import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Command, Option } from "commander";
import { z } from "zod";
import { fromHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { type Preset, resolveParams } from "../consensus/primitives/params.ts";
import { Amount, formatZkp, parseZkp } from "../consensus/primitives/units.ts";
import { standardisationBytes } from "../consensus/types/normalization.ts";
import { NOTICE_BYTES_MAX, type Operation, SELECTOR } from "../consensus/types/transaction.ts";
import { clampWeight, shapeOf } from "../consensus/work/gradient.ts";
import { type Rate, rateValid } from "../consensus/work/step.ts";
import { exists } from "../devnet/folder.ts";
import { shapeForColumns, stepOf } from "../devnet/options.ts";
import { createKey, loadKey, saveKey } from "../node/keys.ts";
import { type Account, accountFromSeed, sendTransaction } from "../pod/account.ts";
import { type Client, createClient } from "../pod/client.ts";
import { padRows, padStandard, shuffleRows } from "../pod/dataset.ts";
import { loadPool, readJson, savePool, writeJson } from "../pod/folder.ts";
import { commitHoldout } from "../pod/holdout.ts";
import { runSponsor } from "../pod/sponsor.ts";
import { standardOf, toFixed } from "../pod/standardise.ts";
import { readTable } from "../pod/table.ts";
import { ensureFunds } from "./funds.ts";
import { globalsOf, parseCount, print } from "./options.ts";

export const TASK_EXAMPLES = `Examples:
  zkp task list
  zkp task show tumour
  zkp task create --dir mytask --name lesions --holdout rows.csv --label diagnosis --positive M --pay 5
  zkp task run --dir mytask                    opens the drawn rows after each close; without it the bond is lost
  zkp task fund lesions 20 --dir mytask
  zkp task close lesions --dir mytask
`;

type CreateFlags = {
  readonly dir: string;
  readonly name: string;
  readonly holdout: string;
  readonly label: string;
  readonly positive: string;
  readonly ignore?: readonly string[];
  readonly shape?: string;
  readonly model?: string;
  readonly pay: Amount;
  readonly bond?: Amount;
  readonly escrow?: Amount;
  readonly rounds?: number;
  readonly lead?: number;
  readonly minAccepted?: number;
  readonly minQuality?: number;
  readonly rate?: Rate;
  readonly normBits?: number;
  readonly notice?: string;
};

export function addTaskCommands(task: Command, signal: AbortSignal): void {
  const dir = (): Option =>
    new Option("--dir <dir>", "the sponsor's folder: account key, rows, salts")
      .env("ZKP_DIR")
      .makeOptionMandatory();
  task
    .command("create")
    .description("ask for rounds of training on a holdout of your own, with an escrow and a bond")
    .addOption(dir())
    .requiredOption("--name <name>", "1 to 64 printable ASCII characters")
    .requiredOption("--holdout <file>", "CSV: numbers and one label column; opened slice by slice")
    .requiredOption("--label <column>", "its label: a name, or a position from 0")
    .requiredOption("--positive <value>", "the label's value that counts as 1")
    .option("--ignore <column...>", "columns that are no features")
    .option("--shape <shape>", "a shape of the chain's catalogue; by the columns if absent")
    .option("--model <file>", "JSON array of weights, the bias last; zeros if absent")
    .requiredOption("--pay <zkp>", "ZKP a round of positive quality", parseZkp)
    .option("--bond <zkp>", "lost if a round is not opened; twice the pay if absent", parseZkp)
    .option("--escrow <zkp>", "first funding; all rounds if absent", parseZkp)
    .option("--rounds <n>", "as many as the rows allow if absent", parseCount)
    .option("--lead <epochs>", "epochs until the first round (3)", parseCount)
    .option("--min-accepted <n>", "accepted contributions that a pod must have", parseCount)
    .option("--min-quality <n>", "settled quality that a pod must have", parseCount)
    .option("--rate <rate>", "learning rate, such as 1 or 3/2; by the shape if absent", parseRate)
    .option("--norm-bits <n>", "gradients are clipped to a squared norm of 2^n; by the shape", parseCount)
    .option("--notice <text>", "what a pod's owner should know before taking part")
    .action(async (flags: CreateFlags, command: Command) => {
      await create(flags, command, signal);
    });
  const send = (
    name: string,
    what: string,
    operationOf: (task: Uint8Array, amount: Amount | undefined) => Operation,
  ): Command =>
    task
      .command(name)
      .description(what)
      .addOption(dir())
      .action(async (id: string, ...rest: unknown[]) => {
        const command = rest.at(-1) as Command;
        const amount = command.args[1] === undefined ? undefined : parseZkp(command.args[1]);
        const { dir: folder } = command.opts<{ dir: string }>();
        const client = createClient({ rpc: globalsOf(command).rpc });
        const account = await accountOf(folder, false);
        const found = await taskNamed(client, id, signal);
        const sent = await sendTransaction(client, account, operationOf(fromHex(found, 32), amount), {
          signal,
        });
        print(
          globalsOf(command),
          { task: found, ...sent },
          () => `${command.name()} is final in block ${sent.height}`,
        );
      });
  send("fund <task> <zkp>", "add to a task's escrow", (id, amount) => ({
    selector: SELECTOR.taskFund,
    value: { task: id, amount: amount ?? Amount(0n) },
  }));
  send("close <task>", "end a task with its running round; what is unpaid returns", (id) => ({
    selector: SELECTOR.taskClose,
    value: { task: id },
  }));
  task
    .command("run")
    .description("open the drawn rows after each close, until the task is over")
    .addOption(dir())
    .action(async ({ dir: folder }: { readonly dir: string }, command: Command) => {
      const { json, rpc } = globalsOf(command);
      const { task: id } = await readJson(join(folder, "task.json"), TaskText);
      await runSponsor({
        client: createClient({ rpc }),
        account: await accountOf(folder, false),
        task: id,
        pool: await loadPool(join(folder, "pool.json")),
        onEvent: (event) => process.stdout.write(`${json ? JSON.stringify(event) : describe(event)}\n`),
        signal,
      });
    });
}

const TaskText = z.strictObject({ version: z.literal(1), task: z.string() });

function describe(event: Parameters<Parameters<typeof runSponsor>[0]["onEvent"]>[0]): string {
  switch (event.kind) {
    case "revealed":
      return `epoch ${event.epoch}: opened slices ${event.slices.join(" ")} in block ${event.height}`;
    case "reveal-failed":
      return `epoch ${event.epoch}: not opened: ${event.reason}`;
    case "settled":
      return `round ${event.round.epoch}: loss ${event.round.lossBefore} → ${event.round.lossAfter}, ${event.round.paid}/${event.round.contributions} paid`;
    case "over":
      return "the task is over";
  }
}

/** The folder's account; a new one is made where that is meant. */
async function accountOf(dir: string, make: boolean): Promise<Account> {
  const file = join(dir, "account.json");
  if (make && !(await exists(file))) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await saveKey(file, createKey("account"));
  }
  return accountFromSeed((await loadKey(file, "account")).seed);
}

/** For whoever sends something to it: names are anybody's, and coins must not go to a namesake. */
export async function taskNamed(client: Client, name: string, signal: AbortSignal): Promise<string> {
  const { tasks } = await client.call("task_list", {}, { signal });
  const found = tasks.filter((it) => it.id === name || it.name === name);
  const [only] = found;
  if (only === undefined) throw new FaultError("task/unknown", { task: name });
  if (found.length > 1)
    throw new FaultError("config/usage", {
      found: name,
      expected: "an id, since several tasks have this name",
    });
  return only.id;
}

/** A fraction over a power of two, which is what the chain computes with. */
function parseRate(text: string): Rate {
  const match = /^(\d{1,5})(?:\/(\d{1,10}))?$/.exec(text);
  const [numerator, shift] = [Number(match?.[1]), Math.log2(Number(match?.[2] ?? 1))];
  if (match === null || !rateValid({ numerator, shift }))
    throw new FaultError("config/usage", { found: text, expected: "a rate such as 1, 3/2 or 1/8" });
  return { numerator, shift };
}

const Weights = z.array(z.number()).max(1_024);
/** Weights on the chain are Q16. */
const WEIGHT_SCALE = 2 ** 16;

async function create(flags: CreateFlags, command: Command, signal: AbortSignal): Promise<void> {
  const { dir, label, positive, ignore = [], pay } = flags;
  const poolFile = join(dir, "pool.json");
  if (await exists(poolFile)) {
    throw new FaultError("config/invalid", {
      dir,
      problem: "holds a task's rows already, and what was committed is not replaced",
    });
  }
  const globals = globalsOf(command);
  const client = createClient({ rpc: globals.rpc });
  const status = await client.call("chain_status", {}, { signal });
  const { tasks } = await client.call("task_list", {}, { signal });
  const [known] = tasks;
  const params = resolveParams(status.preset as Preset);
  const slicesPerRound =
    known === undefined
      ? Number(params.slicesPerRound)
      : (await client.call("task_get", { task: known.id }, { signal })).slicesPerRound;

  const text = await readFile(flags.holdout, "utf8");
  const table = readTable(text, { label, positive, ignore, name: basename(flags.holdout) });
  const shape = flags.shape === undefined ? shapeForColumns(table.columns.length) : shapeOf(flags.shape);
  const own = standardOf(table);
  const standard = padStandard(own, shape.features);
  const pool = commitHoldout(padRows(shuffleRows(toFixed(table, own)), shape.features), shape.features);
  const rounds = flags.rounds ?? Math.floor(pool.slices.length / slicesPerRound);
  if (rounds < 1 || rounds * slicesPerRound > pool.slices.length) {
    throw new FaultError("task/pool-small", {
      slices: pool.slices.length,
      needed: Math.max(1, rounds) * slicesPerRound,
    });
  }
  const weights =
    flags.model === undefined
      ? []
      : (await readJson(flags.model, Weights)).map((w) => clampWeight(Math.round(w * WEIGHT_SCALE)));
  const { rate, normBound } = stepOf(shape);
  const { numerator, shift } = flags.rate ?? rate;
  const lead = flags.lead ?? 3;
  const place = params.taskPlaceFee * BigInt(lead + rounds);
  const bond = flags.bond ?? Amount(2n * pay);
  const escrow = flags.escrow ?? Amount(BigInt(rounds) * pay);
  const encode = new TextEncoder();
  const notice = encode.encode(flags.notice ?? "");
  if (notice.length > NOTICE_BYTES_MAX)
    throw new FaultError("config/usage", { option: "--notice", expected: `${NOTICE_BYTES_MAX} bytes` });
  const operation: Operation = {
    selector: SELECTOR.taskCreate,
    value: {
      name: encode.encode(flags.name),
      shape: encode.encode(shape.id),
      standardisation: standardisationBytes(standard.mean, standard.scale),
      rateNumerator: numerator,
      rateShift: shift,
      normBound: flags.normBits === undefined ? normBound : 2n ** BigInt(Math.min(flags.normBits, 127)),
      lead,
      rounds,
      holdoutRoot: pool.root,
      holdoutSlices: pool.slices.length,
      model: weights.map((weight) => (weight < 0 ? weight + 2 ** 32 : weight)),
      roundPay: pay,
      bond,
      escrow,
      minAccepted: flags.minAccepted ?? 0,
      minQuality: BigInt(flags.minQuality ?? 0),
      groupRoot: new Uint8Array(32),
      notice,
    },
  };
  const account = await accountOf(dir, true);
  // Salts first: a task whose rows can't be opened again costs its bond.
  await savePool(poolFile, pool);
  await ensureFunds(
    client,
    account,
    bond + escrow + place + 10n * BigInt(status.feeMin),
    status.chainId,
    signal,
  );
  const before = new Set(tasks.map(({ id }) => id));
  const sent = await sendTransaction(client, account, operation, { signal });
  const created = (await client.call("task_list", {}, { signal })).tasks.findLast(
    ({ id, name }) => name === flags.name && !before.has(id),
  );
  if (created === undefined) throw new FaultError("task/unknown", { task: flags.name });
  await writeJson(join(dir, "task.json"), { version: 1, task: created.id }, 0o644);
  const { firstRound, lastRound } = created;
  print(globals, { ...created, ...sent, escrow: String(escrow), bond: String(bond) }, () =>
    [
      `task ${created.id}, rounds ${firstRound} … ${lastRound}`,
      `${formatZkp(escrow)} in escrow, ${formatZkp(pay)} a round, bond ${formatZkp(bond)}; ${formatZkp(place)} burned for its place`,
      `Next: zkp task run --dir ${dir}`,
    ].join("\n"),
  );
}
