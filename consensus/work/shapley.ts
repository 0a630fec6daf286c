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

/**
 * Shapley values of the game in which a coalition is worth `worthOf` of its players' summed gradients, and an
 * empty one nothing: numerators over one denominator. Up to {@link EXACT_PLAYERS_MAX} players exactly, else
 * the mean over {@link PERMUTATIONS} orders; both ways they sum to what all players together are worth.
 */
export function shapleyValues(
  players: readonly (readonly number[])[],
  worthOf: (sum: readonly number[]) => number,
  seed: Uint8Array,
): { readonly numerators: readonly bigint[]; readonly denominator: bigint } {
  return players.length <= EXACT_PLAYERS_MAX
    ? shapleyExact(players, worthOf)
    : shapleySampled(players, worthOf, seed);
}

function shapleyExact(
  players: readonly (readonly number[])[],
  worthOf: (sum: readonly number[]) => number,
): { numerators: bigint[]; denominator: bigint } {
  const count = players.length;
  const entries = players[0]?.length ?? 0;
  const worth = Array.from({ length: 2 ** count }, (_, mask) => {
    const members = players.filter((_player, i) => (mask >> i) % 2 === 1);
    return mask === 0 ? 0 : worthOf(sumOf(members, entries));
  });
  const factorials = [1n];
  for (let n = 1; n <= count; n++) factorials.push((factorials[n - 1] ?? 1n) * BigInt(n));
  const numerators = players.map((_, i) => {
    let numerator = 0n;
    for (let mask = 0; mask < worth.length; mask++) {
      if ((mask >> i) % 2 === 1) continue;
      const size = players.filter((_player, j) => (mask >> j) % 2 === 1).length;
      const orders = (factorials[size] ?? 1n) * (factorials[count - size - 1] ?? 1n);
      numerator += orders * (BigInt(worth[mask + 2 ** i] ?? 0) - BigInt(worth[mask] ?? 0));
    }
    return numerator;
  });
  return { numerators, denominator: factorials[count] ?? 1n };
}

function shapleySampled(
  players: readonly (readonly number[])[],
  worthOf: (sum: readonly number[]) => number,
  seed: Uint8Array,
): { numerators: bigint[]; denominator: bigint } {
  const numerators = players.map(() => 0n);
  const draw = createDraw("score-permutation", seed);
  for (let round = 0; round < PERMUTATIONS; round++) {
    let worth = 0;
    let sum: readonly number[] = sumOf([], players[0]?.length ?? 0);
    for (const player of drawWithout(draw, players.length, players.length)) {
      sum = sumOf([sum, players[player] ?? []], sum.length);
      const next = worthOf(sum);
      numerators[player] = (numerators[player] ?? 0n) + BigInt(next) - BigInt(worth);
      worth = next;
    }
  }
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
