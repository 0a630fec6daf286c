import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quorumOf } from "../../../consensus/types/validator-set.ts";

test("two quorums share more than the Byzantine weight, for every remainder modulo three", () => {
  for (let total = 1n; total <= 300n; total++) {
    const faulty = (total - 1n) / 3n;
    const quorum = quorumOf(total);
    assert.ok(2n * quorum - total > faulty, `W = ${total}`);
    assert.ok(3n * quorum > 2n * total, `W = ${total}`);
  }
});

test("the honest weight alone is a quorum", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 1n << 70n }), (total) => {
      assert.equal(total - (total - 1n) / 3n, quorumOf(total));
      assert.ok(quorumOf(total) <= total - (total - 1n) / 3n);
      assert.ok(2n * quorumOf(total) - total > (total - 1n) / 3n);
    }),
  );
});

test("the quorums of small networks are the known ones", () => {
  const known: readonly [bigint, bigint][] = [
    [1n, 1n],
    [2n, 2n],
    [3n, 3n],
    [4n, 3n],
    [5n, 4n],
    [6n, 5n],
    [7n, 5n],
    [10n, 7n],
    [100n, 67n],
  ];
  for (const [total, quorum] of known) assert.equal(quorumOf(total), quorum);
});
