/**
 * Who contributed how much to what all reached together: Shapley values over summed gradients, in exact
 * integers. Called by `score.ts` alone.
 *
 * Why Shapley: leaving one out is worth almost nothing to anybody while pods are redundant, and a mean pays
 * those who add nothing. Here the coalition's divisor is fixed by the caller, so a zero gradient is worth 0.
 */
import { createDraw, drawWithout } from "../primitives/hash.ts";

/** Coalitions of up to so many players are all evaluated; above, so many random orders are. */
export const EXACT_PLAYERS_MAX = 8;
const PERMUTATIONS = 64;

/** What `count` coalitions are worth, whose players' gradients are summed, entry by entry, one after the other. */
export type Game = (sums: Float64Array, count: number) => ArrayLike<number>;

type Values = { readonly numerators: readonly bigint[]; readonly denominator: bigint };

/**
 * Shapley values of the game in which an empty coalition is worth nothing: numerators over one denominator. Up
 * to {@link EXACT_PLAYERS_MAX} players exactly, else the mean over {@link PERMUTATIONS} orders; both ways they
 * sum to what all players together are worth. Worths are safe integers.
 */
export function shapleyValues(players: readonly (readonly number[])[], game: Game, seed: Uint8Array): Values {
  return players.length <= EXACT_PLAYERS_MAX
    ? shapleyExact(players, game)
    : shapleySampled(players, game, seed);
}

function shapleyExact(players: readonly (readonly number[])[], game: Game): Values {
  const count = players.length;
  const width = players[0]?.length ?? 0;
  const coalitions = 2 ** count;
  // Coalition `mask` is the one without its last player, and that player.
  const sums = new Float64Array(coalitions * width);
  for (const [i, player] of players.entries()) {
    const bit = 2 ** i;
    for (let mask = bit; mask < 2 * bit; mask++) {
      for (let j = 0; j < width; j++)
        sums[mask * width + j] = (sums[(mask - bit) * width + j] ?? 0) + (player[j] ?? 0);
    }
  }
  const worth = game(sums, coalitions);
  const worthOf = (mask: number): bigint => (mask === 0 ? 0n : BigInt(worth[mask] ?? 0));
  const factorials = [1n];
  for (let n = 1; n <= count; n++) factorials.push((factorials[n - 1] ?? 1n) * BigInt(n));
  const numerators = players.map((_, i) => {
    let numerator = 0n;
    for (let mask = 0; mask < coalitions; mask++) {
      if ((mask >> i) % 2 === 1) continue;
      const size = players.filter((_player, j) => (mask >> j) % 2 === 1).length;
      const orders = (factorials[size] ?? 1n) * (factorials[count - size - 1] ?? 1n);
      numerator += orders * (worthOf(mask + 2 ** i) - worthOf(mask));
    }
    return numerator;
  });
  return { numerators, denominator: factorials[count] ?? 1n };
}

/** Worths are added in two parts, so that 64 differences of safe integers stay exact. */
const LIMB = 2 ** 26;

function shapleySampled(players: readonly (readonly number[])[], game: Game, seed: Uint8Array): Values {
  const count = players.length;
  const width = players[0]?.length ?? 0;
  const high = new Float64Array(count);
  const low = new Float64Array(count);
  const sums = new Float64Array(count * width);
  const entries = Float64Array.from(players.flat());
  const draw = createDraw("score-permutation", seed);
  for (let round = 0; round < PERMUTATIONS; round++) {
    const order = drawWithout(draw, count, count);
    for (let place = 0; place < count; place++) {
      const from = (order[place] ?? 0) * width;
      const to = place * width;
      for (let j = 0; j < width; j++)
        sums[to + j] = (place === 0 ? 0 : (sums[to - width + j] ?? 0)) + (entries[from + j] ?? 0);
    }
    const worth = game(sums, count);
    let highBefore = 0;
    let lowBefore = 0;
    for (let place = 0; place < count; place++) {
      const player = order[place] ?? 0;
      const next = worth[place] ?? 0;
      const nextHigh = Math.floor(next / LIMB);
      const nextLow = next - nextHigh * LIMB;
      high[player] = (high[player] ?? 0) + nextHigh - highBefore;
      low[player] = (low[player] ?? 0) + nextLow - lowBefore;
      highBefore = nextHigh;
      lowBefore = nextLow;
    }
  }
  const numerators = players.map((_, i) => BigInt(high[i] ?? 0) * BigInt(LIMB) + BigInt(low[i] ?? 0));
  return { numerators, denominator: BigInt(PERMUTATIONS) };
}

/** Entry by entry; zeros if there is no vector. */
export function sumOf(vectors: readonly (readonly number[])[], entries: number): number[] {
  const sum = new Array<number>(entries).fill(0);
  for (const vector of vectors) {
    for (let j = 0; j < entries; j++) sum[j] = (sum[j] ?? 0) + (vector[j] ?? 0);
  }
  return sum;
}
