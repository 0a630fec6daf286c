/**
 * What the beacon decides: who may submit with which batch (at an epoch's end, for the next one), and
 * which holdout slices are opened (at the close). Nobody chooses, nobody knows earlier. And what was used of the
 * batches, which the next draw reads.
 */
import { nameOf, uint64Bytes } from "../primitives/bytes.ts";
import { createDraw, drawWithout, hash } from "../primitives/hash.ts";
import { epochOfHeight, type Params } from "../primitives/params.ts";
import type { Steps } from "../primitives/steps.ts";
import { getDataset, getPod, putDataset } from "./maps.ts";
import {
  type Dataset,
  ENROLLMENTS_AT_ONCE,
  type Pod,
  PUT_AT_ONCE,
  RoundType,
  type Slot,
  SlotType,
  type State,
  type TaskView,
} from "./state.ts";

export function taskOpen(task: { firstRound: number; lastRound: number }, epoch: number): boolean {
  return task.firstRound <= epoch && epoch <= task.lastRound;
}

/** Whether a root may be drawn for `epoch`: old enough, and older than the task's first reveal. */
function rootUsable(dataset: Dataset, revealedFrom: number, epoch: number, params: Params): boolean {
  if (revealedFrom > 0 && dataset.registered >= revealedFrom) return false;
  return epochOfHeight(dataset.registered, params) + Number(params.rootAgeEpochs) <= epoch;
}

/** A pod as an epoch's draws see it, and the slots that they gave it so far. */
type PodDrawn = { readonly pod: Pod | undefined; slots: number };
/** A root, and its batches' uses with those that the draws have promised so far; made for roots that are drawn. */
type DataDrawn = { readonly dataset: Dataset | undefined; uses: Uint16Array | undefined };

/** What this epoch's draws have given so far, by pod and by root: each is read once, because draws don't change them. */
export type Given = {
  readonly pods: Map<string, PodDrawn>;
  readonly datasets: Map<string, DataDrawn>;
};
export const givenNothing = (): Given => ({ pods: new Map(), datasets: new Map() });

function podOf(state: State, podId: Uint8Array, { pods }: Given): PodDrawn {
  const name = nameOf(podId);
  const known = pods.get(name);
  if (known !== undefined) return known;
  const made = { pod: getPod(state, podId), slots: 0 };
  pods.set(name, made);
  return made;
}

function dataOf(state: State, dataRoot: Uint8Array, { datasets }: Given): DataDrawn {
  const name = nameOf(dataRoot);
  const known = datasets.get(name);
  if (known !== undefined) return known;
  const made = { dataset: getDataset(state, dataRoot), uses: undefined };
  datasets.set(name, made);
  return made;
}

/** How many of the slots it asks for a pod's bond still covers: a unit gives one slot in one task. */
function covered(drawn: PodDrawn, pod: Pod, asked: number, params: Params): number {
  const units = pod.exitEpoch > 0 ? 0 : Number(pod.bond / params.bondUnit);
  const slots = Math.max(0, Math.min(asked, units - drawn.slots));
  drawn.slots += slots;
  return slots;
}

/** A unit of a pod's bond in a task, which may be drawn for a slot. */
type Unit = { readonly pod: Pod; readonly dataset: Dataset; readonly data: DataDrawn };

/** Everything that takes part in a task's draw, in the order of the enrollments. */
function* unitSteps(
  state: State,
  task: TaskView,
  params: Params,
  given: Given,
  genesis: boolean,
): Steps<Unit[]> {
  const units: Unit[] = [];
  for (let i = 0; i < task.enrollments.length; i++) {
    if (i % ENROLLMENTS_AT_ONCE === ENROLLMENTS_AT_ONCE - 1) yield;
    const { podId, dataRoot, slots: asked } = task.enrollments.getReadonly(i).toValue();
    const data = dataOf(state, dataRoot, given);
    const drawn = podOf(state, podId, given);
    const { dataset } = data;
    const { pod } = drawn;
    if (dataset === undefined || pod === undefined) continue;
    if (!genesis && !rootUsable(dataset, task.revealedFrom, state.epoch, params)) continue;
    const unit = { pod, dataset, data };
    for (let left = covered(drawn, pod, asked, params); left > 0; left--) units.push(unit);
  }
  return units;
}

