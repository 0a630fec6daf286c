/** Settling a round: who is paid, who is not, and that nothing a user can send stops it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { gradientOf, lossOf, type Rows, WEIGHT_MAX, WEIGHT_MIN } from "../../../consensus/work/gradient.ts";
import { createLosses } from "../../../consensus/work/losses.ts";
import { clipGradient, type Score, type ScoreInput, scoreRound } from "../../../consensus/work/score.ts";
import { rateValid, stepModel } from "../../../consensus/work/step.ts";
import { deal, generatedTable } from "../../../devnet/data.ts";
import { sliceRows } from "../../../pod/dataset.ts";
import { standardOf, toFixed } from "../../../pod/standardise.ts";

const N = 32;
const FEATURES = 10;
const HONEST = 5;
const RATE = { numerator: 3, shift: 1 };
const NORM_BOUND = 2n ** 77n;
const SEED = new Uint8Array(32).fill(7);

/** Five pods' batches and twelve slices a round of 96 rows, on generated data. */
function createWorld(seed: number): {
  batch(pod: number, round: number): Rows;
  holdout(round: number): Rows;
} {
  const rounds = 5;
  const table = generatedTable({ seed, rows: 2_000, features: FEATURES });
  const dealt = deal(table, {
    pods: HONEST + 1,
    batchRows: N,
    batchesPerPod: rounds,
    holdoutSlices: 12 * rounds,
    seed,
  });
  const standard = standardOf(dealt.holdout);
  const pods = dealt.pods.map((rows) => toFixed(rows, standard));
  const holdout = toFixed(dealt.holdout, standard);
  const none: Rows = { features: FEATURES, x: new Int16Array(0), y: new Uint8Array(0) };
  return {
    batch: (pod, round) => sliceRows(pods[pod] ?? none, round * N, (round + 1) * N),
    holdout: (round) => sliceRows(holdout, round * 96, (round + 1) * 96),
  };
}

function settle(model: readonly number[], rows: Rows, gradients: readonly (readonly number[])[]): Score {
  return scoreRound({
    model,
    rows,
    gradients,
    rowsPerGradient: N,
    rate: RATE,
    normBound: NORM_BOUND,
    weight: 1,
    seed: SEED,
  });
}

const zeroModel = new Array<number>(FEATURES + 1).fill(0);
const flipped = (rows: Rows): Rows => ({ ...rows, y: rows.y.map((label) => 1 - label) });
/** Labels moved on by a third of the batch: as many of each, on the wrong rows. */
const shuffled = (rows: Rows): Rows => ({ ...rows, y: rows.y.map((_, i) => rows.y[(i * 7 + 11) % N] ?? 0) });
const noise = (rows: Rows): Rows => ({ ...rows, x: rows.x.map((_, i) => ((i * 7919) % 1024) - 512) });

