/** Shapley values against their definition: the mean over all orders. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EXACT_PLAYERS_MAX, type Game, shapleyValues, sumOf } from "../../../consensus/work/shapley.ts";

const SEED = new Uint8Array(32).fill(3);

/** A game in which a coalition is worth what this makes of its one summed entry. */
const gameOf =
  (worthOf: (sum: number) => number): Game =>
  (sums, count) =>
    Array.from({ length: count }, (_, at) => worthOf(sums[at] ?? 0));

/** Player i contributes 2^i, so that a sum names its coalition and any game can be played. */
const playersOf = (count: number): number[][] => Array.from({ length: count }, (_, i) => [2 ** i]);

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}

test("up to six players the values are the mean over every order, exactly", () => {
  const game = fc.integer({ min: 1, max: 6 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      worth: fc.array(fc.maxSafeInteger(), { minLength: 2 ** count, maxLength: 2 ** count }),
    }),
  );
  fc.assert(
    fc.property(game, ({ count, worth }) => {
      const worthOf = (mask: number): bigint => (mask === 0 ? 0n : BigInt(worth[mask] ?? 0));
      const orders = permutations([...new Array(count).keys()]);
      const expected = new Array<bigint>(count).fill(0n);
      for (const order of orders) {
        let mask = 0;
        for (const player of order) {
          const next = mask + 2 ** player;
          expected[player] = (expected[player] ?? 0n) + worthOf(next) - worthOf(mask);
          mask = next;
        }
      }
      const { numerators, denominator } = shapleyValues(
        playersOf(count),
        gameOf((mask) => worth[mask] ?? 0),
        SEED,
      );
      assert.deepEqual(
        numerators.map((it) => it * BigInt(orders.length)),
        expected.map((it) => it * denominator),
      );
    }),
    { numRuns: 60 },
  );
});

test("exact and sampled values sum to what all players are worth together", () => {
  for (const count of [1, EXACT_PLAYERS_MAX, EXACT_PLAYERS_MAX + 1, 20]) {
    const worthOf = (sum: number): number => Math.floor(Math.sqrt(sum)) * 3 - (sum % 17);
    const players = playersOf(count);
    const { numerators, denominator } = shapleyValues(players, gameOf(worthOf), SEED);
    const all = worthOf(sumOf(players, 1)[0] ?? 0);
    assert.equal(
      numerators.reduce((sum, it) => sum + it, 0n),
      BigInt(all) * denominator,
    );
  }
});

test("sampled values depend on the seed alone", () => {
  const worthOf = (sum: number): number => (sum * 7919) % 10_007;
  const values = (fill: number): readonly bigint[] =>
    shapleyValues(playersOf(12), gameOf(worthOf), new Uint8Array(32).fill(fill)).numerators;
  assert.deepEqual(values(1), values(1));
  assert.notDeepEqual(values(1), values(2));
});

test("a player that adds nothing is worth nothing, and no player is worth nothing at all", () => {
  const { numerators } = shapleyValues(
    [[5], [0], [7]],
    gameOf((sum) => sum * sum),
    SEED,
  );
  assert.equal(numerators[1], 0n);
  assert.deepEqual(shapleyValues([], () => [1], SEED).numerators, []);
});
