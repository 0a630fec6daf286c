/**
 * How many coins an epoch mints, and to whom: pure arithmetic over plain values, called once an epoch by the
 * settlement in this folder. docs/protocol.md, "Issuance"; what each rule prevents is in docs/protocol.md.
 *
 *   B     = λ · (supplyMax − issued)
 *   mint  = laneShare · B · Q / max(Q, T)         no quality, no mint
 *   X     = min(Q, 2T)                            so that a burst can't raise the target at will
 *   F'    = max(F · 2^(−1/year), EMA(X) / 2)      so that the target forgets slowly
 *   T'    = max(T_min, F', T + (X − T)/64, 99/100 · T)
 *
 * All amounts are nzkp, all qualities Q of `work/score.ts`, all `bigint`; every division floors. Total: zero
 * quality, an exhausted supply, no contribution, no validator give zero. What a rounding leaves over and what
 * the absent miss is never minted, so callers count `minted`, not `mint`, as issued.
 */

import { FEE_PERCENT, HALF_LIFE_YEARS, MINT_PERCENT, YEAR_MS } from "../primitives/params.ts";

/** Fractions are in units of 2^−64. */
const Q64 = 64n;
const ONE = 1n << Q64;
const Q128 = 128n;
/** ⌊ln 2 · 2^128⌋ */
const LN2 = 0xb17217f7d1cf79abc9e3b39803f2f6afn;
/** The series' 40th term is below 0.7^40/40! < 2^−178, far under the guard bits. */
const TERMS = 40n;

/** The largest part of a burned fee that may be minted again: an invariant, below one so that self-dealing loses. */
export const REMINT = { numerator: 9n, denominator: 10n };

export type Fraction = { readonly numerator: bigint; readonly denominator: bigint };

export type IssuanceConstants = {
  /** nzkp that can ever exist. */
  readonly supplyMax: bigint;
  /** λ in units of 2^−64: what of the reserve an epoch may mint. */
  readonly lambda: bigint;
  /** 2^(−1/year) in units of 2^−64: what an epoch leaves of the floor. */
  readonly floorFactor: bigint;
  /** The public lane's part of the budget, 2/5; the sponsored lane has the rest. */
  readonly laneShare: Fraction;
  /** T_min ≥ 1. */
  readonly targetMin: bigint;
  /** Epochs over which quality is averaged for the floor; 720 of an hour. */
  readonly emaEpochs: bigint;
};

/** What the public lane keeps from epoch to epoch. */
export type PublicLane = { readonly target: bigint; readonly floor: bigint; readonly ema: bigint };

/** 2^(−1/epochs) in units of 2^−64, floored: exp(−ln 2 / epochs) by its series, with 64 guard bits. */
export function halfLifeFactor(epochs: bigint): bigint {
  const x = LN2 / atLeast(epochs, 1n);
  let term = 1n << Q128;
  let sum = term;
  for (let k = 1n; k <= TERMS; k++) {
    term = ((term * x) / k) >> Q128;
    sum += k % 2n === 0n ? term : -term;
  }
  // 2^−108 more than the series' own error, so that an exact power of two isn't floored to the value below.
  return (sum + (1n << 20n)) >> (Q128 - Q64);
}

/** Epochs in 365 days, at least one. */
export function epochsPerYear(blockIntervalMs: number, epochHeights: number): bigint {
  const epochMs = BigInt(Math.max(1, Math.floor(blockIntervalMs * epochHeights)));
  return atLeast(YEAR_MS / epochMs, 1n);
}

export function issuanceConstants(parameters: {
  readonly supplyMax: bigint;
  readonly blockIntervalMs: number;
  readonly epochHeights: number;
  readonly laneShare: Fraction;
  readonly targetMin: bigint;
  readonly emaEpochs: bigint;
}): IssuanceConstants {
  const year = epochsPerYear(parameters.blockIntervalMs, parameters.epochHeights);
  return {
    supplyMax: parameters.supplyMax,
    lambda: ONE - halfLifeFactor(HALF_LIFE_YEARS * year),
    floorFactor: halfLifeFactor(year),
    laneShare: parameters.laneShare,
    targetMin: atLeast(parameters.targetMin, 1n),
    emaEpochs: atLeast(parameters.emaEpochs, 1n),
  };
}

/** B: both lanes' budget of one epoch. */
export function epochBudget(issued: bigint, { supplyMax, lambda }: IssuanceConstants): bigint {
  return issued >= supplyMax ? 0n : (lambda * (supplyMax - issued)) >> Q64;
}

/**
 * One epoch of the public lane: what its quality may mint, and what the lane remembers.
 * `quality` is the sum over public tasks only.
 */
export function settlePublicLane(
  lane: PublicLane & { readonly issued: bigint },
  quality: bigint,
  constants: IssuanceConstants,
): { readonly mint: bigint; readonly next: PublicLane } {
  const { laneShare, floorFactor, targetMin, emaEpochs, supplyMax, lambda } = constants;
  const q = atLeast(quality, 0n);
  const target = atLeast(lane.target, targetMin);
  const reserve = atLeast(supplyMax - lane.issued, 0n);
  const mint =
    (lambda * reserve * laneShare.numerator * q) / ((laneShare.denominator * atLeast(q, target)) << Q64);

  const winsorised = q < 2n * target ? q : 2n * target;
  const ema = towards(lane.ema, winsorised, emaEpochs);
  const floor = atLeast((lane.floor * floorFactor) >> Q64, ema / 2n);
  const moved = towards(target, winsorised, 64n);
  const next = [targetMin, floor, moved, (99n * target) / 100n].reduce(atLeast);
  return { mint, next: { target: next, floor, ema } };
}

