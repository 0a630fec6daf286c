/**
 * Who gets what at an epoch's end. Rounds share pots: all public tasks one, every sponsored task its own, so
 * that quality is never compared between sponsors; a round that its sponsor did not reveal shares what the
 * sponsor forfeits. Burn, pay and mint are one step. Called by settle-epoch.ts.
 *
 * Total: whatever is not shared out stays where it was, in the reserve or in the escrow.
 */
import { nameOf } from "../primitives/bytes.ts";
import { invariant } from "../primitives/faults.ts";
import { LOCK_EPOCHS_MAX } from "../primitives/params.ts";
import { eachStep, type Steps } from "../primitives/steps.ts";
import { Amount, add, Epoch, subtract, type ValidatorIndex, ZERO } from "../primitives/units.ts";
import type { Score } from "../work/score.ts";
import {
  type IssuanceConstants,
  payouts,
  REMINT,
  settleSponsoredLane,
  shares,
  sharesByPresence,
  splitFee,
  splitMint,
} from "./issuance.ts";
import { getAccount, getPod, putAccount } from "./maps.ts";
import { currentMembers } from "./sets.ts";
import { LANE, LockType, type State } from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

/** Of a contribution, what its score and its pay follow from. */
export type Contributed = {
  readonly slot: number;
  readonly proposer: ValidatorIndex;
  readonly nullifier: Uint8Array;
  readonly dataTag: Uint8Array;
  readonly gradient: readonly number[];
};

/** A round that has been scored, or could not be. */
export type Settled = {
  readonly index: number;
  /** Sorted by nullifier. */
  readonly contributions: readonly Contributed[];
  /** Places of those whose rows an older root brought as well: they are paid nothing. */
  readonly copies: ReadonlySet<number>;
  readonly score: Score | undefined;
};

/** How one contribution's amount came about. */
export type Part = { readonly minted: Amount; readonly fee: Amount; readonly forfeited: Amount };

/** What a round's contributions shared, as much as explains each amount. */
export type Pot = {
  readonly lane: "public" | "sponsored";
  /** Quality credited to all contributions that share the pot. */
  readonly quality: bigint;
  readonly mint: bigint;
  /** What of the mint pods share. */
  readonly podsMint: bigint;
  /** The sponsor's: a round's pay, what of it is burned, what of it pods share. */
  readonly fee: bigint;
  readonly burned: bigint;
  readonly podsFee: bigint;
  /** Shared equally among the contributions of a round that was not revealed. */
  readonly forfeit: bigint;
};

export type PaidRound = { readonly pot: Pot; readonly parts: readonly Part[] };

const NO_POT: Pot = {
  lane: "public",
  quality: 0n,
  mint: 0n,
  podsMint: 0n,
  fee: 0n,
  burned: 0n,
  podsFee: 0n,
  forfeit: 0n,
};
const NO_PART: Part = { minted: ZERO, fee: ZERO, forfeited: ZERO };

/** Of a round that shared nothing. */
export const UNPAID: PaidRound = { pot: NO_POT, parts: [] };

const valuesOf = ({ contributions, score }: Settled): bigint[] =>
  contributions.map((_, i) => score?.outcomes[i]?.quality ?? 0n);

type Earned = { readonly account: Uint8Array; amount: bigint };

/** Rewards of an epoch, gathered by account and locked together. */
function createLedger(state: State) {
  const earned = new Map<string, Earned>();
  const earnedBy = (account: Uint8Array): Earned => {
    const name = nameOf(account);
    const entry = earned.get(name) ?? { account, amount: 0n };
    earned.set(name, entry);
    return entry;
  };
  /** Of pods' accounts: a pod has contributions in many rounds. */
  const ofPods = new Map<string, Earned | undefined>();
  return {
    /** Pays a contribution's pod; what there is no pod for is not paid. */
    earnPod(podId: Uint8Array, amount: bigint): boolean {
      const name = nameOf(podId);
      let entry = ofPods.get(name);
      if (entry === undefined && !ofPods.has(name)) {
        const pod = getPod(state, podId);
        entry = pod === undefined ? undefined : earnedBy(pod.account);
        ofPods.set(name, entry);
      }
      if (entry === undefined) return false;
      entry.amount += amount;
      return true;
    },
    earnValidator(validator: number, amount: bigint): void {
      earnedBy(state.validators.getReadonly(validator).account).amount += amount;
    },
    *lockSteps(unlockEpoch: Epoch): Steps<void> {
      let locked = 0n;
      for (const { account, amount } of earned.values()) {
        lockReward(state, account, Amount(amount), unlockEpoch);
        locked += amount;
        yield;
      }
      addToSupply(state, "locked", Amount(locked));
    },
  };
}
type Ledger = ReturnType<typeof createLedger>;

