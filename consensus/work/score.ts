/**
 * What a round's gradients are worth, measured by every node in exact integers on rows that nobody had seen
 * when submissions closed. The settlement of a `gradient` task calls {@link scoreRound} once an epoch; the
 * SDK calls it to explain a reward. docs/protocol.md; README.md beside this.
 *
 *   one row? → clip → screen → merge → Shapley → step → quality
 *
 * Pure and total: no gradients, a zero gradient, loss 0, no survivor or no rows at all have a defined result
 * (nothing is paid, the model stays). Sizes are bounded by the caller: at most 64 gradients, 4,096 rows.
 *
 * Exact in `number` because of these bounds: a clipped entry is ≤ 2^45 (NORM_BOUND_MAX), a sum of 64 ≤ 2^51,
 * a loss < 2^53. Whatever could pass 2^53 is a `bigint`. No float's rounding is ever looked at: the only
 * divisions are by powers of two or of exact multiples.
 */
import type { Rows } from "./gradient.ts";
import { createLosses } from "./losses.ts";
import { isOneRow } from "./one-row.ts";
import { shapleyValues, sumOf } from "./shapley.ts";
import { type Rate, rateValid, stepModel, stepModels } from "./step.ts";

/** C² above this is read as this: no entry of a clipped gradient passes 2^45. */
const NORM_BOUND_MAX = 2n ** 90n;

/** Two gradients nearer than 1/√400 = 5 % of the shorter one are one player. */
const NEAR_FACTOR = 400n;
const PARTS_PER_MILLION = 1_000_000n;
const LIMB = 2 ** 23;

export type ScoreInput = {
  /** The round's model in Q16, the bias last. */
  readonly model: readonly number[];
  /** V, the opened holdout rows. */
  readonly rows: Rows;
  /** Exact gradient sums over each batch, as long as the model. Their order changes nobody's value. */
  readonly gradients: readonly (readonly number[])[];
  /** N, rows of a batch. */
  readonly rowsPerGradient: number;
  readonly rate: Rate;
  /** C², the bound on ‖g‖² after the clip. */
  readonly normBound: bigint;
  /** What a row of this shape counts in Q. */
  readonly weight: number;
  /** The beacon at the close, hashed with the task: seeds the permutations. */
  readonly seed: Uint8Array;
};

/**
 * - `paid`: a positive value, paid by it;
 * - `merged`: one of several near-equal gradients, which share one player's value equally;
 * - `one-row`: the gradient of a single row, several times: worth nothing, whatever it would do;
 * - `screened-out`: alone it did not lower the loss, or by under a quarter of the median;
 * - `no-value`: its Shapley value is not positive;
 * - `no-step`: all survivors together did not lower the loss, so nobody is paid.
 */
export type Fate = "paid" | "merged" | "one-row" | "screened-out" | "no-value" | "no-step";

export type Outcome = {
  readonly fate: Fate;
  /** Bits by which the gradient was shifted down to meet the norm bound. */
  readonly clipShift: number;
  /** How far this gradient alone lowers V's loss (2^−24); negative if it raises it. */
  readonly improvement: number;
  /** Positive part of the Shapley value in units of the loss; members of a merged group have an equal part. */
  readonly value: bigint;
  /** ⌊Q · value / totalValue⌋: this contribution's part of the round's quality. */
  readonly quality: bigint;
};

export type Score = {
  /** The next round's model: stepped, each weight saturated to 24 bits, or the old one. */
  readonly model: readonly number[];
  readonly stepped: boolean;
  readonly lossBefore: number;
  /** Of the model above: equals lossBefore if there was no step. */
  readonly lossAfter: number;
  /** Q = weight × rows × relative fall of the loss in parts per million. */
  readonly quality: bigint;
  /** In the order of the gradients. */
  readonly outcomes: readonly Outcome[];
  readonly totalValue: bigint;
};

