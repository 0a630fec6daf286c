/** Signals as bytes say what the native twin says in big integers, of right ones and of wrong ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bigintToBytes, bytesToBigint } from "../../../consensus/primitives/bytes.ts";
import { fieldsOf, fieldsToBytes } from "../../../consensus/types/submission.ts";
import {
  checkOutputs,
  FIELD_ORDER,
  gradientMax,
  outputsCount,
  publicInputs,
  SHAPES,
  toField,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from "../../../consensus/work/gradient.ts";
import { inputsOfRound, isCanonicalAt, readOutputs } from "../../../consensus/work/signals.ts";

const TOP = 2n ** 256n - 1n;
const small = fc.bigInt(-(2n ** 56n), 2n ** 56n);
const near = (value: bigint): fc.Arbitrary<bigint> =>
  fc.bigInt(-300n, 300n).map((by) => {
    const moved = value + by;
    return moved < 0n ? 0n : moved > TOP ? TOP : moved;
  });
/** Everything of 32 bytes, and most of all where the rules have their edges. */
const element = fc.oneof(
  { weight: 6, arbitrary: small.map(toField) },
  fc.constantFrom(...SHAPES.map((shape) => BigInt(gradientMax(shape)))).chain(near),
  fc.constantFrom(...SHAPES.map((shape) => FIELD_ORDER - BigInt(gradientMax(shape)))).chain(near),
  ...[0n, 2n ** 32n, 2n ** 53n, 2n ** 64n, 2n ** 248n, FIELD_ORDER / 2n, FIELD_ORDER, TOP].map(near),
  ...[32n, 53n, 64n, 128n].map((bits) => near(FIELD_ORDER - 2n ** bits)),
  fc.bigInt(0n, TOP),
);

/** As readOutputs, by the twin. */
const expectedOf = (shape: (typeof SHAPES)[number], fields: readonly bigint[]): unknown => {
  const checked = checkOutputs(shape, fields);
  return "code" in checked ? checked : checked.gradient;
};

test("outputs are read as the native twin reads them", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SHAPES).chain((shape) => {
        const count = outputsCount(shape);
        const all = fc.array(element, { minLength: count, maxLength: count });
        return fc.tuple(fc.constant(shape), fc.oneof(all, fc.array(element, { maxLength: 40 })));
      }),
      ([shape, fields]) => {
        assert.deepEqual(readOutputs(shape, fieldsToBytes(fields)), expectedOf(shape, fields));
      },
    ),
    { numRuns: 2_000 },
  );
});

test("outputs that a circuit gives, but for one, are told from those that it gives", () => {
  const good = (rows: number) => fc.integer({ min: -rows * 2 ** 37, max: rows * 2 ** 37 });
  const bias = (rows: number) => fc.integer({ min: -rows * 2 ** 26, max: rows * 2 ** 26 });
  fc.assert(
    fc.property(
      fc.constantFrom(...SHAPES).chain((shape) =>
        fc.tuple(
          fc.constant(shape),
          fc.array(good(shape.rows), { minLength: shape.features, maxLength: shape.features }),
          bias(shape.rows).map((it) => 256 * it),
        ),
      ),
      fc.nat(),
      element,
      ([shape, features, last], place, other) => {
        const fields = [5n, 6n, ...[...features, last].map(toField)];
        assert.deepEqual(readOutputs(shape, fieldsToBytes(fields)), [...features, last]);
        const changed = fields.with(place % fields.length, other);
        assert.deepEqual(readOutputs(shape, fieldsToBytes(changed)), expectedOf(shape, changed));
      },
    ),
    { numRuns: 2_000 },
  );
});

test("an element is canonical below r, wherever it stands", () => {
  fc.assert(
    fc.property(element, element, (one, other) => {
      const bytes = fieldsToBytes([one, other]);
      assert.deepEqual(
        [isCanonicalAt(bytes, 0), isCanonicalAt(bytes, 32)],
        [one < FIELD_ORDER, other < FIELD_ORDER],
      );
    }),
    { numRuns: 1_000 },
  );
});

test("a slot's inputs are the native twin's, and its round's slots don't disturb each other", () => {
  const field = fc.bigInt(0n, FIELD_ORDER - 1n).map((it) => bigintToBytes(it, 32));
  const weight = fc.oneof(
    fc.integer({ min: WEIGHT_MIN, max: WEIGHT_MAX }),
    fc.constantFrom(WEIGHT_MIN, WEIGHT_MAX, 0, -1, 1),
  );
  const slot = fc.record({ podId: field, dataRoot: field, batchIndex: fc.nat(65_535) });
  fc.assert(
    fc.property(
      fc.record({ task: field, epoch: fc.maxSafeNat(), model: fc.array(weight, { minLength: 1 }) }),
      fc.array(slot, { minLength: 1, maxLength: 4 }),
      (round, slots) => {
        const inputsOf = inputsOfRound(round);
        const made = slots.map((it) => inputsOf(it));
        const expected = slots.map(({ podId, dataRoot, batchIndex }) =>
          publicInputs({
            task: bytesToBigint(round.task),
            epoch: round.epoch,
            podId: bytesToBigint(podId),
            dataRoot: bytesToBigint(dataRoot),
            batchIndex,
            model: round.model,
          }),
        );
        assert.deepEqual(made.map(fieldsOf), expected);
      },
    ),
    { numRuns: 300 },
  );
});

test("inputs that are not canonical, and models beyond 24 bits, never become a statement", () => {
  const order = bigintToBytes(FIELD_ORDER, 32);
  const zero = new Uint8Array(32);
  const round = { task: zero, epoch: 1, model: [1, 2] };
  const slot = { podId: zero, dataRoot: zero, batchIndex: 0 };
  assert.throws(() => inputsOfRound({ ...round, model: [2 ** 23, 0] }), /24 bits/);
  assert.throws(() => inputsOfRound({ ...round, task: order }), /canonical/);
  for (const wrong of [order, new Uint8Array(31)]) {
    assert.throws(() => inputsOfRound(round)({ ...slot, podId: wrong }), /canonical/);
    assert.throws(() => inputsOfRound(round)({ ...slot, dataRoot: wrong }), /canonical/);
  }
});
