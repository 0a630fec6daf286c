/**
 * The end of an epoch, in its last block: score every open task's round, mint for the quality, pay, free
 * what was locked, turn to the next sets and draw the next slots. Called by the transition only.
 *
 * Total: no contribution, no reveal, no quality, no presence each have a defined result.
 */
import { compareBytes, uint64Bytes } from "../primitives/bytes.ts";
import { invariant } from "../primitives/faults.ts";
import { hash } from "../primitives/hash.ts";
import { LOCK_EPOCHS_MAX, type Params } from "../primitives/params.ts";
import { allAtOnce, eachStep, type Steps } from "../primitives/steps.ts";
import { Amount, add, Epoch, subtract, ZERO } from "../primitives/units.ts";
import { decodeFeatures } from "../types/holdout.ts";
import { dataTagOf, nullifierOf } from "../types/submission.ts";
import { shapeOf } from "../work/gradient.ts";
import { type Fate, type ScoreInput, scoreRound } from "../work/score.ts";
import { readOutputs } from "../work/signals.ts";
import type { Context, Scorer } from "./context.ts";
import { copiesAmong } from "./copies.ts";
import { givenNothing, openSteps, taskOpen, useSteps } from "./draws.ts";
import { modelOf } from "./inputs.ts";
import { issuanceConstants, settlePublicLane } from "./issuance.ts";
import { credit, getAccount, putAccount } from "./maps.ts";
import { type PaidRound, type Pot, paymentSteps, type Settled, UNPAID } from "./pay.ts";
import { returnSteps } from "./pod-bond.ts";
import { keepRounds } from "./pod-evidence.ts";
import { createReputation, type Reputation } from "./reputation.ts";
import { judgePresence, recordWork, seat } from "./seating.ts";
import { currentMembers } from "./sets.ts";
import { lockedDebtors, payLockedDebt, settleSlashings } from "./slashing.ts";
import { bytesText, LANE, type State, toInt32 } from "./state.ts";
import { takeFromSupply } from "./supply.ts";
import { turnTasks } from "./task-money.ts";

/** How one contribution was measured and paid. */
export type ContributionReceipt = {
  readonly nullifier: Uint8Array;
  readonly podId: Uint8Array;
  readonly slot: number;
  readonly fate: Fate | "no-reveal" | "copy";
  readonly value: bigint;
  readonly quality: bigint;
  /** The sum of the three below. */
  readonly amount: Amount;
  readonly minted: Amount;
  /** Of the sponsor's fee. */
  readonly fee: Amount;
  /** Of what the sponsor lost by not revealing. */
  readonly forfeited: Amount;
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
  /** What it shared, with other public tasks or alone. */
  readonly pot: Pot;
  readonly model: readonly number[];
  readonly unlockEpoch: Epoch;
  readonly contributions: readonly ContributionReceipt[];
};

export type EpochReceipt = {
  readonly minted: Amount;
  /** Of fees and forfeited bonds, by this settlement. */
  readonly burned: Amount;
  /** Of the public lane, and the target it was measured by. */
  readonly quality: bigint;
  readonly target: bigint;
  readonly rounds: readonly RoundReceipt[];
};

function contributionsOf(state: State, index: number): Settled["contributions"] {
  const shape = shapeOf(bytesText(state.tasks.getReadonly(index).shape));
  return state.rounds
    .getReadonly(index)
    .contributions.getAllReadonly()
    .map((view) => {
      const { submission, proposer } = view.toValue();
      const gradient = readOutputs(shape, submission.outputs);
      invariant(!("code" in gradient), "what was included has a gradient");
      const [nullifier, dataTag] = [nullifierOf(submission), dataTagOf(submission)];
      return { slot: submission.slot, proposer, nullifier, dataTag, gradient };
    })
    .sort((a, b) => compareBytes(a.nullifier, b.nullifier));
}