/** Scores a round; see the file's header. */
export function scoreRound(input: ScoreInput): Score {
  const { model, rows, rate, rowsPerGradient } = input;
  const losses = createLosses(rows);
  const [lossBefore = 0] = losses.of(Float64Array.from(model), 1);
  const clipped = input.gradients.map((gradient) => clipGradient(gradient, input.normBound));
  const playable = rateValid(rate) && rowsPerGradient >= 1;
  /** How far each of `count` steps, along sums that stand one after the other, lowers the loss. */
  const fallsOf = (sums: Float64Array, count: number, divisor: number): Float64Array =>
    losses
      .of(stepModels(model, sums, count, divisor * rowsPerGradient, rate), count)
      .map((loss) => lossBefore - loss);

  const oneRow = input.gradients.map((gradient) => isOneRow(model, gradient, rowsPerGradient));
  const alone = Float64Array.from(clipped.flatMap(({ gradient }) => gradient));
  const falls = playable ? fallsOf(alone, clipped.length, 1) : [];
  const improvements = clipped.map((_, i) => (oneRow[i] === true ? 0 : (falls[i] ?? 0)));
  const survivors = screen(improvements);
  const groups = mergeNear(inOrderOfContent(survivors, clipped), clipped);
  const players = groups.map(([first = 0]) => clipped[first]?.gradient ?? []);
  const everyone = sumOf(players, model.length);
  const count = players.length;
  const [fall = 0] = count === 0 ? [] : fallsOf(Float64Array.from(everyone), 1, count);

  const values = new Array<bigint>(clipped.length).fill(0n);
  let paidPlayers = 0;
  if (fall > 0) {
    const { numerators, denominator } = shapleyValues(
      players,
      (sums, coalitions) => fallsOf(sums, coalitions, count),
      input.seed,
    );
    for (const [player, members] of groups.entries()) {
      const numerator = numerators[player] ?? 0n;
      const part = numerator <= 0n ? 0n : numerator / denominator / BigInt(members.length);
      if (part > 0n) paidPlayers++;
      for (const member of members) values[member] = part;
    }
  }
  const totalValue = values.reduce((sum, value) => sum + value, 0n);
  const stepped = totalValue > 0n;
  const quality = stepped
    ? (BigInt(input.weight) * BigInt(rowsPerGradient * paidPlayers) * BigInt(fall) * PARTS_PER_MILLION) /
      BigInt(lossBefore)
    : 0n;

  const fateOf = fates(groups, values, stepped);
  const outcomes = clipped.map(({ shift }, i): Outcome => {
    const value = values[i] ?? 0n;
    return {
      fate: fateOf.get(i) ?? (oneRow[i] === true ? "one-row" : "screened-out"),
      clipShift: shift,
      improvement: improvements[i] ?? 0,
      value,
      quality: stepped ? (quality * value) / totalValue : 0n,
    };
  });
  return {
    model: stepped ? stepModel(model, everyone, count * rowsPerGradient, rate) : model,
    stepped,
    lossBefore,
    lossAfter: stepped ? lossBefore - fall : lossBefore,
    quality,
    outcomes,
    totalValue,
  };
}

function fates(
  groups: readonly (readonly number[])[],
  values: readonly bigint[],
  stepped: boolean,
): Map<number, Fate> {
  const fateOf = new Map<number, Fate>();
  for (const members of groups) {
    for (const member of members) {
      const paid = (values[member] ?? 0n) > 0n;
      if (!stepped) fateOf.set(member, "no-step");
      else if (!paid) fateOf.set(member, "no-value");
      else fateOf.set(member, members.length > 1 ? "merged" : "paid");
    }
  }
  return fateOf;
}

type Clipped = { readonly gradient: readonly number[]; readonly shift: number };
const NOTHING: Clipped = { gradient: [], shift: 0 };

/**
 * The gradient shifted down (arithmetically, entry by entry) by the fewest bits that bring ‖g‖² to the bound.
 * A negative entry never shifts past −1, so a bound below the number of entries may never be met: then the
 * gradient counts as zero. ‖g ≫ k‖² does not grow with k, so the shift is found by bisection.
 */
export function clipGradient(gradient: readonly number[], normBound: bigint): Clipped {
  const bound = normBound < NORM_BOUND_MAX ? normBound : NORM_BOUND_MAX;
  const shifted = (bits: number): number[] => gradient.map((entry) => Math.floor(entry / 2 ** bits));
  const meets = (bits: number): boolean => {
    const candidate = shifted(bits);
    return candidate.every((entry) => Math.abs(entry) <= 2 ** 45) && squaredNorm(candidate) <= bound;
  };
  let low = 0;
  let high = 53;
  if (!meets(high)) return { gradient: gradient.map(() => 0), shift: high };
  while (low < high) {
    const middle = (low + high) >> 1;
    if (meets(middle)) high = middle;
    else low = middle + 1;
  }
  return { gradient: low === 0 ? gradient : shifted(low), shift: low };
}

/** Σ v², exact for entries up to 2^46: limbs of 23 bits, whose products are summed 64 at a time below 2^53. */
function squaredNorm(vector: readonly number[]): bigint {
  let total = 0n;
  for (let start = 0; start < vector.length; start += 64) {
    let high = 0;
    let cross = 0;
    let low = 0;
    for (let j = start; j < Math.min(start + 64, vector.length); j++) {
      const entry = Math.abs(vector[j] ?? 0);
      const upper = Math.floor(entry / LIMB);
      const lower = entry - upper * LIMB;
      high += upper * upper;
      cross += upper * lower;
      low += lower * lower;
    }
    total += (BigInt(high) << 46n) + (BigInt(cross) << 24n) + BigInt(low);
  }
  return total;
}

