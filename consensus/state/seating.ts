/**
 * Who has a seat: run at each epoch's turn for the set of the epoch after the new one, so that nothing
 * that happens in an epoch changes its own set or the next one's.
 *
 * Leaving is rationed, because a set that is followed by a stranger's can be outlived by nobody's stake:
 * from one set to the next at most `exitWeightPercent` of the weight goes (one validator always may),
 * and never so many that fewer than `validatorsMin` sit. The slashed go first, then whoever has been
 * absent, then those who asked, in the order of asking; last the smallest where seats are scarce.
 * docs/protocol.md, "Staking".
 */
import type { Params } from "../primitives/params.ts";
import { Epoch, type ValidatorIndex } from "../primitives/units.ts";
import { SEATS_MAX } from "../types/ssz.ts";
import type { Member } from "../types/validator-set.ts";
import { currentMembers, membersAt, weightCap, writeSet } from "./sets.ts";
import { type State, type Validator, ValidatorStatus } from "./state.ts";
import { getValidator, putValidator, startUnbonding, validators } from "./validators.ts";

type Candidate = { readonly validator: ValidatorIndex; readonly it: Validator };

/** At an epoch's end, before the turn: who was hardly ever seen in it. */
export function judgePresence(state: State, params: Params): void {
  const { opportunities } = state.presence;
  if (opportunities === 0) return;
  for (const [position, { validator }] of currentMembers(state).entries()) {
    const present = BigInt(state.presence.present.get(position));
    const missed = present * 100n < BigInt(opportunities) * params.presenceMinPercent;
    const it = getValidator(state, validator);
    const absentEpochs = missed ? Math.min(255, it.absentEpochs + 1) : 0;
    if (absentEpochs !== it.absentEpochs) putValidator(state, validator, { ...it, absentEpochs });
  }
}

/** At an epoch's end, before the turn: nzkp minted for submissions, by the validator whose blocks carried them. */
export function recordWork(state: State, minted: ReadonlyMap<number, bigint>, params: Params): void {
  const place = state.epoch % Number(params.electionWindowEpochs);
  for (const { validator, it } of validators(state)) {
    const amount = minted.get(validator) ?? 0n;
    if (it.work[place] === amount) continue;
    const work = it.work.map((before, i) => (i === place ? amount : before));
    putValidator(state, validator, { ...it, work });
  }
}

/**
 * Election weight: the voting weight, and up to a quarter more by useful work per unit of weight against
 * the best. weight + ⌊work · w_best / (4 · work_best)⌋ = weight · (1 + ratio / (4 · ratio_best)).
 */
export function electionWeights(
  members: readonly { readonly weight: bigint; readonly work: bigint }[],
): bigint[] {
  let best = { weight: 1n, work: 0n };
  for (const it of members) if (it.work * best.weight > best.work * it.weight) best = it;
  return members.map(({ weight, work }) =>
    best.work === 0n ? weight : weight + (work * best.weight) / (4n * best.work),
  );
}

/** What may still leave from one set to the next. */
function createRation(before: readonly Member[], sitting: number, params: Params) {
  const total = before.reduce((sum, { weight }) => sum + weight, 0n);
  let weight = 0n;
  let seats = sitting;
  /** Takes a leaver of this weight if it may go; the first may be heavier than the ration, unless `strict`. */
  return (leaving: bigint, strict: boolean): boolean => {
    const fits = (weight + leaving) * 100n <= total * params.exitWeightPercent;
    if ((!fits && (strict || weight > 0n)) || BigInt(seats - 1) < params.validatorsMin) return false;
    weight += leaving;
    seats -= 1;
    return true;
  };
}

const byExit = (a: Candidate, b: Candidate): number =>
  a.it.exitEpoch - b.it.exitEpoch || a.validator - b.validator;
const byStake = (a: Candidate, b: Candidate): number =>
  a.it.stake === b.it.stake ? a.validator - b.validator : a.it.stake > b.it.stake ? -1 : 1;