/**
 * value + (goal − value)/period, floored on the way down and rounded up on the way up: otherwise a target
 * of under 64 could never rise, and would pay the whole budget for any quality for ever.
 */
function towards(value: bigint, goal: bigint, period: bigint): bigint {
  return goal >= value
    ? value + (goal - value + period - 1n) / period
    : value - (value - goal + period - 1n) / period;
}

/**
 * What sponsored tasks mint in one epoch, given the fee that each burns in this settlement (0 for a task
 * without positive quality): ⌊burned · min(9/10, (1 − laneShare)·B / Σ burned)⌋ each.
 */
export function settleSponsoredLane(
  issued: bigint,
  burned: readonly bigint[],
  constants: IssuanceConstants,
): bigint[] {
  const { laneShare } = constants;
  const others = atLeast(laneShare.denominator - laneShare.numerator, 0n);
  const budget = (epochBudget(issued, constants) * others) / laneShare.denominator;
  const fees = burned.map((fee) => atLeast(fee, 0n));
  const total = sum(fees);
  const scarce = budget * REMINT.denominator < total * REMINT.numerator;
  return fees.map((fee) => {
    if (fee === 0n) return 0n;
    return scarce ? (fee * budget) / total : (fee * REMINT.numerator) / REMINT.denominator;
  });
}

/** A sponsor's fee: 30 % burned, 65 % to pods, 5 % (and the roundings) to validators; the parts sum to the fee. */
export function splitFee(fee: bigint): { burned: bigint; pods: bigint; validators: bigint } {
  const burned = (atLeast(fee, 0n) * FEE_PERCENT.burned) / 100n;
  const pods = (atLeast(fee, 0n) * FEE_PERCENT.pods) / 100n;
  return { burned, pods, validators: atLeast(fee, 0n) - burned - pods };
}

export type MintPots = {
  readonly pods: bigint;
  readonly proposers: bigint;
  readonly validators: bigint;
  readonly treasury: bigint;
};

/** 72, 8, 15 and 5 %, each floored: up to 3 nzkp of the mint stay in the reserve. */
export function splitMint(mint: bigint): MintPots {
  const part = (percent: bigint): bigint => (atLeast(mint, 0n) * percent) / 100n;
  return {
    pods: part(MINT_PERCENT.pods),
    proposers: part(MINT_PERCENT.proposers),
    validators: part(MINT_PERCENT.validators),
    treasury: part(MINT_PERCENT.treasury),
  };
}

/** A validator's presence in the epoch: at how many of the heights that count it was seen in a late certificate. */
export type Presence = { readonly weight: bigint; readonly present: number; readonly opportunities: number };

export type Payouts = {
  readonly contributions: readonly bigint[];
  readonly proposers: readonly bigint[];
  readonly validators: readonly bigint[];
  readonly treasury: bigint;
  /** The sum of all these, at most `mint`: the only number that may be added to `issued`. */
  readonly minted: bigint;
};

/**
 * Hands a mint out. Contributions and proposers share their pots by quality; a validator's part is
 * pot × weight / W × present / opportunities, W being the weight of all, so nobody gains by another's absence.
 */
export function payouts(epoch: {
  readonly mint: bigint;
  /** Quality of each contribution (`Outcome.quality`, or `value` within a single task). */
  readonly values: readonly bigint[];
  /** Quality that each proposer's blocks carried. */
  readonly carried: readonly bigint[];
  readonly presence: readonly Presence[];
}): Payouts {
  const pots = splitMint(epoch.mint);
  const contributions = shares(pots.pods, epoch.values);
  const proposers = shares(pots.proposers, epoch.carried);
  const validators = sharesByPresence(pots.validators, epoch.presence);
  const minted = sum(contributions) + sum(proposers) + sum(validators) + pots.treasury;
  return { contributions, proposers, validators, treasury: pots.treasury, minted };
}

/** pot × weight / W × present / opportunities each: of a mint's or a fee's part for validators. */
export function sharesByPresence(pot: bigint, presence: readonly Presence[]): bigint[] {
  const weights = presence.map(({ weight }) => atLeast(weight, 0n));
  const weightAll = atLeast(sum(weights), 1n);
  return presence.map(({ present, opportunities }, i) => {
    const heights = BigInt(Math.max(0, opportunities));
    const seen = BigInt(Math.min(Math.max(0, present), Math.max(0, opportunities)));
    return heights === 0n ? 0n : (pot * (weights[i] ?? 0n) * seen) / (weightAll * heights);
  });
}

/** ⌊pot · value / Σ values⌋ each; negative values count as zero, and all zero gives all zero. */
export function shares(pot: bigint, values: readonly bigint[]): bigint[] {
  const positive = values.map((value) => atLeast(value, 0n));
  const total = sum(positive);
  return positive.map((value) => (total === 0n ? 0n : (pot * value) / total));
}

const atLeast = (value: bigint, least: bigint): bigint => (value > least ? value : least);
const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
