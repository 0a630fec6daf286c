/** `zkp pod top-up|exit`: more bond for a pod, and leaving. Called by pod.ts. */
import type { Command, Option } from "commander";
import { podIdOf } from "../circuits/hash.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { type Amount, formatZkp, parseZkp } from "../consensus/primitives/units.ts";
import { fieldToBytes } from "../consensus/types/submission.ts";
import { type Operation, SELECTOR } from "../consensus/types/transaction.ts";
import { accountFromSeed, sendTransaction } from "../pod/account.ts";
import { createClient } from "../pod/client.ts";
import { loadPod } from "../pod/folder.ts";
import { ensureFunds } from "./funds.ts";
import { globalsOf, print } from "./options.ts";

type DirFlag = { readonly dir: string };

export function addPodBond(pod: Command, dir: () => Option, signal: AbortSignal): void {
  pod
    .command("top-up")
    .description("add to the bond: one unit a slot, counted from the next draw")
    .addOption(dir())
    .requiredOption("--amount <zkp>", "ZKP to add", parseZkp)
    .action(async ({ dir: at, amount }: DirFlag & { readonly amount: Amount }, command: Command) => {
      const operation = (podId: Uint8Array): Operation => ({
        selector: SELECTOR.podTopUp,
        value: { podId, amount },
      });
      await send(at, operation, command, signal, amount);
    });
  pod
    .command("exit")
    .description("be drawn no more; the bond returns after the window of evidence")
    .addOption(dir())
    .action(async ({ dir: at }: DirFlag, command: Command) => {
      const operation = (podId: Uint8Array): Operation => ({ selector: SELECTOR.podExit, value: { podId } });
      await send(at, operation, command, signal);
    });
}

/** Sends it, waits until it is final, and shows the pod's bond then. */
async function send(
  dir: string,
  operationOf: (podId: Uint8Array) => Operation,
  command: Command,
  signal: AbortSignal,
  amount = 0n,
): Promise<void> {
  const pod = await loadPod(dir);
  const podId = fieldToBytes(podIdOf(pod.secret));
  const client = createClient({ rpc: globalsOf(command).rpc });
  const account = accountFromSeed(pod.seed);
  const { chainId, feeMin } = await client.call("chain_status", {}, { signal });
  await ensureFunds(client, account, amount + BigInt(feeMin), chainId, signal);
  const { id, height } = await sendTransaction(client, account, operationOf(podId), { signal });
  const { bond, exitEpoch, slashes } = await client.call("pod_get", { podId: toHex(podId) }, { signal });
  print(
    globalsOf(command),
    { transaction: id, height, podId: toHex(podId), bond, exitEpoch, slashes },
    () =>
      `final in block ${height}: pod ${toHex(podId).slice(0, 12)}…, bond ${formatZkp(BigInt(bond))}${
        exitEpoch === undefined || exitEpoch === "0"
          ? ""
          : `, which returns at the turn to epoch ${exitEpoch}`
      }`,
  );
}
