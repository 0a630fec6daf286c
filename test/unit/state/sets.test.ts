/** Voting weights, quorums and whose turn it is. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Epoch, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { weightCap } from "../../../consensus/state/sets.ts";
import { createValidatorSet, proposerOf, quorumOf } from "../../../consensus/types/validator-set.ts";

const stakes = fc.array(fc.oneof(fc.bigInt(1n, 100n), fc.bigInt(1n, 10n ** 17n)), {
  minLength: 1,
  maxLength: 128,
});
const sum = (values: readonly bigint[]): bigint => values.reduce((total, it) => total + it, 0n);
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

describe("the weight cap", () => {
  test("is the largest w with w ≤ max(1/25, 2/n) · Σ min(stake, w)", () => {
    fc.assert(
      fc.property(stakes, (all) => {
        const n = BigInt(all.length);
        const fits = (w: bigint): boolean => {
          const total = sum(all.map((stake) => least(stake, w)));
          return w * 25n <= total || w * n <= 2n * total;
        };
        const cap = weightCap(all);
        assert.ok(cap >= 1n);
        assert.ok(fits(cap));
        // Above the largest stake a cap caps nothing: there it need not be the largest.
        if (all.some((stake) => stake > cap)) assert.ok(!fits(cap + 1n));
      }),
    );
  });

  test("leaves equal stakes alone and no whale above its part", () => {
    assert.equal(weightCap(new Array(7).fill(100n)), 100n);
    assert.equal(weightCap([]), 0n);
    const cap = weightCap([10n ** 15n, ...new Array(99).fill(1_000n)]);
    assert.ok(cap * 25n <= 99_000n + cap);
  });
});

describe("a quorum", () => {
  test("is more than two thirds, and two of them share more than a third", () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 2n ** 64n), (total) => {
        const quorum = quorumOf(total);
        assert.ok(quorum * 3n > total * 2n);
        assert.ok((quorum - 1n) * 3n <= total * 2n);
        assert.ok(2n * quorum - total > (total - 1n) / 3n);
        assert.ok(quorum <= total);
      }),
    );
    assert.deepEqual([1n, 2n, 3n, 4n, 7n, 10n].map(quorumOf), [1n, 2n, 3n, 3n, 5n, 7n]);
  });
});

describe("turns to propose", () => {
  const setOf = (weights: readonly bigint[], seed = new Uint8Array(32)) =>
    createValidatorSet(
      Epoch(0),
      weights.map((weight, i) => ({
        validator: ValidatorIndex(i),
        blsKey: new Uint8Array(48),
        weight,
        electionWeight: weight,
      })),
      seed,
    );

  test("are equal for equal weights, in every cycle of n views", () => {
    const set = setOf(new Array(5).fill(10n));
    for (let cycle = 0; cycle < 8; cycle++) {
      const turns = [1, 2, 3, 4, 5].map((i) => proposerOf(set, View(cycle * 5 + i)));
      assert.deepEqual(
        turns.toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4],
      );
    }
  });

  test("follow the weights to within one turn", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt(1n, 1_000n), { minLength: 1, maxLength: 20 }), (weights) => {
        const set = setOf(weights);
        const total = sum(weights);
        weights.forEach((weight, i) => {
          const turns = set.turns.filter((position) => position === i).length;
          const fair = (Number(weight) / Number(total)) * set.turns.length;
          assert.ok(Math.abs(turns - fair) <= 2, `${turns} turns for ${fair}`);
        });
      }),
    );
  });

  test("start in an order that the seed shuffles, and repeat", () => {
    const weights = new Array<bigint>(20).fill(1n);
    const a = setOf(weights, new Uint8Array(32).fill(1));
    const b = setOf(weights, new Uint8Array(32).fill(2));
    assert.notDeepEqual(a.turns, b.turns);
    assert.equal(proposerOf(a, View(1)), proposerOf(a, View(1 + a.turns.length)));
    assert.ok(proposerOf(a, View(Number.MAX_SAFE_INTEGER)) < 20);
  });
});
