/**
 * Validator sets. The set of epoch e+1 is a function of the state at the end of e−1, so it is known a
 * whole epoch ahead. The state holds, by epoch, the next one, this one and those of the evidence window;
 * seating.ts says who is in a new one.
 */
import { invariant } from "../primitives/faults.ts";
import type { Epoch } from "../primitives/units.ts";
import {
  createValidatorSet,
  type Member,
  SETS_KEPT,
  SetType,
  type ValidatorSet,
} from "../types/validator-set.ts";
import type { State } from "./state.ts";

/**
 * w*: the largest integer with w* ≤ max(1/25, 2/n) · Σ min(stake, w*). What a stake has above it has no
 * weight. The sum grows slower than w*, so the condition holds up to w* and never after: bisection.
 */
export function weightCap(stakes: readonly bigint[]): bigint {
  const n = BigInt(stakes.length);
  if (n === 0n) return 0n;
  const [numerator, denominator] = n < 50n ? [2n, n] : [1n, 25n];
  const fits = (cap: bigint): boolean =>
    cap * denominator <= numerator * stakes.reduce((sum, stake) => sum + (stake < cap ? stake : cap), 0n);
  let low = 0n;
  let high = stakes.reduce((max, stake) => (stake > max ? stake : max), 0n);
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (fits(middle)) low = middle;
    else high = middle - 1n;
  }
  return low;
}

/** Relative to the state's epoch. The one before is who finalized the block that this epoch builds on. */
const DISTANCE = { previous: -1, current: 0, next: 1 } as const;
export type SetName = keyof typeof DISTANCE;

/** Writes the set of `epoch`, its proposers shuffled by the beacon as it stands. */
export function writeSet(state: State, epoch: Epoch, members: readonly Member[]): void {
  const stored = { epoch, seed: state.beacon.mix, members: [...members] };
  state.sets.set(epoch % SETS_KEPT, SetType.toViewDU(stored));
}

/** Members of an epoch's set; undefined if the state doesn't hold it. */
export function membersAt(state: State, epoch: number): readonly Member[] | undefined {
  if (epoch < 0) return undefined;
  const stored = state.sets.getReadonly(epoch % SETS_KEPT);
  return stored.epoch === epoch && stored.members.length > 0
    ? stored.members.getAllReadonlyValues()
    : undefined;
}

/** One member of an epoch's set; undefined if there is none. */
export function memberAt(state: State, epoch: number, position: number): Member | undefined {
  const stored = state.sets.getReadonly(epoch % SETS_KEPT);
  if (stored.epoch !== epoch || position >= stored.members.length) return undefined;
  return stored.members.getReadonly(position).toValue();
}

/** By the tree of what is stored, which never changes: every block of an epoch asks for the same sets. */
const made = new WeakMap<object, ValidatorSet>();

/** The set of an epoch; undefined if the state doesn't hold it. */
export function setAt(state: State, epoch: number): ValidatorSet | undefined {
  if (epoch < 0) return undefined;
  const view = state.sets.getReadonly(epoch % SETS_KEPT);
  if (view.epoch !== epoch || view.members.length === 0) return undefined;
  const known = made.get(view.node);
  if (known !== undefined) return known;
  const stored = view.toValue();
  const set = createValidatorSet(stored.epoch, stored.members, stored.seed);
  made.set(view.node, set);
  return set;
}

/** In epoch 0 the previous set is the first one. */
export function validatorSet(state: State, name: SetName): ValidatorSet {
  const set = setAt(state, Math.max(0, state.epoch + DISTANCE[name]));
  invariant(set !== undefined, "the state holds the sets around its epoch");
  return set;
}

/** Seats of this epoch. */
export function currentMembers(state: State): readonly Member[] {
  return membersAt(state, state.epoch) ?? [];
}