describe("attacks on a round of five honest pods", () => {
  for (const trained of [0, 3]) {
    const world = createWorld(11);
    let model: readonly number[] = zeroModel;
    for (let round = 0; round < trained; round++) {
      const gradients = Array.from({ length: HONEST }, (_, pod) =>
        gradientOf(model, world.batch(pod, round)),
      );
      model = settle(model, world.holdout(round), gradients).model;
    }
    const rows = world.holdout(trained);
    const honest = Array.from({ length: HONEST }, (_, pod) => gradientOf(model, world.batch(pod, trained)));
    const victim = world.batch(HONEST, trained);
    const first = honest[0] ?? [];

    const worthless: readonly [string, readonly number[]][] = [
      ["flips its labels", gradientOf(model, flipped(victim))],
      ["shuffles its labels", gradientOf(model, shuffled(victim))],
      ["sends random features", gradientOf(model, noise(victim))],
      ["sends a zero gradient", first.map(() => 0)],
    ];
    for (const [name, gradient] of worthless) {
      test(`after ${trained} rounds a pod that ${name} earns nothing, the honest earn`, () => {
        const score = settle(model, rows, [...honest, gradient]);
        assert.equal(score.outcomes.at(-1)?.value, 0n);
        assert.equal(score.outcomes.at(-1)?.quality, 0n);
        assert.ok(score.outcomes.slice(0, HONEST).filter(({ value }) => value > 0n).length >= 3);
        assert.ok(score.stepped && score.lossAfter < score.lossBefore);
      });
    }

    for (const noiseLsb of [0, 2]) {
      test(`after ${trained} rounds a copy with ±${noiseLsb} units of noise shares one share`, () => {
        // One unit of one feature, in a row with the full residual, moves its gradient by 2^26.
        const copy = first.map((entry, j) => entry + (j % 2 === 0 ? 1 : -1) * noiseLsb * 2 ** 26);
        const alone = settle(model, rows, honest);
        const { outcomes } = settle(model, rows, [...honest, copy]);
        const [owner, thief] = [outcomes[0], outcomes.at(-1)];
        assert.equal(owner?.fate, "merged");
        assert.equal(thief?.fate, "merged");
        assert.equal(owner?.value, thief?.value);
        assert.equal(thief?.value, (alone.outcomes[0]?.value ?? 0n) / 2n);
        assert.deepEqual(
          outcomes.slice(1, HONEST).map(({ value }) => value),
          alone.outcomes.slice(1).map(({ value }) => value),
        );
      });
    }
  }
});

test("a copy just longer than the norm bound is merged all the same", () => {
  const world = createWorld(5);
  const gradient = gradientOf(zeroModel, world.batch(0, 0));
  const norm = gradient.reduce((sum, entry) => sum + BigInt(entry) ** 2n, 0n);
  const copy = gradient.map((entry) => entry + Math.floor(entry / 100));
  const score = scoreRound({
    model: zeroModel,
    rows: world.holdout(0),
    gradients: [gradient, copy],
    rowsPerGradient: N,
    rate: RATE,
    normBound: norm,
    weight: 1,
    seed: SEED,
  });
  assert.deepEqual(
    score.outcomes.map(({ clipShift }) => clipShift),
    [0, 1],
  );
  assert.deepEqual(
    score.outcomes.map(({ fate }) => fate),
    ["merged", "merged"],
  );
});

test("identical gradients are one player, whose share is split evenly", () => {
  const world = createWorld(3);
  const gradient = gradientOf(zeroModel, world.batch(0, 0));
  const alone = settle(zeroModel, world.holdout(0), [gradient]);
  const many = settle(zeroModel, world.holdout(0), new Array<number[]>(64).fill(gradient));
  assert.deepEqual(many.model, alone.model);
  assert.equal(many.quality, alone.quality);
  assert.ok(many.outcomes.every(({ value }) => value === alone.totalValue / 64n));
});

test("a round is scored the same however often, and pays by the exact formula", () => {
  const world = createWorld(9);
  const gradients = Array.from({ length: HONEST }, (_, pod) => gradientOf(zeroModel, world.batch(pod, 0)));
  const score = settle(zeroModel, world.holdout(0), gradients);
  assert.deepEqual(settle(zeroModel, world.holdout(0), gradients), score);
  assert.equal(score.lossBefore, lossOf(zeroModel, world.holdout(0)));
  assert.equal(score.lossAfter, lossOf(score.model, world.holdout(0)));
  const paid = score.outcomes.filter(({ value }) => value > 0n).length;
  const fall = BigInt(score.lossBefore - score.lossAfter);
  assert.equal(score.quality, (BigInt(N * paid) * fall * 1_000_000n) / BigInt(score.lossBefore));
  const credited = score.outcomes.reduce((sum, { quality }) => sum + quality, 0n);
  assert.ok(credited <= score.quality && credited > score.quality - 64n);
  // Shapley values sum to the whole fall, but for the floors and the negative ones.
  if (paid === HONEST) assert.ok(fall - score.totalValue < 64n && score.totalValue <= fall);
});

