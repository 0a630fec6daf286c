/** The fast score equals the slow one, on honest rounds, on copies and single rows, and on anything at all. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { gradientOf, type Rows, WEIGHT_MAX, WEIGHT_MIN } from "../../../consensus/work/gradient.ts";
import { type ScoreInput, scoreRound } from "../../../consensus/work/score.ts";
import { referenceScore } from "../../helpers/score-reference.ts";
import { generatedRows } from "../../simulate/populations.ts";

function assertSame(input: ScoreInput): void {
  const { model, outcomes, quality, totalValue } = scoreRound(input);
  assert.deepEqual(
    {
      model: model.map((weight) => weight + 0),
      fates: outcomes.map(({ fate }) => fate),
      improvements: outcomes.map(({ improvement }) => improvement + 0),
      values: outcomes.map(({ value }) => value),
      quality,
      totalValue,
    },
    referenceScore(input),
  );
}

/** Pods on generated rows; of every seven one copies another nearly, and one repeats a row. */
function roundOf(name: string, pods: number, opened: number, features: number): ScoreInput {
  const model = Array.from({ length: features + 1 }, (_, j) => ((j * 7919) % 2_001) - 1_000);
  const gradients = Array.from({ length: pods }, (_, i) => {
    const own = generatedRows(`${name}/${i}`, 32, features);
    if (i % 7 === 3) {
      const { x, y } = generatedRows(`${name}/${i - 1}`, 32, features);
      return gradientOf(model, { features, x: x.map((value, at) => value + (at % 3) - 1), y });
    }
    const single = {
      ...own,
      x: own.x.map((_value, at) => own.x[at % features] ?? 0),
      y: new Uint8Array(32).fill(1),
    };
    return gradientOf(model, i % 7 === 5 ? single : own);
  });
  return {
    model,
    rows: generatedRows(`${name}/opened`, opened, features),
    gradients,
    rowsPerGradient: 32,
    rate: { numerator: 1, shift: 2 },
    normBound: 2n ** 77n,
    weight: 2,
    seed: new Uint8Array(32).fill(pods),
  };
}

test("rounds of few pods, of as many as are played exactly, and of many are scored as the reference does", () => {
  for (const [pods, opened] of [
    [3, 32],
    [7, 33],
    [11, 30],
    [24, 64],
  ] as const) {
    const round = roundOf(`reference/${pods}`, pods, opened, 6);
    assertSame(round);
    const fates = new Set(scoreRound(round).outcomes.map(({ fate }) => fate));
    assert.ok(fates.has("paid"));
    if (pods > 6) assert.ok(fates.has("merged") && fates.has("one-row"));
  }
});

test("the order of contributions, which their chosen ids decide, changes nobody's value", () => {
  const rounds = ([2, 5, 8, 11, 24] as const).map((pods) => roundOf(`order/${pods}`, pods, 32, 3));
  const indexed = fc
    .constantFrom(...rounds)
    .chain((round) =>
      fc.tuple(
        fc.constant(round),
        fc.shuffledSubarray([...round.gradients.keys()], { minLength: round.gradients.length }),
      ),
    );
  fc.assert(
    fc.property(indexed, ([round, order]) => {
      const asGiven = scoreRound(round);
      const gradients = order.map((i) => round.gradients[i] ?? []);
      const { outcomes, ...rest } = scoreRound({ ...round, gradients });
      assert.deepEqual(
        outcomes,
        order.map((i) => asGiven.outcomes[i]),
      );
      assert.deepEqual({ ...rest, outcomes: asGiven.outcomes }, asGiven);
    }),
    { numRuns: 60 },
  );
  assert.ok(rounds.some((round) => scoreRound(round).outcomes.some(({ fate }) => fate === "merged")));
});

test("any model, rows, gradients, rate and bound are scored as the reference does", () => {
  const features = 2;
  const width = { minLength: features + 1, maxLength: features + 1 };
  const entry = fc.oneof(
    fc.integer({ min: -(2 ** 42), max: 2 ** 42 }),
    fc.integer({ min: -4, max: 4 }),
    fc.constantFrom(2 ** 53 - 1, -(2 ** 53) + 1, 0),
  );
  const weight = fc.oneof(fc.integer({ min: -70_000, max: 70_000 }), fc.constantFrom(WEIGHT_MIN, WEIGHT_MAX));
  const feature = fc.integer({ min: -2048, max: 2047 });
  const arbitrary = fc.record({
    model: fc.array(weight, width),
    rows: fc.array(fc.tuple(feature, feature, fc.nat(1)), { minLength: 1, maxLength: 9 }),
    gradients: fc.array(fc.array(entry, width), { maxLength: 11 }),
    rate: fc.record({ numerator: fc.integer({ min: 1, max: 2 ** 16 }), shift: fc.nat(32) }),
    normBound: fc.bigInt({ min: 1n, max: 2n ** 128n - 1n }),
  });
  fc.assert(
    fc.property(arbitrary, ({ rows, ...rest }) => {
      const opened: Rows = {
        features,
        x: Int16Array.from(rows.flatMap((row) => row.slice(0, 2))),
        y: Uint8Array.from(rows.map(([, , label]) => label)),
      };
      const seed = new Uint8Array(32).fill(9);
      assertSame({ ...rest, rows: opened, rowsPerGradient: 32, weight: 1, seed });
    }),
    { numRuns: 150 },
  );
});

test("a round of 64 pods is scored to the same bits as ever", () => {
  const score = scoreRound(roundOf("golden", 64, 256, 10));
  const text = JSON.stringify(score, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  assert.equal(
    createHash("sha256").update(text).digest("hex"),
    "b1390f78b41d1d4f5de22ed0c781ec6c7e8361b6ea0a758d1ff22dd5635d5e61",
  );
});
