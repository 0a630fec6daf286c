/**
 * What a pod needs on the chain before it can be drawn: a funded account, a registered id with a bond, a
 * registered data root, an enrollment in the task. Each step is taken only if it is missing, so a restart
 * repeats nothing. Called by the agent.
 */
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { Amount, formatZkp, NZKP_PER_ZKP } from "../consensus/primitives/units.ts";
import type { Operation } from "../consensus/types/transaction.ts";
import type { ResultOf } from "../rpc/methods.ts";
import { type Account, sendTransaction } from "./account.ts";
import type { Client } from "./client.ts";
import type { Dataset } from "./dataset.ts";
import type { PodNotice } from "./events.ts";
import { type Waiting, waitFor, withPatience } from "./wait.ts";

export type Enrollment = {
  readonly client: Client;
  readonly account: Account;
  readonly podId: Uint8Array;
  readonly dataset: Dataset;
  /** Task id, 0x-hex. */
  readonly task: string;
  /** nzkp; one unit by default. One unit gives one slot in one task. */
  readonly bond?: bigint;
  readonly onEvent: (event: PodNotice) => void;
};

/** Room for fees beside the bond when the account has to be funded. */
const SPARE = NZKP_PER_ZKP;
const TRANSACTIONS = 3n;
const FUNDING_MS = 60_000;

export async function ensureEnrolled(enrollment: Enrollment, waiting: Waiting): Promise<void> {
  const { client, podId, dataset, task, onEvent } = enrollment;
  const status = await withPatience(() => client.call("chain_status", {}, waiting), waiting);
  const bond = enrollment.bond ?? BigInt(status.bondUnit);
  const send = async (operation: Operation): Promise<void> => {
    await sendTransaction(client, enrollment.account, operation, waiting);
  };

  const known = await getPod(client, podId, waiting);
  if (known !== undefined && known.account !== enrollment.account.name) {
    throw new FaultError("transaction/sender-not-allowed", {
      owner: known.account,
      found: enrollment.account.name,
    });
  }
  const root = toHex(dataset.dataRoot);
  const hasRoot = known?.datasets.some(({ dataRoot }) => dataRoot === root) === true;
  const hasTask = known?.enrollments.some((entry) => entry.task === task) === true;
  if (hasTask) return;
  const needed = (known === undefined ? bond : 0n) + TRANSACTIONS * BigInt(status.feeMin);
  await ensureFunds(enrollment, needed, status.chainId, waiting);
  if (known === undefined) {
    await send({ selector: 1, value: { podId, bond: Amount(bond) } });
    onEvent({
      notice: "registered",
      text: `pod ${toHex(podId).slice(0, 12)}… registered, bond ${formatZkp(bond)}`,
    });
  }
  if (!hasRoot) {
    const { dataRoot, batches, normalization } = dataset;
    await send({ selector: 2, value: { podId, dataRoot, batches: batches.length, normalization } });
    onEvent({
      notice: "committed",
      text: `data root ${root.slice(0, 12)}… registered, ${batches.length} batches`,
    });
  }
  const slots = slotsFor(known === undefined ? bond : BigInt(known.bond), BigInt(status.bondUnit));
  await send({ selector: 3, value: { podId, task: fromHex(task, 32), dataRoot: dataset.dataRoot, slots } });
  onEvent({
    notice: "enrolled",
    text: `enrolled with ${slots} slot${slots === 1 ? "" : "s"}; a root is drawn from two epochs of age`,
  });
}

function slotsFor(bond: bigint, unit: bigint): number {
  const slots = unit > 0n ? bond / unit : 1n;
  return Number(slots < 1n ? 1n : slots > 64n ? 64n : slots);
}

/** Undefined if the chain knows no such pod. */
export async function getPod(
  client: Client,
  podId: Uint8Array,
  waiting: Waiting,
): Promise<ResultOf<"pod_get"> | undefined> {
  try {
    return await withPatience(() => client.call("pod_get", { podId: toHex(podId) }, waiting), waiting);
  } catch (error) {
    if (error instanceof FaultError && UNKNOWN.has(error.code)) return undefined;
    throw error;
  }
}

const UNKNOWN: ReadonlySet<string> = new Set(["pod/unknown", "submission/pod-unknown", "rpc/not-found"]);

async function ensureFunds(
  enrollment: Enrollment,
  needed: bigint,
  chainId: string,
  waiting: Waiting,
): Promise<void> {
  const { client, account, onEvent } = enrollment;
  const balance = async (): Promise<bigint> =>
    BigInt(
      (await withPatience(() => client.call("chain_account", { address: account.name }, waiting), waiting))
        .balance,
    );
  const has = await balance();
  if (has >= needed) return;
  if (!chainId.startsWith("dev-")) {
    throw new FaultError("transaction/balance-low", {
      account: account.name,
      balance: String(has),
      needed: String(needed),
    });
  }
  const amount = needed + SPARE;
  await client.call("dev_faucet", { address: account.name, amount: String(amount) }, waiting);
  await waitFor("faucet", async () => ((await balance()) >= needed ? true : undefined), {
    ...waiting,
    timeoutMs: FUNDING_MS,
  });
  onEvent({ notice: "funded", text: `${formatZkp(amount)} from the faucet` });
}