test("no gradient, a zero gradient, loss 0, no rows and a rate out of range score nothing", () => {
  const world = createWorld(2);
  const rows = world.holdout(0);
  const gradient = gradientOf(zeroModel, world.batch(0, 0));
  const none: Rows = { features: FEATURES, x: new Int16Array(0), y: new Uint8Array(0) };
  const wise = new Array<number>(FEATURES + 1).fill(0).map((_, j) => (j === FEATURES ? WEIGHT_MAX : 0));
  const ones: Rows = { ...rows, y: rows.y.map(() => 1) };
  const base: ScoreInput = {
    model: zeroModel,
    rows,
    gradients: [gradient],
    rowsPerGradient: N,
    rate: RATE,
    normBound: NORM_BOUND,
    weight: 1,
    seed: SEED,
  };
  const cases: readonly Partial<ScoreInput>[] = [
    { gradients: [] },
    { gradients: [gradient.map(() => 0)] },
    { rows: none },
    { model: wise, rows: ones },
    { rate: { numerator: 0, shift: 0 } },
    { rate: { numerator: 1, shift: 64 } },
    { rate: { numerator: 1.5, shift: 0 } },
    { rowsPerGradient: 0 },
    { normBound: 0n },
    { normBound: -1n },
  ];
  for (const change of cases) {
    const input = { ...base, ...change };
    const score = scoreRound(input);
    assert.deepEqual(score.model, input.model);
    assert.equal(score.stepped, false);
    assert.equal(score.quality, 0n);
    assert.equal(score.totalValue, 0n);
    assert.equal(score.lossAfter, score.lossBefore);
    assert.ok(score.outcomes.every(({ value, quality }) => value === 0n && quality === 0n));
  }
});

test("any gradients on any rows give a defined, consistent score", () => {
  const arbitrary = fc.integer({ min: 1, max: 4 }).chain((features) =>
    fc.record({
      features: fc.constant(features),
      model: fc.array(fc.integer({ min: WEIGHT_MIN, max: WEIGHT_MAX }), {
        minLength: features + 1,
        maxLength: features + 1,
      }),
      rows: fc.array(
        fc.tuple(
          fc.array(fc.integer({ min: -2048, max: 2047 }), { minLength: features, maxLength: features }),
          fc.nat(1),
        ),
        { maxLength: 12 },
      ),
      gradients: fc.array(
        fc.array(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -4, max: 4 })), {
          minLength: features + 1,
          maxLength: features + 1,
        }),
        { maxLength: 12 },
      ),
      rowsPerGradient: fc.integer({ min: 1, max: 128 }),
      rate: fc.record({
        numerator: fc.integer({ min: 0, max: 2 ** 16 }),
        shift: fc.integer({ min: 0, max: 32 }),
      }),
      normBound: fc.bigInt({ min: 0n, max: 2n ** 96n }),
      weight: fc.integer({ min: 0, max: 8 }),
    }),
  );
  fc.assert(
    fc.property(arbitrary, ({ features, rows, ...rest }) => {
      const x = Int16Array.from(rows.flatMap(([values]) => values));
      const y = Uint8Array.from(rows.map(([, label]) => label));
      const score = scoreRound({ ...rest, rows: { features, x, y }, seed: SEED });
      assert.equal(score.outcomes.length, rest.gradients.length);
      assert.equal(score.lossAfter, lossOf(score.model, { features, x, y }));
      assert.equal(score.stepped, score.lossAfter < score.lossBefore);
      assert.ok(
        score.model.every(
          (weight) => Number.isInteger(weight) && weight >= WEIGHT_MIN && weight <= WEIGHT_MAX,
        ),
      );
      assert.ok(
        score.quality >= 0n && score.outcomes.every(({ value, quality }) => value >= 0n && quality >= 0n),
      );
      assert.equal(
        score.outcomes.reduce((sum, { value }) => sum + value, 0n),
        score.totalValue,
      );
      if (!score.stepped) assert.equal(score.quality, 0n);
    }),
    { numRuns: 300 },
  );
});