/** Takes a batch that may still be used for each unit, in order; one that has none left gets no slot. */
function slotsOf(drawn: readonly Unit[], seed: Uint8Array, params: Params): Slot[] {
  const batches = createDraw("draw-batch", seed);
  const reuseMax = Number(params.batchReuseMax);
  const freeOf = new Map<DataDrawn, number[]>();
  const slots: Slot[] = [];
  for (const { pod, dataset, data } of drawn) {
    data.uses ??= Uint16Array.from({ length: dataset.batches }, (_, batch) => dataset.uses[batch] ?? 0);
    const { uses } = data;
    const free = freeOf.get(data) ?? [];
    if (!freeOf.has(data)) {
      for (let batch = 0; batch < uses.length; batch++) if ((uses[batch] ?? 0) < reuseMax) free.push(batch);
      freeOf.set(data, free);
    }
    if (free.length === 0) continue;
    // A task draws a batch once.
    const [batchIndex = 0] = free.splice(batches.below(free.length), 1);
    uses[batchIndex] = (uses[batchIndex] ?? 0) + 1;
    slots.push({ podId: pod.podId, publicKey: pod.publicKey, dataRoot: dataset.dataRoot, batchIndex });
  }
  return slots;
}

/**
 * Empties a task's round and draws its slots for the state's epoch; genesis ignores ages. `given` goes from
 * task to task, so that a bond that was cut does not cover more slots than it has units, and no batch is
 * promised more often than it may still be used.
 */
export function* openSteps(
  state: State,
  index: number,
  params: Params,
  given: Given,
  genesis = false,
): Steps<void> {
  const task = state.tasks.getReadonly(index);
  const { epoch } = state;
  const before = state.rounds.getReadonly(index);
  const empty = before.slots.length === 0 && before.contributions.length === 0;
  if (!taskOpen(task, epoch) && empty && before.drawnSlices.length === 0) return;
  const round = RoundType.defaultViewDU();
  if (taskOpen(task, epoch)) {
    const seed = hash("draw-slots", state.beacon.mix, task.id, uint64Bytes(epoch));
    const units = yield* unitSteps(state, task, params, given, genesis);
    yield;
    const places = drawWithout(createDraw("draw-slots", seed), units.length, Number(params.slotsPerTask));
    const drawn = places.flatMap((place) => units[place] ?? []);
    for (const slot of slotsOf(drawn, seed, params)) round.slots.push(SlotType.toViewDU(slot));
  }
  state.rounds.set(index, round);
}

/** At the close: fixes the beacon for this epoch's scoring and draws the slices of every open task. */
export function closeSubmissions(state: State, params: Params): void {
  const { mix } = state.beacon;
  state.beacon.close = mix;
  const count = Number(params.slicesPerRound);
  for (let index = 0; index < state.tasks.length; index++) {
    const task = state.tasks.getReadonly(index);
    if (!taskOpen(task, state.epoch)) continue;
    // Read once: each time it is made anew from the tree.
    const drawn = task.drawn.slice();
    const free: number[] = [];
    for (let slice = 0; slice < task.holdoutSlices; slice++) if (drawn[slice] !== 1) free.push(slice);
    if (free.length < count) continue;
    const seed = hash("draw-slices", mix, task.id, uint64Bytes(state.epoch));
    const slices = drawWithout(createDraw("draw-slices", seed), free.length, count).map((i) => free[i] ?? 0);
    for (const slice of slices) drawn[slice] = 1;
    state.tasks.get(index).drawn = drawn;
    const round = state.rounds.get(index);
    for (const slice of slices) round.drawnSlices.push(slice);
  }
}

/**
 * Counts a use of the batch of each contribution of the epoch: once, before the next draw, which is what reads
 * them. The privacy budget counts releases of a batch, so it is spent by contributions and not by the draw.
 */
export function* useSteps(state: State): Steps<void> {
  const used = new Map<string, { readonly dataset: Dataset; readonly uses: Uint8Array }>();
  for (let index = 0; index < state.rounds.length; index++) {
    const { slots, contributions } = state.rounds.getReadonly(index);
    for (let i = 0; i < contributions.length; i++) {
      const { slot } = contributions.getReadonly(i).toValue().submission;
      const { dataRoot, batchIndex } = slots.getReadonly(slot).toValue();
      const name = nameOf(dataRoot);
      let it = used.get(name);
      if (it === undefined) {
        const dataset = getDataset(state, dataRoot);
        if (dataset === undefined) continue;
        it = { dataset, uses: dataset.uses.slice() };
        used.set(name, it);
      }
      it.uses[batchIndex] = Math.min(255, (it.uses[batchIndex] ?? 0) + 1);
    }
    yield;
  }
  for (const [i, { dataset, uses }] of [...used.values()].entries()) {
    putDataset(state, { ...dataset, uses });
    if (i % PUT_AT_ONCE !== PUT_AT_ONCE - 1) continue;
    state.datasets.commit();
    yield;
  }
}