/** What the round is scored by, once its slices are open; it doesn't change from there to the epoch's end. */
export function scoreInputOf(
  state: State,
  index: number,
  contributions = contributionsOf(state, index),
  copies = copiesAmong(state, state.rounds.getReadonly(index), contributions),
): ScoreInput | undefined {
  const task = state.tasks.getReadonly(index);
  const round = state.rounds.getReadonly(index);
  if (round.labels.length === 0) return undefined;
  const shape = shapeOf(bytesText(task.shape));
  return {
    model: modelOf(task),
    rows: { features: shape.features, x: decodeFeatures(round.features), y: round.labels },
    // A copy plays with nothing, so it is worth nothing and takes nothing from anybody.
    gradients: contributions.map(({ gradient }, i) => (copies.has(i) ? gradient.map(() => 0) : gradient)),
    rowsPerGradient: shape.rows,
    rate: { numerator: task.rateNumerator, shift: task.rateShift },
    normBound: task.normBound,
    weight: shape.weight,
    seed: hash("score-permutation", state.beacon.close, task.id, uint64Bytes(state.epoch)),
  };
}

/** Scores one round and writes the stepped model. No reveal: no score, no step. */
function settleRound(state: State, index: number, scorer: Scorer): Settled {
  const contributions = contributionsOf(state, index);
  const copies = copiesAmong(state, state.rounds.getReadonly(index), contributions);
  const input = scoreInputOf(state, index, contributions, copies);
  if (input === undefined) return { index, contributions, copies, score: undefined };
  const score = scorer(input);
  if (score.stepped) {
    const { model } = state.tasks.get(index);
    score.model.forEach((weight, j) => {
      model.set(j, toInt32(weight));
    });
  }
  return { index, contributions, copies, score };
}

/** Frees what unlocks at the beginning of `epoch`. */
function* unlockSteps(state: State, epoch: number): Steps<void> {
  const place = epoch % Number(LOCK_EPOCHS_MAX);
  const debtors = lockedDebtors(state);
  for (const lock of state.locks.getReadonly(place).getAllReadonly()) {
    yield;
    const { account, amount } = lock.toValue();
    const known = getAccount(state, account);
    if (known === undefined) continue;
    putAccount(state, { ...known, locked: subtract(known.locked, amount) });
    takeFromSupply(state, "locked", amount);
    credit(state, account, subtract(amount, payLockedDebt(state, debtors, account, amount)));
  }
  state.locks.set(place, state.type.fields.locks.elementType.defaultViewDU());
}

export function constantsOf(params: Params): ReturnType<typeof issuanceConstants> {
  return issuanceConstants({
    supplyMax: params.supplyMax,
    blockIntervalMs: Number(params.blockIntervalMs),
    epochHeights: Number(params.epochHeights),
    laneShare: { numerator: params.publicLanePercent, denominator: 100n },
    targetMin: params.targetMin,
    emaEpochs: params.emaEpochs,
  });
}

export function* settlementSteps(state: State, { params, score = scoreRound }: Context): Steps<EpochReceipt> {
  const { epoch } = state;
  const unlockEpoch = Epoch(epoch + 1 + Number(params.rewardLockEpochs));
  const open: number[] = [];
  for (let index = 0; index < state.tasks.length; index++)
    if (taskOpen(state.tasks.getReadonly(index), epoch)) open.push(index);
  // Before any model steps: evidence is about the models that proofs were made for.
  keepRounds(state, params, open);
  yield* useSteps(state);
  const settled = yield* eachStep(open, (index) => settleRound(state, index, score));

  const quality = settled.reduce(
    (sum, { index, score: it }) =>
      sum + (state.tasks.getReadonly(index).lane === LANE.public ? (it?.quality ?? 0n) : 0n),
    0n,
  );
  const { genesis, minted: mintedBefore, burned: burnedBefore } = state.supply;
  const { target, floor, ema } = state.issuance;
  const constants = constantsOf(params);
  const lane = settlePublicLane({ issued: genesis + mintedBefore, target, floor, ema }, quality, constants);
  state.issuance.target = lane.next.target;
  state.issuance.floor = lane.next.floor;
  state.issuance.ema = lane.next.ema;

  const paid = yield* paymentSteps(state, settled, lane.mint, constants, unlockEpoch);
  const reputation = createReputation(state);
  const rounds = yield* eachStep(settled, (round, i) =>
    receiptOf(state, round, paid[i] ?? UNPAID, unlockEpoch, reputation),
  );
  yield* reputation.writeSteps();
  const minted = Amount(state.supply.minted - mintedBefore);
  const burned = Amount(state.supply.burned - burnedBefore);
  recordWork(state, mintedBy(settled, paid), params);
  yield;
  yield* turnSteps(state, params);
  return { minted, burned, quality, target, rounds };
}

