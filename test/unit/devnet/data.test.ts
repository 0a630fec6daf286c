/** Dealing rows to pods, sponsor and test; the generated table; and that training on it gets somewhere. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { correctRowsOf, gradientOf } from "../../../consensus/work/gradient.ts";
import { scoreRound } from "../../../consensus/work/score.ts";
import { deal, generatedTable } from "../../../devnet/data.ts";
import { sliceRows } from "../../../pod/dataset.ts";
import { standardOf, toFixed } from "../../../pod/standardise.ts";
import type { Label, RawRows } from "../../../pod/table.ts";

/** A table in which each row is its own number. */
function numbered(rows: number, positive: number): RawRows {
  const labels = Array.from({ length: rows }, (_, i): Label => (i < positive ? 1 : 0));
  return { rows: labels.map((_, i) => [i]), labels };
}
const idsOf = (part: RawRows): number[] => part.rows.map(([id = -1]) => id);
const positives = ({ labels }: RawRows): number => labels.filter((label) => label === 1).length;

describe("dealing", () => {
  const options = { pods: 3, batchRows: 32, holdoutSlices: 16, seed: 1 };

  test("569 rows give three pods four batches each, 16 slices, and 57 rows for the test", () => {
    const { pods, holdout, test: rest } = deal(numbered(569, 212), options);
    assert.deepEqual(
      pods.map(({ rows }) => rows.length),
      [128, 128, 128],
    );
    assert.equal(holdout.rows.length, 128);
    assert.equal(rest.rows.length, 57);
  });

  test("every row is dealt once, the same way for the same seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 226, max: 900 }), fc.nat(), fc.nat(225), (rows, seed, positive) => {
        const table = numbered(rows, positive);
        const dealt = deal(table, { ...options, seed });
        const ids = [...dealt.pods, dealt.holdout, dealt.test].flatMap(idsOf).sort((a, b) => a - b);
        assert.deepEqual(ids, idsOf(table));
        assert.deepEqual(deal(table, { ...options, seed }), dealt);
        assert.ok(dealt.test.rows.length >= 2 && dealt.pods.every((pod) => pod.rows.length % 32 === 0));
      }),
      { numRuns: 40 },
    );
  });

  test("every batch and every slice has its share of both classes", () => {
    const { pods, holdout } = deal(numbered(569, 212), options);
    const slice = (part: RawRows, from: number, to: number): RawRows => ({
      rows: [],
      labels: part.labels.slice(from, to),
    });
    for (const pod of pods) {
      for (let b = 0; b < 4; b++)
        assert.ok(Math.abs(positives(slice(pod, b * 32, b * 32 + 32)) - (32 * 212) / 569) <= 1);
    }
    for (let s = 0; s < 16; s++)
      assert.ok(Math.abs(positives(slice(holdout, s * 8, s * 8 + 8)) - (8 * 212) / 569) <= 1);
  });

  test("too few rows are refused with the number that is needed", () => {
    assert.throws(
      () => deal(numbered(225, 100), options),
      (error: unknown) =>
        error instanceof FaultError &&
        error.code === "table/too-small" &&
        error.fault.data?.rowsNeeded === 226,
    );
    assert.equal(deal(numbered(226, 100), options).test.rows.length, 2);
    assert.throws(() => deal(numbered(569, 212), { ...options, batchesPerPod: 5 }), {
      code: "table/too-small",
    });
  });
});

describe("the generated table", () => {
  test("is the same for the same seed, and another for another", () => {
    const make = (seed: number): RawRows => generatedTable({ seed, rows: 50, features: 4 });
    assert.deepEqual(make(1), make(1));
    assert.notDeepEqual(make(1), make(2));
    // A golden row: the generator may not depend on the machine.
    assert.deepEqual(make(1).rows[0], [-8.98, 105.3094, 22.7515, 93.3447]);
  });

  test("four rounds of three pods reach 94 % on its test rows, whatever is drawn", () => {
    const table = generatedTable({ seed: 1, rows: 640, features: 10 });
    const dealt = deal(table, { pods: 3, batchRows: 32, holdoutSlices: 16, seed: 1 });
    const standard = standardOf(dealt.holdout);
    const pods = dealt.pods.map((pod) => toFixed(pod, standard));
    const holdout = toFixed(dealt.holdout, standard);
    const testRows = toFixed(dealt.test, standard);
    for (let draw = 0; draw < 16; draw++) {
      let model: readonly number[] = new Array<number>(11).fill(0);
      for (let round = 0; round < 4; round++) {
        const batch = (draw + round * (1 + (draw >> 2))) % 4;
        const score = scoreRound({
          model,
          rows: sliceRows(holdout, round * 32, round * 32 + 32),
          gradients: pods.map((rows) => gradientOf(model, sliceRows(rows, batch * 32, batch * 32 + 32))),
          rowsPerGradient: 32,
          rate: { numerator: 3, shift: 1 },
          normBound: 2n ** 77n,
          weight: 1,
          seed: new Uint8Array(32),
        });
        model = score.model;
      }
      assert.ok(correctRowsOf(model, testRows) >= 0.94 * testRows.y.length);
    }
  });
});