/** Indices whose improvement is positive and more than a quarter of the median of the positive ones. */
function screen(improvements: readonly number[]): number[] {
  const positive = improvements.filter((it) => it > 0).sort((a, b) => a - b);
  const half = positive.length >> 1;
  const upper = BigInt(positive[half] ?? 0);
  const lower = positive.length % 2 === 1 ? upper : BigInt(positive[half - 1] ?? 0);
  return [...improvements.keys()].filter((i) => {
    const improvement = improvements[i] ?? 0;
    return improvement > 0 && 8n * BigInt(improvement) > lower + upper;
  });
}

/**
 * The survivors by their clipped gradients, entry by entry, ascending. A round's other order, by nullifier,
 * depends on the pods' ids, which are chosen freely: by it, whoever splits into more identities could move the
 * gradient that a group plays with, and its own places in the sampled orders.
 */
function inOrderOfContent(survivors: readonly number[], clipped: readonly Clipped[]): number[] {
  return [...survivors].sort((a, b) => {
    const one = (clipped[a] ?? NOTHING).gradient;
    const other = (clipped[b] ?? NOTHING).gradient;
    const differing = one.findIndex((entry, j) => entry !== other[j]);
    return differing === -1 ? 0 : (one[differing] ?? 0) - (other[differing] ?? 0);
  });
}

/**
 * Survivors grouped by nearness: 400·‖gᵢ−gⱼ‖² < min(‖gᵢ‖², ‖gⱼ‖²), closed transitively (union-find). Groups
 * and their members keep the survivors' order; a group plays with the gradient of its first member.
 */
function mergeNear(survivors: readonly number[], clipped: readonly Clipped[]): number[][] {
  const candidates = survivors.map((i) => {
    const { gradient, shift } = clipped[i] ?? NOTHING;
    return { gradient, shift, norm: squaredNorm(gradient), about: aboutNorm(gradient) };
  });
  const parent = survivors.map((_, i) => i);
  const rootOf = (start: number): number => {
    let at = start;
    // A parent is never larger than its child, so this ends.
    while ((parent[at] ?? at) < at) at = parent[at] ?? at;
    return at;
  };
  for (const [i, a] of candidates.entries()) {
    for (let j = i + 1; j < candidates.length; j++) {
      const b = candidates[j];
      if (b === undefined || !near(a, b)) continue;
      const one = rootOf(i);
      const other = rootOf(j);
      parent[Math.max(one, other)] = Math.min(one, other);
    }
  }
  const groups = new Map<number, number[]>();
  for (const [i, survivor] of survivors.entries()) {
    const root = rootOf(i);
    groups.set(root, [...(groups.get(root) ?? []), survivor]);
  }
  return [...groups.values()];
}

/** A gradient with its squared norm, exactly and as a float. */
type Candidate = Clipped & { readonly norm: bigint; readonly about: number };

/** At the larger of both shifts: else a copy that is a little longer would be clipped once more, and be far. */
function near(a: Candidate, b: Candidate): boolean {
  if (a.shift < b.shift) return near(shiftTo(a, b.shift), b);
  if (b.shift < a.shift) return near(a, shiftTo(b, a.shift));
  if (surelyFar(a, b)) return false;
  const distance = NEAR_FACTOR * squaredNorm(a.gradient.map((entry, k) => entry - (b.gradient[k] ?? 0)));
  return distance < a.norm && distance < b.norm;
}

/**
 * Whether the floats say so with room to spare: sums of at most 1,024 squares are wrong by less than a part in
 * 2^40, and a thousandth is asked. Nearly all of 2,016 pairs end here, which the exact answer would agree with.
 */
function surelyFar(a: Candidate, b: Candidate): boolean {
  let about = 0;
  for (let k = 0; k < a.gradient.length; k++) {
    const difference = (a.gradient[k] ?? 0) - (b.gradient[k] ?? 0);
    about += difference * difference;
  }
  return Number(NEAR_FACTOR) * about > 1.001 * Math.min(a.about, b.about) + 1;
}

function aboutNorm(gradient: readonly number[]): number {
  let about = 0;
  for (const entry of gradient) about += entry * entry;
  return about;
}

function shiftTo({ gradient, shift }: Clipped, bits: number): Candidate {
  const shifted = gradient.map((entry) => Math.floor(entry / 2 ** (bits - shift)));
  return { gradient: shifted, shift: bits, norm: squaredNorm(shifted), about: aboutNorm(shifted) };
}
