/**
 * Validator sets. The set of epoch e+1 is a function of the state at the end of e−1, so it is known a
 * whole epoch ahead; the state holds this epoch's and the next one's.
 */
import type { Epoch } from "../primitives/units.ts";
import { ValidatorIndex } from "../primitives/units.ts";
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

/** Writes the set of `epoch`, its proposers shuffled by the beacon as it stands. */
export function writeSet(state: State, place: 0 | 1, epoch: Epoch): void {
  state.sets.set(place, SetType.toViewDU({ epoch, seed: state.beacon.mix, members: membersOf(state) }));
}

/** The set of this epoch (0) or the next one (1). */
export function validatorSet(state: State, place: 0 | 1): ValidatorSet {
  const { epoch, seed, members } = state.sets.getReadonly(place).toValue();
  const full: Member[] = members.map((member) => ({
    ...member,
    blsKey: state.validators.getReadonly(member.validator).blsKey,
  }));
  return createValidatorSet(epoch, full, seed);
}
