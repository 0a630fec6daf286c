/** A batch whose rows are all one row is recognised by its public gradient, and no other batch is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { activeRowsOf, gradientOf, type Rows } from "../../../consensus/work/gradient.ts";
import { isOneRow } from "../../../consensus/work/one-row.ts";
import { scoreRound } from "../../../consensus/work/score.ts";

const N = 32;
const FEATURES = 6;
const feature = fc.integer({ min: -2048, max: 2047 });
const rowOf = fc.array(feature, { minLength: FEATURES, maxLength: FEATURES });
const modelOf = fc.array(fc.integer({ min: -40_000, max: 40_000 }), {
  minLength: FEATURES + 1,
  maxLength: FEATURES + 1,
});
const batchOf = (rows: readonly (readonly number[])[], labels: readonly number[]): Rows => ({
  features: FEATURES,
  x: Int16Array.from(rows.flat()),
  y: Uint8Array.from(labels),
});

test("any row, repeated any number of times beside rows without a residual, is one row", () => {
  fc.assert(
    fc.property(modelOf, rowOf, fc.nat(1), fc.integer({ min: 8, max: N }), (model, row, label, copies) => {
      const batch = batchOf(
        Array.from({ length: copies }, () => row),
        new Array<number>(copies).fill(label),
      );
      const gradient = gradientOf(model, batch);
      assert.equal(isOneRow(model, gradient, N), activeRowsOf(model, batch) > 0);
    }),
  );
});

test("rows of one class that differ in one unit of one feature are not", () => {
  const model = new Array<number>(FEATURES + 1).fill(0);
  fc.assert(
    fc.property(rowOf, fc.nat(1), fc.nat(FEATURES - 1), (row, label, at) => {
      const rows = Array.from({ length: N }, () => [...row]);
      const [first = []] = rows;
      first[at] = (first[at] ?? 0) === 2047 ? 2046 : (first[at] ?? 0) + 1;
      const gradient = gradientOf(model, batchOf(rows, new Array<number>(N).fill(label)));
      assert.equal(isOneRow(model, gradient, N), false);
    }),
  );
});

test("more copies than a batch has rows, fewer than the circuit takes, and nothing at all are not", () => {
  const model = [3, 1, 4, 1, 5, 9, 2];
  const row = [10, -20, 30, 40, -50, 60];
  const times = (copies: number): number[] =>
    gradientOf(
      model,
      batchOf(
        Array.from({ length: copies }, () => row),
        new Array<number>(copies).fill(1),
      ),
    );
  assert.equal(isOneRow(model, times(N), N), true);
  assert.equal(isOneRow(model, times(N + 1), N), false);
  assert.equal(isOneRow(model, times(8), N), true);
  assert.equal(isOneRow(model, times(7), N), false);
  assert.equal(isOneRow(model, times(0), N), false);
});

test("any gradient at all has an answer", () => {
  fc.assert(
    fc.property(
      fc.array(fc.maxSafeInteger(), { minLength: FEATURES + 1, maxLength: FEATURES + 1 }),
      modelOf,
      (gradient, model) => {
        assert.equal(typeof isOneRow(model, gradient, N), "boolean");
      },
    ),
  );
});

test("one good row, 32 times, is worth nothing; with one more row it is worth what it helps", () => {
  const model = new Array<number>(FEATURES + 1).fill(0);
  const good = [500, 500, 500, 500, 500, 500];
  const opened = batchOf(
    Array.from({ length: 96 }, (_, i) => good.map((value) => (i % 2 === 0 ? value : -value))),
    Array.from({ length: 96 }, (_, i) => 1 - (i % 2)),
  );
  const score = (rows: readonly (readonly number[])[]) =>
    scoreRound({
      model,
      rows: opened,
      gradients: [gradientOf(model, batchOf(rows, new Array<number>(N).fill(1)))],
      rowsPerGradient: N,
      rate: { numerator: 1, shift: 0 },
      normBound: 2n ** 90n,
      weight: 1,
      seed: new Uint8Array(32),
    });
  const copies = Array.from({ length: N }, () => good);
  const repeated = score(copies);
  assert.equal(repeated.outcomes[0]?.fate, "one-row");
  assert.equal(repeated.outcomes[0]?.value, 0n);
  assert.equal(repeated.stepped, false);
  const mixed = score([...copies.slice(1), good.map((value) => value - 1)]);
  assert.equal(mixed.outcomes[0]?.fate, "paid");
});
