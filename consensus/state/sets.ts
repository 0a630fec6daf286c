/**
 * Validator sets. The set of epoch e+1 is a function of the state at the end of e−1, so it is known a
 * whole epoch ahead; the state holds the one before this epoch's, this one's and the next one's.
 */
import { Epoch, ValidatorIndex } from "../primitives/units.ts";
import { SEATS_MAX } from "../types/ssz.ts";
import { createValidatorSet, type Member, type ValidatorSet } from "../types/validator-set.ts";
import { SetType, type State } from "./state.ts";

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

/** Members for a future epoch, by stake as it stands, in the order of their registration. */
function membersOf(state: State): { validator: ValidatorIndex; weight: bigint; electionWeight: bigint }[] {
  const seated: { validator: ValidatorIndex; stake: bigint }[] = [];
  for (let i = 0; i < state.validators.length; i++) {
    const { stake } = state.validators.getReadonly(i);
    if (stake > 0n) seated.push({ validator: ValidatorIndex(i), stake });
  }
  seated.sort((a, b) => (a.stake === b.stake ? a.validator - b.validator : a.stake > b.stake ? -1 : 1));
  const chosen = seated.slice(0, SEATS_MAX).sort((a, b) => a.validator - b.validator);
  const cap = weightCap(chosen.map(({ stake }) => stake));
  return chosen.map(({ validator, stake }) => {
    const weight = stake < cap ? stake : cap;
    return { validator, weight, electionWeight: weight };
  });
}

/** Places in the state's `sets`. The one before is who finalized the block that this epoch builds on. */
const PLACES = { previous: 0, current: 1, next: 2 } as const;
export type SetName = keyof typeof PLACES;

/** Writes the set of `epoch`, its proposers shuffled by the beacon as it stands. */
export function writeSet(state: State, name: SetName, epoch: Epoch): void {
  state.sets.set(
    PLACES[name],
    SetType.toViewDU({ epoch, seed: state.beacon.mix, members: membersOf(state) }),
  );
}

/** At an epoch's turn: each set takes the place before its own, and a new next one is made. */
export function turnSets(state: State, next: Epoch): void {
  for (const place of [PLACES.previous, PLACES.current]) {
    state.sets.set(place, SetType.toViewDU(state.sets.getReadonly(place + 1).toValue()));
  }
  writeSet(state, "next", Epoch(next + 1));
}

export function validatorSet(state: State, name: SetName): ValidatorSet {
  const { epoch, seed, members } = state.sets.getReadonly(PLACES[name]).toValue();
  const full: Member[] = members.map((member) => ({
    ...member,
    blsKey: state.validators.getReadonly(member.validator).blsKey,
  }));
  return createValidatorSet(epoch, full, seed);
}

/** Seats of this epoch. */
export function currentMembers(state: State): readonly { validator: ValidatorIndex; weight: bigint }[] {
  return state.sets.getReadonly(PLACES.current).members.getAllReadonly();
}
