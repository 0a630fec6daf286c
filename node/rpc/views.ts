/** How the state and the chain look in JSON, for node/rpc/methods.ts. Reads only. */
import { fromHex, toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Params } from "../../consensus/primitives/params.ts";
import { taskOpen } from "../../consensus/state/draws.ts";
import { modelOf } from "../../consensus/state/inputs.ts";
import { getDataset, getPod, taskIndexOf } from "../../consensus/state/maps.ts";
import { bytesText, LANE, type RoundView, type State, type TaskView } from "../../consensus/state/state.ts";
import { circulating } from "../../consensus/state/supply.ts";
import { formatAddress } from "../../consensus/types/address.ts";
import { parseStandardisation } from "../../consensus/types/normalization.ts";
import { shapeOf } from "../../consensus/work/gradient.ts";
import type { BlockInfo, ChainStatus, ResultOf, Round, TaskDetail } from "../../rpc/methods.ts";
import type { Executed } from "../executed.ts";
import { roundKey } from "../receipts.ts";
import type { Store } from "../store/store.ts";

const ROUNDS_SHOWN_MAX = 64;

export function supplyView(state: State): ChainStatus["supply"] {
  const { genesis, minted, burned, treasury, staked, bonded, locked, slashed, escrowed } = state.supply;
  const values = {
    genesis,
    minted,
    burned,
    treasury,
    staked,
    bonded,
    locked,
    slashed,
    escrowed,
    circulating: circulating(state),
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, String(value)]),
  ) as ChainStatus["supply"];
}

export function blockView({
  hash,
  block,
  height,
  receipt,
}: Pick<Executed, "hash" | "block" | "height" | "receipt">): BlockInfo {
  if (block === undefined) throw new FaultError("block/unknown", { height });
  const { header } = block;
  return {
    height: String(height),
    hash: toHex(hash),
    epoch: String(header.epoch),
    view: String(header.view),
    parentHash: toHex(header.parentHash),
    proposer: header.proposer,
    timestampMs: String(header.timestampMs),
    stateRoot: toHex(header.stateRoot),
    bodyRoot: toHex(header.bodyRoot),
    transactions: receipt.transactions.map(toHex),
    submissions: receipt.submissions.map(toHex),
    finalized: true,
  };
}

function isFilled(round: RoundView, slot: number): boolean {
  for (let i = 0; i < round.contributions.length; i++)
    if (round.contributions.getReadonly(i).toValue().submission.slot === slot) return true;
  return false;
}

function slotsOf(round: RoundView): TaskDetail["slots"] {
  return round.slots.getAllReadonly().map(({ podId, dataRoot, batchIndex }, slot) => ({
    slot,
    podId: toHex(podId),
    dataRoot: toHex(dataRoot),
    batchIndex,
    filled: isFilled(round, slot),
  }));
}

function summaryOf(task: TaskView, state: State): ResultOf<"task_list">["tasks"][number] {
  const shape = bytesText(task.shape);
  return {
    id: toHex(task.id),
    name: bytesText(task.name),
    template: shapeOf(shape).template,
    shape,
    lane: task.lane === LANE.public ? "public" : "sponsored",
    firstRound: String(task.firstRound),
    lastRound: String(task.lastRound),
    open: taskOpen(task, state.epoch),
  };
}

export function taskList(state: State): ResultOf<"task_list"> {
  return { tasks: state.tasks.getAllReadonly().map((task) => summaryOf(task, state)) };
}

function taskIndex(state: State, id: string): number {
  const index = taskIndexOf(state, fromHex(id, 32));
  if (index < 0) throw new FaultError("task/unknown", { task: id });
  return index;
}

/** Ended rounds of a task, the newest of them, oldest first. */
async function roundsOf(store: Pick<Store, "records">, task: string, epoch: number): Promise<Round[]> {
  const after = roundKey(task, Math.max(0, epoch - ROUNDS_SHOWN_MAX));
  const found = await store.records("rounds", {
    after: `${after.slice(0, -1)}`,
    limit: ROUNDS_SHOWN_MAX + 1,
  });
  return found.filter(({ key }) => key.startsWith(task)).map(({ value }) => value as unknown as Round);
}

