/**
 * The end of an epoch, in its last block: score every open task's round, mint for the quality, pay, free
 * what was locked, turn to the next sets and draw the next slots. Called by the transition only.
 *
 * Total: no contribution, no reveal, no quality, no presence each have a defined result.
 */
import { compareBytes, toHex, uint64Bytes } from "../primitives/bytes.ts";
import { hash } from "../primitives/hash.ts";
import { LOCK_EPOCHS_MAX, type Params } from "../primitives/params.ts";
import { Amount, add, Epoch, subtract, ZERO } from "../primitives/units.ts";
import { decodeFeatures } from "../types/holdout.ts";
import { shapeOf } from "../work/gradient.ts";
import { type Fate, type Score, scoreRound } from "../work/score.ts";
import type { Context } from "./context.ts";
import { openRound, taskOpen } from "./draws.ts";
import { modelOf } from "./inputs.ts";
import { issuanceConstants, payouts, settlePublicLane } from "./issuance.ts";
import { credit, getAccount, getPod, putAccount, putPod } from "./maps.ts";
import { judgePresence, recordWork, seat } from "./seating.ts";
import { currentMembers } from "./sets.ts";
import { lockedDebtors, payLockedDebt, settleSlashings } from "./slashing.ts";
import { bytesText, type Contribution, fromInt64, LockType, type State, toInt32 } from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

/** How one contribution was measured and paid. */
export type ContributionReceipt = {
  readonly nullifier: Uint8Array;
  readonly podId: Uint8Array;
  readonly slot: number;
  readonly fate: Fate | "no-reveal";
  readonly value: bigint;
  readonly quality: bigint;
  readonly amount: Amount;
};

/** How one task's round ended. */
export type RoundReceipt = {
  readonly task: Uint8Array;
  readonly epoch: Epoch;
  readonly revealed: boolean;
  readonly stepped: boolean;
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly quality: bigint;
  readonly totalValue: bigint;
  /** nzkp paid to this round's contributions, before proposers, validators and the treasury. */
  readonly paid: Amount;
  readonly model: readonly number[];
  readonly unlockEpoch: Epoch;
  readonly contributions: readonly ContributionReceipt[];
};

export type EpochReceipt = {
  readonly minted: Amount;
  readonly quality: bigint;
  readonly rounds: readonly RoundReceipt[];
};

type Settled = {
  readonly index: number;
  readonly contributions: readonly Contribution[];
  readonly score: Score | undefined;
};

/** Scores one round and writes the stepped model. No reveal: no score, no step. */
function settleRound(state: State, index: number): Settled {
  const task = state.tasks.getReadonly(index);
  const round = state.rounds.getReadonly(index);
  const contributions = round.contributions
    .getAllReadonly()
    .map((view) => view.toValue())
    .sort((a, b) => compareBytes(a.nullifier, b.nullifier));
  if (round.labels.length === 0) return { index, contributions, score: undefined };
  const shape = shapeOf(bytesText(task.shape));
  const score = scoreRound({
    model: modelOf(task),
    rows: { features: shape.features, x: decodeFeatures(round.features), y: round.labels },
    gradients: contributions.map((it) => it.gradient.map((word) => Number(fromInt64(word)))),
    rowsPerGradient: shape.rows,
    rate: { numerator: task.rateNumerator, shift: task.rateShift },
    normBound: task.normBound,
    weight: shape.weight,
    seed: hash("score-permutation", state.beacon.close, task.id, uint64Bytes(state.epoch)),
  });
  if (score.stepped) {
    const { model } = state.tasks.get(index);
    score.model.forEach((weight, j) => {
      model.set(j, toInt32(weight));
    });
  }
  return { index, contributions, score };
}

/** Adds to an account's locked rewards, spendable from `unlockEpoch`. */
function lockReward(state: State, account: Uint8Array, amount: Amount, unlockEpoch: number): void {
  if (amount === 0n) return;
  const known = getAccount(state, account) ?? { address: account, nonce: 0, balance: ZERO, locked: ZERO };
  putAccount(state, { ...known, locked: add(known.locked, amount) });
  state.locks.get(unlockEpoch % Number(LOCK_EPOCHS_MAX)).push(LockType.toViewDU({ account, amount }));
}

/** Frees what unlocks at the beginning of `epoch`. */
function unlock(state: State, epoch: number): void {
  const place = epoch % Number(LOCK_EPOCHS_MAX);
  const debtors = lockedDebtors(state);
  for (const { account, amount } of state.locks.getReadonly(place).getAllReadonly()) {
    const known = getAccount(state, account);
    if (known === undefined) continue;
    putAccount(state, { ...known, locked: subtract(known.locked, amount) });
    takeFromSupply(state, "locked", amount);
    credit(state, account, subtract(amount, payLockedDebt(state, debtors, account, amount)));
  }
  state.locks.set(place, state.type.fields.locks.elementType.defaultViewDU());
}

function constantsOf(params: Params): ReturnType<typeof issuanceConstants> {
  return issuanceConstants({
    supplyMax: params.supplyMax,
    blockIntervalMs: Number(params.blockIntervalMs),
    epochHeights: Number(params.epochHeights),
    laneShare: { numerator: params.publicLanePercent, denominator: 100n },
    targetMin: params.targetMin,
    emaEpochs: params.emaEpochs,
  });
}