/** Adds to an account's locked rewards, spendable from `unlockEpoch`. */
function lockReward(state: State, account: Uint8Array, amount: Amount, unlockEpoch: number): void {
  if (amount === 0n) return;
  const known = getAccount(state, account) ?? { address: account, nonce: 0, balance: ZERO, locked: ZERO };
  putAccount(state, { ...known, locked: add(known.locked, amount) });
  state.locks.get(unlockEpoch % Number(LOCK_EPOCHS_MAX)).push(LockType.toViewDU({ account, amount }));
}

/** Pays the rounds that share one pot: mint and fee by quality, what the absent miss to nobody. */
function* potSteps(
  state: State,
  ledger: Ledger,
  rounds: readonly Settled[],
  mint: bigint,
  fee: bigint,
): Steps<PaidRound[]> {
  const members = currentMembers(state);
  const { opportunities, present } = state.presence;
  const presence = members.map(({ weight }, i) => ({ weight, present: present.get(i), opportunities }));
  const split = splitFee(fee);
  const values = rounds.flatMap(valuesOf);
  const carried = new Map<number, bigint>();
  for (const [i, { proposer }] of rounds.flatMap(({ contributions }) => contributions).entries())
    carried.set(proposer, (carried.get(proposer) ?? 0n) + (values[i] ?? 0n));
  const paid = payouts({ mint, values, carried: [...carried.values()], presence });
  const fees = shares(split.pods, values);
  const validatorFees = sharesByPresence(split.validators, presence);

  for (const [i, proposer] of [...carried.keys()].entries())
    ledger.earnValidator(proposer, paid.proposers[i] ?? 0n);
  let fromEscrow = split.burned;
  let minted = paid.treasury + sum(paid.proposers) + sum(paid.validators);
  for (const [i, { validator }] of members.entries()) {
    ledger.earnValidator(validator, (paid.validators[i] ?? 0n) + (validatorFees[i] ?? 0n));
    fromEscrow += validatorFees[i] ?? 0n;
  }
  const pot: Pot = {
    ...NO_POT,
    lane: fee > 0n ? "sponsored" : "public",
    quality: sum(values),
    mint,
    podsMint: splitMint(mint).pods,
    fee,
    burned: split.burned,
    podsFee: split.pods,
  };
  let at = 0;
  yield;
  const result = yield* eachStep(rounds, ({ index, contributions }): PaidRound => {
    const { slots } = state.rounds.getReadonly(index);
    const parts = contributions.map(({ slot }): Part => {
      const { podId } = slots.getReadonly(slot).toValue();
      const own = { minted: Amount(paid.contributions[at] ?? 0n), fee: Amount(fees[at] ?? 0n) };
      const part = ledger.earnPod(podId, own.minted + own.fee) ? { ...own, forfeited: ZERO } : NO_PART;
      at++;
      minted += part.minted;
      fromEscrow += part.fee;
      return part;
    });
    return { pot, parts };
  });
  addToSupply(state, "treasury", Amount(paid.treasury));
  addToSupply(state, "minted", Amount(minted));
  if (fee > 0n) {
    // The rule that makes self-dealing lose, whoever owns the sponsor, the pods, the proposer and the validators.
    invariant(minted * REMINT.denominator <= split.burned * REMINT.numerator, "a mint is ≤ 9/10 of the burn");
    for (const { index } of rounds) takeEscrow(state, index, fromEscrow);
    addToSupply(state, "burned", Amount(split.burned));
  }
  return result;
}