test("a clip is the smallest shift that meets the bound", () => {
  const entry = fc.integer({ min: -(2 ** 45), max: 2 ** 45 });
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 70 }),
      fc.bigInt({ min: 100n, max: 2n ** 92n }),
      (gradient, bound) => {
        const norm = (shift: bigint): bigint =>
          gradient.reduce((sum, value) => sum + (BigInt(value) >> shift) ** 2n, 0n);
        const { gradient: clipped, shift } = clipGradient(gradient, bound);
        const effective = bound < 2n ** 90n ? bound : 2n ** 90n;
        assert.ok(norm(BigInt(shift)) <= effective);
        assert.deepEqual(
          clipped.map(BigInt),
          gradient.map((value) => BigInt(value) >> BigInt(shift)),
        );
        if (shift > 0)
          assert.ok(
            norm(BigInt(shift) - 1n) > effective || gradient.some((value) => Math.abs(value) > 2 ** 45),
          );
      },
    ),
  );
});

test("a norm of exactly the bound is not clipped, one more is", () => {
  const entry = fc.integer({ min: -(2 ** 41), max: 2 ** 41 });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 130 }), (entries) => {
      const gradient = [...entries, 1_000_000];
      const norm = gradient.reduce((sum, value) => sum + BigInt(value) ** 2n, 0n);
      assert.equal(clipGradient(gradient, norm).shift, 0);
      assert.equal(clipGradient(gradient, norm - 1n).shift, 1);
    }),
  );
});

test("a step equals one exact floored division, saturated", () => {
  const bounded = fc.integer({ min: -(2 ** 51), max: 2 ** 51 });
  fc.assert(
    fc.property(
      fc.integer({ min: WEIGHT_MIN, max: WEIGHT_MAX }),
      bounded,
      fc.integer({ min: 1, max: 64 * 1024 }),
      fc.integer({ min: 1, max: 2 ** 16 }),
      fc.integer({ min: 0, max: 32 }),
      (weight, sum, divisor, numerator, shift) => {
        assert.ok(rateValid({ numerator, shift }));
        const scaled = BigInt(numerator) * BigInt(sum);
        const by = BigInt(divisor) << BigInt(18 + shift);
        const step = scaled >= 0n ? scaled / by : -((-scaled + by - 1n) / by);
        const exact = BigInt(weight) - step;
        const expected =
          exact > BigInt(WEIGHT_MAX) ? WEIGHT_MAX : exact < BigInt(WEIGHT_MIN) ? WEIGHT_MIN : Number(exact);
        assert.deepEqual(stepModel([weight], [sum], divisor, { numerator, shift }), [expected]);
      },
    ),
  );
});

test("the fast losses are the twin's", () => {
  for (const features of [1, 2, 4, 7, 10, 30]) {
    for (const count of [0, 1, 2, 3, 4, 50]) {
      const rows: Rows = {
        features,
        x: Int16Array.from({ length: count * features }, (_, i) => ((i * 7919) % 4096) - 2048),
        y: Uint8Array.from({ length: count }, (_, i) => (i % 3 === 0 ? 1 : 0)),
      };
      const models = [0, 1, 65_536, WEIGHT_MAX, WEIGHT_MIN].map((spread) =>
        Array.from({ length: features + 1 }, (_, j) => (j % 2 === 0 || spread < 0 ? spread : -spread)),
      );
      const losses = createLosses(rows).of(Float64Array.from(models.flat()), models.length);
      assert.deepEqual(
        [...losses],
        models.map((model) => lossOf(model, rows)),
      );
    }
  }
});
