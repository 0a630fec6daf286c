/**
 * What the submissions of an epoch ask of the state again and again, remembered beside it: the slots' statements,
 * which are fixed from the draw to the settlement, and what a round's contributions have used. Called by
 * apply-submission.ts and the transition; nothing here is part of the state, and every answer is the state's own.
 *
 * Both go from a state to its forks: statements hold for the whole epoch of that history, and what contributions
 * have used grows with them. A fork that adds to it copies it first; where the number of contributions isn't the
 * one remembered, all of them are read again.
 */
import { nameOf } from "../primitives/bytes.ts";
import type { Epoch } from "../primitives/units.ts";
import { dataTagOf, nullifierOf } from "../types/submission.ts";
import { type SlotStatement, statementsFor } from "./inputs.ts";
import { taskIndexOf } from "./maps.ts";
import type { Slot, State } from "./state.ts";

export type AskedSlot = { readonly slot: Slot; readonly statement: SlotStatement };
/** A task's round of this epoch. */
export type AskedRound = {
  readonly taskIndex: number;
  /** Those that were drawn. */
  readonly slots: readonly Slot[];
  /** A slot and what it asks; undefined if the round has no such slot. */
  asked(at: number): AskedSlot | undefined;
};

type Used = {
  count: number;
  /** Of the rounds' tree, when the number of contributions was last seen to be this one. */
  seenIn: object;
  readonly nullifiers: Set<string>;
  /** The slot of the contribution with the best right to these rows, which is the last that was taken. */
  readonly dataTags: Map<string, number>;
  readonly slots: Set<number>;
};

type Memo = {
  readonly epoch: Epoch;
  /** By task: those with drawn slots. */
  readonly rounds: Map<string, AskedRound>;
  readonly used: Map<number, Used>;
  /** Tasks whose `used` is this state's own, not its parent's. */
  readonly own: Set<number>;
};

const memos = new WeakMap<State, Memo>();

function memoOf(state: State): Memo {
  const known = memos.get(state);
  if (known !== undefined && known.epoch === state.epoch) return known;
  const memo: Memo = {
    epoch: state.epoch,
    rounds: new Map(),
    used: new Map(),
    own: new Set(),
  };
  memos.set(state, memo);
  return memo;
}

/** A fork continues its parent's epoch until it turns it itself. */
export function inheritMemo(parent: State, child: State): void {
  const { epoch, rounds, used, own } = memoOf(parent);
  // From here on both have it.
  own.clear();
  memos.set(child, { epoch, rounds, used: new Map(used), own: new Set() });
}

/**
 * The round of the task of this id; undefined if there is no such task. One with drawn slots stays where it is for
 * the whole epoch: a place is given away only after the task's last round.
 */
export function askedRound(state: State, id: Uint8Array): AskedRound | undefined {
  const { rounds, epoch } = memoOf(state);
  const name = nameOf(id);
  const known = rounds.get(name);
  if (known !== undefined) return known;
  const taskIndex = taskIndexOf(state, id);
  if (taskIndex < 0) return undefined;
  const slots = state.rounds
    .getReadonly(taskIndex)
    .slots.getAllReadonly()
    .map((slot) => slot.toValue());
  if (slots.length === 0) return { taskIndex, slots, asked: () => undefined };
  const statementOf = statementsFor(state.tasks.getReadonly(taskIndex), epoch);
  const asked = new Array<AskedSlot | undefined>(slots.length).fill(undefined);
  const made: AskedRound = {
    taskIndex,
    slots,
    asked(at) {
      const slot = slots[at];
      if (slot !== undefined) asked[at] ??= { slot, statement: statementOf(slot) };
      return asked[at];
    },
  };
  rounds.set(name, made);
  return made;
}

/** What the contributions of a round have used so far. */
export function usedIn(state: State, taskIndex: number): Omit<Used, "count" | "seenIn"> {
  const { used, own } = memoOf(state);
  const { rounds } = state;
  const known = used.get(taskIndex);
  // To look at the round costs a dozen objects; between two commits only noteUsed adds to it.
  if (known?.seenIn === rounds.node) return known;
  const { contributions } = rounds.getReadonly(taskIndex);
  if (known?.count === contributions.length) {
    known.seenIn = rounds.node;
    return known;
  }
  const read: Used = {
    count: contributions.length,
    seenIn: rounds.node,
    nullifiers: new Set(),
    dataTags: new Map(),
    slots: new Set(),
  };
  for (let i = 0; i < contributions.length; i++) {
    const { submission } = contributions.getReadonly(i).toValue();
    const { slot } = submission;
    read.nullifiers.add(nameOf(nullifierOf(submission)));
    read.dataTags.set(nameOf(dataTagOf(submission)), slot);
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
        seenIn: known.seenIn,
        nullifiers: new Set(known.nullifiers),
        dataTags: new Map(known.dataTags),
        slots: new Set(known.slots),
      };
  used.set(taskIndex, mine);
  own.add(taskIndex);
  mine.count += 1;
  mine.nullifiers.add(nameOf(nullifier));
  mine.dataTags.set(nameOf(dataTag), slot);
  mine.slots.add(slot);
}
