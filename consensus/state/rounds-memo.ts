/**
 * What the submissions of an epoch ask of the state again and again, remembered beside it: the slots' statements,
 * which are fixed from the draw to the settlement, and what a round's contributions have used. Called by
 * apply-submission.ts and the transition; nothing here is part of the state, and every answer is the state's own.
 *
 * Both go from a state to its forks: statements hold for the whole epoch of that history, and what contributions
 * have used grows with them. A fork that adds to it copies it first; where the number of contributions isn't the
 * one remembered, all of them are read again.
 */
import { equalBytes, toHex } from "../primitives/bytes.ts";
import type { Epoch } from "../primitives/units.ts";
import { ZERO32 } from "../types/ssz.ts";
import { type SlotStatement, statementOf } from "./inputs.ts";
import { taskIndexOf } from "./maps.ts";
import type { Slot, State } from "./state.ts";

export type AskedSlot = { readonly slot: Slot; readonly statement: SlotStatement };

type Used = {
  count: number;
  readonly nullifiers: Set<string>;
  /** The slot of the contribution with the best right to these rows, which is the last that was taken. */
  readonly dataTags: Map<string, number>;
  readonly slots: Set<number>;
};

type Memo = {
  readonly epoch: Epoch;
  /** By task and slot: as many as the epoch has slots. */
  readonly asked: Map<string, AskedSlot>;
  readonly used: Map<number, Used>;
  /** Tasks whose `used` is this state's own, not its parent's. */
  readonly own: Set<number>;
  /** Where a task was when it was last looked for. */
  readonly places: Map<string, number>;
};

const memos = new WeakMap<State, Memo>();

function memoOf(state: State): Memo {
  const known = memos.get(state);
  if (known !== undefined && known.epoch === state.epoch) return known;
  const memo: Memo = {
    epoch: state.epoch,
    asked: new Map(),
    used: new Map(),
    own: new Set(),
    places: new Map(),
  };
  memos.set(state, memo);
  return memo;
}

/** A fork continues its parent's epoch until it turns it itself. */
export function inheritMemo(parent: State, child: State): void {
  const { epoch, asked, places, used, own } = memoOf(parent);
  // From here on both have it.
  own.clear();
  memos.set(child, { epoch, asked, places, used: new Map(used), own: new Set() });
}

/** As taskIndexOf, which walks over all tasks; only tasks that exist are remembered. */
export function taskPlaceOf(state: State, id: Uint8Array): number {
  const { places } = memoOf(state);
  const name = toHex(id);
  const known = places.get(name);
  if (
    known !== undefined &&
    known < state.tasks.length &&
    equalBytes(state.tasks.getReadonly(known).id, id)
  ) {
    return known;
  }
  const found = taskIndexOf(state, id);
  if (found >= 0) places.set(name, found);
  return found;
}

/** A drawn slot of the task of this id and what it asks; the caller has seen where the task is, and the slot in it. */
export function askedSlot(state: State, id: Uint8Array, taskIndex: number, slotIndex: number): AskedSlot {
  const { asked } = memoOf(state);
  const name = `${toHex(id)}/${slotIndex}`;
  const known = asked.get(name);
  if (known !== undefined) return known;
  const task = state.tasks.getReadonly(taskIndex);
  const { podId, publicKey, dataRoot, batchIndex } = state.rounds
    .getReadonly(taskIndex)
    .slots.getReadonly(slotIndex);
  const slot: Slot = { podId, publicKey, dataRoot, batchIndex };
  const made = { slot, statement: statementOf(state, task, slot) };
  asked.set(name, made);
  return made;
}

/** What the contributions of a round have used so far. */
export function usedIn(state: State, taskIndex: number): Omit<Used, "count"> {
  const { used, own } = memoOf(state);
  const { contributions } = state.rounds.getReadonly(taskIndex);
  const known = used.get(taskIndex);
  if (known?.count === contributions.length) return known;
  const read: Used = {
    count: contributions.length,
    nullifiers: new Set(),
    dataTags: new Map(),
    slots: new Set(),
  };
  for (let i = 0; i < contributions.length; i++) {
    const { slot, outputs } = contributions.getReadonly(i).toValue().submission;
    const [nullifier = ZERO32, dataTag = ZERO32] = outputs;
    read.nullifiers.add(toHex(nullifier));
    read.dataTags.set(toHex(dataTag), slot);
    read.slots.add(slot);
  }
  used.set(taskIndex, read);
  own.add(taskIndex);
  return read;
}

/** A contribution was pushed. */
export function noteUsed(
  state: State,
  taskIndex: number,
  { nullifier, dataTag, slot }: { nullifier: Uint8Array; dataTag: Uint8Array; slot: number },
): void {
  const { used, own } = memoOf(state);
  const known = used.get(taskIndex);
  if (known === undefined) return;
  const mine = own.has(taskIndex)
    ? known
    : {
        count: known.count,
        nullifiers: new Set(known.nullifiers),
        dataTags: new Map(known.dataTags),
        slots: new Set(known.slots),
      };
  used.set(taskIndex, mine);
  own.add(taskIndex);
  mine.count += 1;
  mine.nullifiers.add(toHex(nullifier));
  mine.dataTags.set(toHex(dataTag), slot);
  mine.slots.add(slot);
}
