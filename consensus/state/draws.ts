/**
 * What the beacon decides: who may submit with which batch (at an epoch's end, for the next one), and
 * which holdout slices are opened (at the close). Nobody chooses, nobody knows earlier. And what was used of the
 * batches, which the next draw reads.
 */
import { toHex, uint64Bytes } from "../primitives/bytes.ts";
import { createDraw, drawWithout, hash } from "../primitives/hash.ts";
import { epochOfHeight, type Params } from "../primitives/params.ts";
import type { Steps } from "../primitives/steps.ts";
import { getDataset, getPod, putDataset } from "./maps.ts";
import { type Dataset, type Pod, RoundType, type Slot, type State } from "./state.ts";

export function taskOpen(task: { firstRound: number; lastRound: number }, epoch: number): boolean {
  return task.firstRound <= epoch && epoch <= task.lastRound;
}

/** Whether a root may be drawn for `epoch`: old enough, and older than the task's first reveal. */
function rootUsable(dataset: Dataset, revealedFrom: number, epoch: number, params: Params): boolean {
  if (revealedFrom > 0 && dataset.registered >= revealedFrom) return false;
  return epochOfHeight(dataset.registered, params) + Number(params.rootAgeEpochs) <= epoch;
}

/** What this epoch's draws have given so far: slots by pod, and how often each batch of a root. */
export type Given = {
  readonly slots: Map<string, number>;
  readonly batches: Map<string, Map<number, number>>;
};
export const givenNothing = (): Given => ({ slots: new Map(), batches: new Map() });

/** How many of the slots it asks for a pod's bond still covers: a unit gives one slot in one task. */
function covered(pod: Pod, asked: number, { slots: given }: Given, params: Params): number {
  const name = toHex(pod.podId);
  const before = given.get(name) ?? 0;
  const units = pod.exitEpoch > 0 ? 0 : Number(pod.bond / params.bondUnit);
  const slots = Math.max(0, Math.min(asked, units - before));
  given.set(name, before + slots);
  return slots;
}

/**
 * Empties a task's round and draws its slots for the state's epoch; genesis ignores ages. `given` goes from
 * task to task, so that a bond that was cut does not cover more slots than it has units, and no batch is
 * promised more often than it may still be used.
 */
export function openRound(state: State, index: number, params: Params, given: Given, genesis = false): void {
  const task = state.tasks.getReadonly(index);
  const { epoch } = state;
  const before = state.rounds.getReadonly(index);
  const empty = before.slots.length === 0 && before.contributions.length === 0;
  if (!taskOpen(task, epoch) && empty && before.drawnSlices.length === 0) return;
  const slots: Slot[] = [];
  if (taskOpen(task, epoch)) {
    const seed = hash("draw-slots", state.beacon.mix, task.id, uint64Bytes(epoch));
    const units: number[] = [];
    for (let i = 0; i < task.enrollments.length; i++) {
      const { podId, dataRoot, slots: asked } = task.enrollments.getReadonly(i).toValue();
      const dataset = getDataset(state, dataRoot);
      const pod = getPod(state, podId);
      if (dataset === undefined || pod === undefined) continue;
      if (!genesis && !rootUsable(dataset, task.revealedFrom, epoch, params)) continue;
      const slotsCovered = covered(pod, asked, given, params);
      for (let unit = 0; unit < slotsCovered; unit++) units.push(i);
    }
    const drawn = drawWithout(createDraw("draw-slots", seed), units.length, Number(params.slotsPerTask));
    const batches = createDraw("draw-batch", seed);
    const taken = new Map<string, Set<number>>();
    for (const unit of drawn) {
      const { podId, dataRoot } = task.enrollments.getReadonly(units[unit] ?? 0).toValue();
      const dataset = getDataset(state, dataRoot);
      const pod = getPod(state, podId);
      if (dataset === undefined || pod === undefined) continue;
      const name = toHex(dataRoot);
      const others = taken.get(name) ?? new Set<number>();
      const promised = given.batches.get(name) ?? new Map<number, number>();
      const free: number[] = [];
      for (let batch = 0; batch < dataset.batches; batch++) {
        const uses = (dataset.uses[batch] ?? 0) + (promised.get(batch) ?? 0);
        if (uses < params.batchReuseMax && !others.has(batch)) free.push(batch);
      }
      if (free.length === 0) continue;
      const batchIndex = free[batches.below(free.length)] ?? 0;
      taken.set(name, others.add(batchIndex));
      given.batches.set(name, promised.set(batchIndex, (promised.get(batchIndex) ?? 0) + 1));
      slots.push({ podId, publicKey: pod.publicKey, dataRoot, batchIndex });
    }
  }
  state.rounds.set(
    index,
    RoundType.toViewDU({
      slots,
      contributions: [],
      drawnSlices: [],
      features: new Uint8Array(0),
      labels: new Uint8Array(0),
    }),
  );
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
      const name = toHex(dataRoot);
      const dataset = used.get(name)?.dataset ?? getDataset(state, dataRoot);
      if (dataset === undefined) continue;
      const uses = used.get(name)?.uses ?? dataset.uses.slice();
      uses[batchIndex] = Math.min(255, (uses[batchIndex] ?? 0) + 1);
      used.set(name, { dataset, uses });
    }
    yield;
  }
  for (const { dataset, uses } of used.values()) putDataset(state, { ...dataset, uses });
}