/** {@link settlementSteps} all at once. */
export const settleEpoch = (state: State, context: Context): EpochReceipt =>
  allAtOnce(settlementSteps(state, context));

/** Counts the contributions for their pods' reputation, and says how the round ended. */
function receiptOf(
  state: State,
  { index, contributions, copies, score }: Settled,
  paid: PaidRound,
  unlockEpoch: Epoch,
  reputation: Reputation,
): RoundReceipt {
  const task = state.tasks.getReadonly(index);
  const { slots } = state.rounds.getReadonly(index);
  const receipts = contributions.map(({ nullifier, slot }, i): ContributionReceipt => {
    const { podId } = slots.getReadonly(slot).toValue();
    const { minted = ZERO, fee = ZERO, forfeited = ZERO } = paid.parts[i] ?? {};
    const { fate: scored, value = 0n, quality = 0n } = score?.outcomes[i] ?? {};
    const fate = copies.has(i) ? "copy" : scored;
    reputation.count(podId, fate, quality);
    return {
      nullifier,
      podId,
      slot,
      fate: fate ?? "no-reveal",
      value,
      quality,
      amount: add(minted, fee, forfeited),
      minted,
      fee,
      forfeited,
    };
  });
  return {
    task: task.id,
    epoch: state.epoch,
    revealed: score !== undefined,
    stepped: score?.stepped ?? false,
    lossBefore: score?.lossBefore ?? 0,
    lossAfter: score?.lossAfter ?? 0,
    quality: score?.quality ?? 0n,
    totalValue: score?.totalValue ?? 0n,
    paid: add(...receipts.map(({ amount }) => amount)),
    pot: paid.pot,
    model: modelOf(task),
    unlockEpoch,
    contributions: receipts,
  };
}

/** What was minted for submissions, by the validator whose blocks carried them. */
function mintedBy(settled: readonly Settled[], paid: readonly PaidRound[]): Map<number, bigint> {
  const minted = new Map<number, bigint>();
  for (const [i, { contributions }] of settled.entries()) {
    for (const [j, { proposer }] of contributions.entries()) {
      const part = paid[i]?.parts[j]?.minted ?? 0n;
      minted.set(proposer, (minted.get(proposer) ?? 0n) + part);
    }
  }
  return minted;
}

/** Everything that belongs to an epoch begins anew. */
function* turnSteps(state: State, params: Params): Steps<void> {
  const next = Epoch(state.epoch + 1);
  turnTasks(state);
  yield;
  judgePresence(state, params);
  state.epoch = next;
  yield* unlockSteps(state, next);
  yield* returnSteps(state, next);
  yield;
  settleSlashings(state, params);
  yield;
  seat(state, Epoch(next + 1), params);
  resetPresence(state);
  state.beacon.close = new Uint8Array(32);
  const given = givenNothing();
  for (let index = 0; index < state.tasks.length; index++) {
    yield;
    yield* openSteps(state, index, params, given);
  }
}

export function resetPresence(state: State): void {
  const members = currentMembers(state).length;
  state.presence = state.type.fields.presence.toViewDU({
    opportunities: 0,
    present: new Array<number>(members).fill(0),
  });
}