export function settleEpoch(state: State, { params }: Context): EpochReceipt {
  const { epoch } = state;
  const unlockEpoch = Epoch(epoch + 1 + Number(params.rewardLockEpochs));
  const settled: Settled[] = [];
  for (let index = 0; index < state.tasks.length; index++) {
    if (taskOpen(state.tasks.getReadonly(index), epoch)) settled.push(settleRound(state, index));
  }

  const quality = settled.reduce((sum, { score }) => sum + (score?.quality ?? 0n), 0n);
  const { genesis, minted: mintedBefore } = state.supply;
  const { target, floor, ema } = state.issuance;
  const lane = settlePublicLane(
    { issued: genesis + mintedBefore, target, floor, ema },
    quality,
    constantsOf(params),
  );
  state.issuance.target = lane.next.target;
  state.issuance.floor = lane.next.floor;
  state.issuance.ema = lane.next.ema;

  // Everything that the mint is shared by, in one order: tasks as they stand, contributions by nullifier.
  const values = settled.flatMap(({ contributions, score }) =>
    contributions.map((_, i) => score?.outcomes[i]?.quality ?? 0n),
  );
  const members = currentMembers(state);
  const carried = new Map<number, bigint>();
  settled
    .flatMap(({ contributions }) => contributions)
    .forEach(({ proposer }, i) => {
      carried.set(proposer, (carried.get(proposer) ?? 0n) + (values[i] ?? 0n));
    });
  const { opportunities } = state.presence;
  const paid = payouts({
    mint: lane.mint,
    values,
    carried: [...carried.values()],
    presence: members.map(({ weight }, i) => ({
      weight,
      present: state.presence.present.get(i),
      opportunities,
    })),
  });

  const earned = new Map<string, { account: Uint8Array; amount: bigint }>();
  const earn = (account: Uint8Array, amount: bigint): void => {
    const name = toHex(account);
    earned.set(name, { account, amount: (earned.get(name)?.amount ?? 0n) + amount });
  };
  const validatorAccount = (validator: number): Uint8Array => state.validators.getReadonly(validator).account;
  [...carried.keys()].forEach((proposer, i) => {
    earn(validatorAccount(proposer), paid.proposers[i] ?? 0n);
  });
  members.forEach(({ validator }, i) => {
    earn(validatorAccount(validator), paid.validators[i] ?? 0n);
  });

  let at = 0;
  const rounds = settled.map(({ index, contributions, score }): RoundReceipt => {
    const task = state.tasks.getReadonly(index);
    const slots = state.rounds.getReadonly(index).slots;
    const receipts = contributions.map((contribution, i): ContributionReceipt => {
      const { podId } = slots.getReadonly(contribution.slot);
      const amount = Amount(paid.contributions[at++] ?? 0n);
      const outcome = score?.outcomes[i];
      const pod = getPod(state, podId);
      if (pod !== undefined) {
        const settledQuality = pod.settledQuality + (outcome?.quality ?? 0n);
        putPod(state, { ...pod, accepted: pod.accepted + 1, settledQuality });
        earn(pod.account, amount);
      }
      return {
        nullifier: contribution.nullifier,
        podId,
        slot: contribution.slot,
        fate: outcome?.fate ?? "no-reveal",
        value: outcome?.value ?? 0n,
        quality: outcome?.quality ?? 0n,
        amount,
      };
    });
    return {
      task: task.id,
      epoch,
      revealed: score !== undefined,
      stepped: score?.stepped ?? false,
      lossBefore: score?.lossBefore ?? 0,
      lossAfter: score?.lossAfter ?? 0,
      quality: score?.quality ?? 0n,
      totalValue: score?.totalValue ?? 0n,
      paid: Amount(receipts.reduce((sum, { amount }) => sum + amount, 0n)),
      model: modelOf(task),
      unlockEpoch,
      contributions: receipts,
    };
  });

  let locked = 0n;
  for (const { account, amount } of earned.values()) {
    lockReward(state, account, Amount(amount), unlockEpoch);
    locked += amount;
  }
  addToSupply(state, "locked", Amount(locked));
  addToSupply(state, "treasury", Amount(paid.treasury));
  addToSupply(state, "minted", Amount(locked + paid.treasury));

  recordWork(state, mintedBy(settled, paid.contributions), params);
  turnEpoch(state, params);
  return { minted: Amount(locked + paid.treasury), quality, rounds };
}

/** What was minted for submissions, by the validator whose blocks carried them. */
function mintedBy(settled: readonly Settled[], amounts: readonly bigint[]): Map<number, bigint> {
  const minted = new Map<number, bigint>();
  const contributions = settled.flatMap((it) => it.contributions);
  for (const [i, { proposer }] of contributions.entries()) {
    minted.set(proposer, (minted.get(proposer) ?? 0n) + (amounts[i] ?? 0n));
  }
  return minted;
}

/** Everything that belongs to an epoch begins anew. */
function turnEpoch(state: State, params: Params): void {
  const next = Epoch(state.epoch + 1);
  judgePresence(state, params);
  state.epoch = next;
  unlock(state, next);
  settleSlashings(state, params);
  seat(state, Epoch(next + 1), params);
  resetPresence(state);
  state.beacon.close = new Uint8Array(32);
  for (let index = 0; index < state.tasks.length; index++) openRound(state, index, params);
}

export function resetPresence(state: State): void {
  const members = currentMembers(state).length;
  state.presence = state.type.fields.presence.toViewDU({
    opportunities: 0,
    present: new Array<number>(members).fill(0),
  });
}
