/** `zkp validator …`: becoming a validator, leaving, and what the chain says of one. */
import { type Command, Option } from "commander";
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { type Amount, formatZkp, parseZkp } from "../consensus/primitives/units.ts";
import { type Operation, SELECTOR } from "../consensus/types/transaction.ts";
import { possessionRoot } from "../consensus/types/vote.ts";
import { loadConfig } from "../node/config.ts";
import { blsSecretKey, type Key, loadKey } from "../node/keys.ts";
import { type Account, accountFromSeed, chainTag, sendTransaction } from "../pod/account.ts";
import { type Client, createClient } from "../pod/client.ts";
import type { ResultOf, ValidatorInfo } from "../rpc/methods.ts";
import { ensureFunds } from "./funds.ts";
import { globalsOf, print } from "./options.ts";
import { taskNamed } from "./task.ts";

const EXAMPLES = `Examples:
  zkp node init --dir mynet/node-4 --like mynet/node-0
  zkp validator join --dir mynet/node-4 --stake 1000     seated two epochs later
  zkp validator status                                   all validators
  zkp validator exit --dir mynet/node-4                  leaves in its turn, then unbonds
  zkp validator withdraw --dir mynet/node-4              when status says so
  zkp validator approve lesions --dir mynet/node-0       a vote for the task to be paid from the public lane
`;

type DirFlag = { readonly dir: string };

export function addValidator(program: Command, signal: AbortSignal): void {
  const validator = program
    .command("validator")
    .description("stake for a seat, leave it, look at who has one")
    .addHelpText("before", EXAMPLES);
  const dir = (): Option =>
    new Option("--dir <dir>", "the node's folder with its keys").env("ZKP_DIR").makeOptionMandatory();

  validator
    .command("join")
    .description("register the node's BLS key with a stake")
    .addOption(dir())
    .requiredOption("--stake <zkp>", "ZKP to stake", parseZkp)
    .action(async ({ dir: at, stake }: DirFlag & { readonly stake: Amount }, command: Command) => {
      const own = await openOwn(at, command, signal);
      const chainId = await fund(own, stake);
      const { publicKey: blsKey, seed } = own.bls;
      const possession = blsSecretKey(seed)
        .sign(possessionRoot(chainTag(chainId), blsKey))
        .toBytes();
      await send(own, { selector: 5, value: { blsKey, possession, stake } }, command);
    });
  validator
    .command("top-up")
    .description("add to the stake")
    .addOption(dir())
    .requiredOption("--amount <zkp>", "ZKP to add", parseZkp)
    .action(async ({ dir: at, amount }: DirFlag & { readonly amount: Amount }, command: Command) => {
      const own = await openOwn(at, command, signal);
      await fund(own, amount);
      await send(own, { selector: 6, value: { blsKey: own.bls.publicKey, amount } }, command);
    });
  const simple = [
    ["exit", 7, "ask to leave: the seat goes when it is its turn"],
    ["withdraw", 8, "take the stake back after unbonding"],
    ["unjail", 9, "ask for a seat again after absence"],
  ] as const;
  for (const [name, selector, description] of simple) {
    validator
      .command(name)
      .description(description)
      .addOption(dir())
      .action(async ({ dir: at }: DirFlag, command: Command) => {
        const own = await openOwn(at, command, signal);
        await send(own, { selector, value: { blsKey: own.bls.publicKey } }, command);
      });
  }
  validator
    .command("approve <task>")
    .description("vote for a task to be public; more than two thirds of the weight in one epoch decide")
    .addOption(dir())
    .action(async (name: string, { dir: at }: DirFlag, command: Command) => {
      const own = await openOwn(at, command, signal);
      const task = await taskNamed(own.client, name, signal);
      const operation = { selector: SELECTOR.taskApprove, value: { task: fromHex(task, 32) } } as const;
      const sent = await sendTransaction(own.client, own.account, operation, { signal });
      print(globalsOf(command), { task, ...sent }, () => `approve is final in block ${sent.height}`);
    });
  validator
    .command("status")
    .description("all validators, or the one of a node's folder")
    .addOption(new Option("--dir <dir>", "only this node's"))
    .action(async ({ dir: at }: { readonly dir?: string }, command: Command) => {
      if (at === undefined) {
        const client = createClient({ rpc: globalsOf(command).rpc });
        const list = await client.call("validator_list", {}, { signal });
        print(globalsOf(command), list, () => describeList(list));
        return;
      }
      const own = await openOwn(at, command, signal);
      const info = await infoOf(own);
      print(globalsOf(command), info, () => describe(info));
    });
}

type Own = {
  readonly bls: Key;
  readonly account: Account;
  readonly client: Client;
  readonly signal: AbortSignal;
};

async function openOwn(dir: string, command: Command, signal: AbortSignal): Promise<Own> {
  const { blsKey, accountKey } = await loadConfig(dir);
  if (blsKey === undefined || accountKey === undefined)
    throw new FaultError("config/invalid", {
      dir,
      field: "blsKey, accountKey",
      expected: "a validator's keys",
    });
  const account = accountFromSeed((await loadKey(accountKey, "account")).seed);
  const client = createClient({ rpc: globalsOf(command).rpc });
  return { bls: await loadKey(blsKey, "bls"), account, client, signal };
}

const infoOf = ({ client, bls, signal }: Own): Promise<ValidatorInfo> =>
  client.call("validator_get", { blsKey: toHex(bls.publicKey) }, { signal });

/** Sends it, waits until it is final, and shows what the validator is then. */
async function send(own: Own, operation: Operation, command: Command): Promise<void> {
  const { id, height } = await sendTransaction(own.client, own.account, operation, { signal: own.signal });
  const info = await infoOf(own);
  const { epoch } = await own.client.call("chain_status", {}, { signal: own.signal });
  print(globalsOf(command), { transaction: id, height, epoch, ...info }, () =>
    [`final in block ${height} of epoch ${epoch}`, describe(info)].join("\n"),
  );
}

/** Enough for the stake and a few fees. */
async function fund({ client, account, signal }: Own, amount: Amount): Promise<string> {
  const { chainId, feeMin } = await client.call("chain_status", {}, { signal });
  await ensureFunds(client, account, amount + 10n * BigInt(feeMin), chainId, signal);
  return chainId;
}

function describe(it: ValidatorInfo): string {
  const seat = (weight: string): string => (weight === "0" ? "no seat" : formatZkp(BigInt(weight)));
  return [
    `validator ${it.validator}  ${it.blsKey.slice(0, 18)}…  ${it.status}  ${formatZkp(BigInt(it.stake))} staked`,
    `weight: this epoch ${seat(it.weight)}, next ${seat(it.nextWeight)}`,
    ...(it.withdrawableEpoch === undefined ? [] : [`may withdraw from epoch ${it.withdrawableEpoch}`]),
    ...(it.jailedUntil === undefined ? [] : [`may unjail from epoch ${it.jailedUntil}`]),
    ...(it.absentEpochs === 0 ? [] : [`absent for ${it.absentEpochs} epochs in a row`]),
    ...(it.slashes === 0 ? [] : [`slashed ${it.slashes} times: ${formatZkp(BigInt(it.slashed))} burned`]),
  ].join("\n");
}

function describeList({ epoch, totalWeight, quorum, validators }: ResultOf<"validator_list">): string {
  const seats = validators.filter((it) => it.weight !== "0").length;
  const head = `epoch ${epoch}: ${seats} seats, weight ${formatZkp(BigInt(totalWeight))}, quorum ${formatZkp(BigInt(quorum))}`;
  return [head, ...validators.map(describe)].join("\n");
}