const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);

function takeEscrow(state: State, index: number, amount: bigint): void {
  const task = state.tasks.get(index);
  task.escrow = subtract(task.escrow, Amount(amount));
  takeFromSupply(state, "escrowed", Amount(amount));
}

/** What a round of this task would pay: nothing in the public lane, or if the escrow does not cover it. */
function roundFee(state: State, index: number): bigint {
  const { lane, escrow, roundPay } = state.tasks.getReadonly(index);
  return lane === LANE.sponsored && escrow >= roundPay ? roundPay : 0n;
}

/**
 * A round with contributions whose drawn slices were not opened: its pay and half of the sponsor's bond go
 * equally to the contributions, the other half is burned, and the task ends.
 */
function payForfeit(state: State, ledger: Ledger, { index, contributions, copies }: Settled): PaidRound {
  const { bond, lane } = state.tasks.getReadonly(index);
  const { drawnSlices, slots } = state.rounds.getReadonly(index);
  const nothing = { pot: NO_POT, parts: contributions.map(() => NO_PART) };
  const name = lane === LANE.sponsored ? "sponsored" : "public";
  const count = contributions.length - copies.size;
  if (bond === 0n || count === 0 || drawnSlices.length === 0)
    return { ...nothing, pot: { ...NO_POT, lane: name } };
  const fee = roundFee(state, index);
  const forfeit = fee + bond / 2n;
  const each = forfeit / BigInt(count);
  const parts = contributions.map(({ slot }, i): Part => {
    if (copies.has(i) || !ledger.earnPod(slots.getReadonly(slot).toValue().podId, each)) return NO_PART;
    return { ...NO_PART, forfeited: Amount(each) };
  });
  const paid = parts.reduce((total, { forfeited }) => total + forfeited, 0n);
  takeEscrow(state, index, fee);
  takeFromSupply(state, "bonded", bond);
  addToSupply(state, "burned", Amount(fee + bond - paid));
  const task = state.tasks.get(index);
  task.bond = ZERO;
  task.lastRound = Epoch(state.epoch);
  return { pot: { ...NO_POT, lane: name, forfeit }, parts };
}

/** Pays all rounds, in their order. `publicMint` is what the public lane may mint. */
export function* paymentSteps(
  state: State,
  settled: readonly Settled[],
  publicMint: bigint,
  constants: IssuanceConstants,
  unlockEpoch: Epoch,
): Steps<PaidRound[]> {
  const { genesis, minted } = state.supply;
  const ledger = createLedger(state);
  const paid = new Map<number, PaidRound>();
  const publicRounds = settled.filter(
    ({ index, score }) => score !== undefined && state.tasks.getReadonly(index).lane === LANE.public,
  );
  const publicPaid = yield* potSteps(state, ledger, publicRounds, publicMint, 0n);
  for (const [i, { index }] of publicRounds.entries()) {
    const round = publicPaid[i];
    if (round !== undefined) paid.set(index, round);
  }
  const sponsored = settled.filter(
    ({ index, score }) => score !== undefined && state.tasks.getReadonly(index).lane === LANE.sponsored,
  );
  const fees = sponsored.map(({ index, score }) =>
    (score?.quality ?? 0n) > 0n ? roundFee(state, index) : 0n,
  );
  const mints = settleSponsoredLane(
    genesis + minted,
    fees.map((fee) => splitFee(fee).burned),
    constants,
  );
  for (const [i, round] of sponsored.entries()) {
    const [one] = yield* potSteps(state, ledger, [round], mints[i] ?? 0n, fees[i] ?? 0n);
    if (one !== undefined) paid.set(round.index, { ...one, pot: { ...one.pot, lane: "sponsored" } });
  }
  const rounds = yield* eachStep(
    settled,
    (round): PaidRound => paid.get(round.index) ?? payForfeit(state, ledger, round),
  );
  yield* ledger.lockSteps(unlockEpoch);
  return rounds;
}