export async function taskView(
  state: State,
  id: string,
  params: Params,
  store: Pick<Store, "records">,
): Promise<TaskDetail> {
  const index = taskIndex(state, id);
  const task = state.tasks.getReadonly(index);
  const round = state.rounds.getReadonly(index);
  const shape = shapeOf(bytesText(task.shape));
  return {
    ...summaryOf(task, state),
    vkHash: toHex(task.vkHash),
    features: shape.features,
    rows: shape.rows,
    ...parseStandardisation(task.standardisation),
    normalization: toHex(task.normalization),
    rate: { numerator: task.rateNumerator, shift: task.rateShift },
    normBound: String(task.normBound),
    sponsor: formatAddress(task.sponsor),
    holdoutRoot: toHex(task.holdoutRoot),
    holdoutSlices: task.holdoutSlices,
    slicesPerRound: Number(params.slicesPerRound),
    ...(task.revealedFrom === 0
      ? {}
      : { firstRevealEpoch: String(Math.floor((task.revealedFrom - 1) / Number(params.epochHeights))) }),
    model: modelOf(task).map(String),
    epoch: String(state.epoch),
    slots: slotsOf(round),
    drawnSlices: round.drawnSlices.getAll(),
    revealed: round.labels.length > 0,
    enrolled: task.enrollments.getAllReadonly().map(({ podId, dataRoot, slots }) => ({
      podId: toHex(podId),
      dataRoot: toHex(dataRoot),
      slots,
    })),
    rounds: await roundsOf(store, id, state.epoch),
    terms: {
      bond: String(task.bond),
      escrow: String(task.escrow),
      roundPay: String(task.roundPay),
      minAccepted: String(task.minAccepted),
      minQuality: String(task.minQuality),
      notice: new TextDecoder().decode(task.notice),
      approvals: task.approvals.length,
    },
  };
}

export function podView(state: State, podId: string): ResultOf<"pod_get"> {
  const pod = getPod(state, fromHex(podId, 32));
  if (pod === undefined) throw new FaultError("pod/unknown", { podId });
  const enrollments: ResultOf<"pod_get">["enrollments"] = [];
  const slots: ResultOf<"pod_get">["slots"] = [];
  const roots = new Set<string>();
  for (let index = 0; index < state.tasks.length; index++) {
    const task = state.tasks.getReadonly(index);
    const id = toHex(task.id);
    for (const enrollment of task.enrollments.getAllReadonly()) {
      if (toHex(enrollment.podId) !== podId) continue;
      enrollments.push({ task: id, dataRoot: toHex(enrollment.dataRoot), slots: enrollment.slots });
      roots.add(toHex(enrollment.dataRoot));
    }
    for (const slot of slotsOf(state.rounds.getReadonly(index))) {
      if (slot.podId === podId) slots.push({ ...slot, task: id, epoch: String(state.epoch) });
    }
  }
  const datasets = [...roots].flatMap((root) => {
    const dataset = getDataset(state, fromHex(root, 32));
    if (dataset === undefined) return [];
    const { batches, normalization, registered } = dataset;
    return [
      { dataRoot: root, batches, normalization: toHex(normalization), registeredHeight: String(registered) },
    ];
  });
  return {
    podId,
    account: formatAddress(pod.account),
    publicKey: toHex(pod.publicKey),
    bond: String(pod.bond),
    accepted: String(pod.accepted),
    settledQuality: String(pod.settledQuality),
    rejected: String(pod.rejected),
    slashes: String(pod.slashes),
    ...(pod.exitEpoch === 0 ? {} : { exitEpoch: String(pod.exitEpoch) }),
    datasets,
    enrollments,
    slots,
  };
}