/** Who leaves and who is jailed, of those who would all sit in the next set. */
function leaversOf(pool: readonly Candidate[], before: readonly Member[], params: Params) {
  const weights = new Map(before.map(({ validator, weight }) => [validator, weight]));
  const seated = pool.filter(({ validator }) => weights.has(validator));
  const ration = createRation(before, Math.min(pool.length, SEATS_MAX), params);
  const takes = ({ validator }: Candidate, strict: boolean): boolean =>
    ration(weights.get(validator) ?? 0n, strict);
  const leavers = new Set<ValidatorIndex>();
  const jailed = new Set<ValidatorIndex>();

  const exiting = seated.filter(({ it }) => it.status === ValidatorStatus.exiting).sort(byExit);
  const leaveInOrder = (queue: readonly Candidate[]): void => {
    for (const one of queue) {
      if (!takes(one, false)) return; // whoever waits longest is not overtaken by a lighter one
      leavers.add(one.validator);
    }
  };
  leaveInOrder(exiting.filter(({ it }) => it.slashes > 0));
  for (const one of seated) {
    const { status, absentEpochs } = one.it;
    if (status === ValidatorStatus.exiting || absentEpochs < params.presenceEpochs) continue;
    if (takes(one, true)) jailed.add(one.validator);
  }
  leaveInOrder(exiting.filter(({ it }) => it.slashes === 0));

  const staying = pool.filter(({ validator }) => !leavers.has(validator) && !jailed.has(validator));
  const ranked = [...staying].sort(byStake);
  const incumbents = ranked.filter(({ validator }) => weights.has(validator));
  const newcomers = ranked.filter(({ validator }) => !weights.has(validator));
  // Where seats are scarce a newcomer takes the place of the smallest that weighs less, while any may go.
  let newcomersIn = Math.min(newcomers.length, SEATS_MAX - incumbents.length);
  for (let next = newcomers[newcomersIn]; next !== undefined; next = newcomers[newcomersIn]) {
    const smallest = incumbents.at(-1);
    if (smallest === undefined || smallest.it.stake >= next.it.stake || !takes(smallest, true)) break;
    incumbents.pop();
    newcomersIn += 1;
  }
  const seats = [...incumbents, ...newcomers.slice(0, newcomersIn)];
  return { jailed, seats: seats.sort((a, b) => a.validator - b.validator) };
}

/** Makes the set of `epoch` from the set before it and the state as it stands, and moves who is out of it. */
export function seat(state: State, epoch: Epoch, params: Params): void {
  const before = membersAt(state, epoch - 1) ?? [];
  const incumbents = new Set(before.map(({ validator }) => validator));
  // Read once: nothing of it changes before the last loop, which writes each only once.
  const all = validators(state);
  const pool = all.filter(
    ({ validator, it }) =>
      it.status === ValidatorStatus.active ||
      (it.status === ValidatorStatus.exiting && incumbents.has(validator)),
  );
  const { jailed, seats } = leaversOf(pool, before, params);

  const cap = weightCap(seats.map(({ it }) => it.stake));
  const weighed = seats.map(({ it }) => ({
    // Whoever may not leave although all its stake is slashed keeps a seat, and no set is without weight.
    weight: [1n, it.stake < cap ? it.stake : cap].reduce((a, b) => (a > b ? a : b)),
    work: it.work.reduce((sum, amount) => sum + amount, 0n),
  }));
  const elections = electionWeights(weighed);
  const members = seats.map(({ validator, it }, i): Member => {
    const { weight } = weighed[i] ?? { weight: 0n };
    return { validator, blsKey: it.blsKey, weight, electionWeight: elections[i] ?? weight };
  });
  writeSet(state, epoch, members);

  const sits = new Set(members.map(({ validator }) => validator));
  for (const { validator, it } of all) {
    if (sits.has(validator)) {
      putValidator(state, validator, { ...it, seatedUntil: Epoch(epoch + 1) });
    } else if (it.status === ValidatorStatus.exiting) {
      putValidator(state, validator, startUnbonding(it, state.epoch));
    } else if (jailed.has(validator)) {
      const jailedUntil = Epoch(epoch + Number(params.jailEpochs));
      putValidator(state, validator, {
        ...it,
        status: ValidatorStatus.jailed,
        absentEpochs: 0,
        jailedUntil,
      });
    }
  }
}
