/** The gradient template's native twin: loss, derivative, inputs and outputs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import {
  activeRowsOf,
  checkOutputs,
  clampWeight,
  correctRowsOf,
  FEATURE_MAX,
  FEATURE_MIN,
  FEATURE_SCALE,
  FIELD_ORDER,
  fromField,
  gradientMax,
  gradientOf,
  inputsCount,
  lossOf,
  modelValid,
  outputsCount,
  parseOutputs,
  publicInputs,
  type Rows,
  rowLoss,
  rowResidual,
  rowsValid,
  SHAPES,
  shapeOf,
  toField,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from "../../../consensus/work/gradient.ts";

const weight = fc.integer({ min: WEIGHT_MIN, max: WEIGHT_MAX });
const rowsOf = (features: number, count: number): fc.Arbitrary<Rows> =>
  fc
    .tuple(
      fc.array(fc.integer({ min: FEATURE_MIN, max: FEATURE_MAX }), {
        minLength: features * count,
        maxLength: features * count,
      }),
      fc.array(fc.nat(1), { minLength: count, maxLength: count }),
    )
    .map(([x, y]) => ({ features, x: Int16Array.from(x), y: Uint8Array.from(y) }));

/** The definitions of circuits.md in bigint, written down a second time. */
function reference(model: readonly number[], { features, x, y }: Rows): { loss: bigint; gradient: bigint[] } {
  const gradient = new Array<bigint>(features + 1).fill(0n);
  let loss = 0n;
  for (const [i, label] of y.entries()) {
    const row = [...x.subarray(i * features, (i + 1) * features), FEATURE_SCALE].map(BigInt);
    const z = row.reduce((sum, value, j) => sum + value * BigInt(model[j] ?? 0), 0n);
    const sign = label === 1 ? 1n : -1n;
    const a = 2n ** 25n - sign * z;
    const c = a < 0n ? 0n : a > 2n ** 26n ? 2n ** 26n : a;
    loss += 2n * (c >> 14n) ** 2n + (a > 2n ** 26n ? a - 2n ** 26n : 0n);
    for (const [j, value] of row.entries()) gradient[j] = (gradient[j] ?? 0n) - sign * c * value;
  }
  return { loss, gradient };
}

test("loss and gradient equal the definitions in exact integers", () => {
  fc.assert(
    fc.property(fc.array(weight, { minLength: 6, maxLength: 6 }), rowsOf(5, 12), (model, rows) => {
      const { loss, gradient } = reference(model, rows);
      assert.equal(BigInt(lossOf(model, rows)), loss);
      assert.deepEqual(gradientOf(model, rows).map(BigInt), gradient);
    }),
  );
});

test("loss and gradient are exact at the extremes of every operand", () => {
  for (const [w, value] of [
    [WEIGHT_MIN, FEATURE_MIN],
    [WEIGHT_MIN, FEATURE_MAX],
    [WEIGHT_MAX, FEATURE_MIN],
    [WEIGHT_MAX, FEATURE_MAX],
  ] as const) {
    for (const label of [0, 1]) {
      const rows = {
        features: 30,
        x: new Int16Array(30 * 256).fill(value),
        y: new Uint8Array(256).fill(label),
      };
      const model = new Array<number>(31).fill(w);
      const { loss, gradient } = reference(model, rows);
      assert.equal(BigInt(lossOf(model, rows)), loss);
      assert.deepEqual(gradientOf(model, rows).map(BigInt), gradient);
    }
  }
});

test("the residual is the derivative of the loss up to its rounding", () => {
  // A step of 2^20 changes the loss by residual·2^20/2^26, within the rounding of c to 14 bits.
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 28), max: 2 ** 28 }), fc.nat(1), (z, label) => {
      const step = 2 ** 20;
      const rise = rowLoss(z + step, label) - rowLoss(z - step, label);
      const slope = (rowResidual(z, label) / 2 ** 26) * 2 * step;
      assert.ok(Math.abs(rise - slope) <= 2 ** 16, `${rise} ${slope}`);
    }),
  );
});

test("a row far on its right side has neither loss nor residual", () => {
  assert.equal(rowLoss(2 ** 25, 1), 0);
  assert.equal(rowResidual(2 ** 25, 1), 0);
  assert.equal(rowResidual(2 ** 25 - 1, 1), -1);
  assert.equal(rowLoss(-(2 ** 25), 0), 0);
  assert.equal(rowResidual(-(2 ** 25), 0), 0);
  assert.equal(rowResidual(1 - 2 ** 25, 0), 1);
});

test("a row far on its wrong side has a linear loss and a saturated residual", () => {
  assert.equal(rowLoss(-(2 ** 25), 1), 2 ** 25);
  assert.equal(rowLoss(-(2 ** 25) - 5, 1), 2 ** 25 + 5);
  assert.equal(rowResidual(-(2 ** 25), 1), -(2 ** 26));
  assert.equal(rowResidual(-(2 ** 25) - 1, 1), -(2 ** 26));
  assert.equal(rowResidual(2 ** 25 + 1, 0), 2 ** 26);
});

test("active rows are those with a residual, correct rows those on their label's side", () => {
  const rows = { features: 1, x: Int16Array.from([2047, 1, -1, -2048]), y: Uint8Array.from([1, 1, 0, 0]) };
  const model = [2 ** 20, 0];
  assert.equal(activeRowsOf(model, rows), 2);
  assert.equal(correctRowsOf(model, rows), 4);
  assert.equal(correctRowsOf([0, 0], rows), 2, "z = 0 says 0");
});

test("rows and models outside their ranges are told apart", () => {
  const y = Uint8Array.from([1]);
  assert.ok(rowsValid({ features: 2, x: Int16Array.from([FEATURE_MIN, FEATURE_MAX]), y }));
  assert.ok(!rowsValid({ features: 2, x: Int16Array.from([FEATURE_MIN - 1, 0]), y }));
  assert.ok(!rowsValid({ features: 2, x: Int16Array.from([0, FEATURE_MAX + 1]), y }));
  assert.ok(!rowsValid({ features: 2, x: Int16Array.from([0, 0, 0]), y }));
  assert.ok(!rowsValid({ features: 2, x: Int16Array.from([0, 0]), y: Uint8Array.from([2]) }));
  assert.ok(modelValid([WEIGHT_MIN, WEIGHT_MAX], 1));
  assert.ok(!modelValid([WEIGHT_MIN - 1, 0], 1));
  assert.ok(!modelValid([0, WEIGHT_MAX + 1], 1));
  assert.ok(!modelValid([0.5, 0], 1));
  assert.ok(!modelValid([0], 1));
  assert.equal(clampWeight(WEIGHT_MAX + 1), WEIGHT_MAX);
  assert.equal(clampWeight(WEIGHT_MIN - 1), WEIGHT_MIN);
});

test("signed integers survive the way through the field", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }), (value) => {
      const element = toField(value);
      assert.ok(element >= 0n && element < FIELD_ORDER);
      assert.equal(fromField(element), value);
    }),
  );
  assert.equal(toField(-0), 0n);
});

test("public inputs come in the circuit's order, the bias last", () => {
  const inputs = publicInputs({
    task: 1n,
    epoch: 2,
    podId: 3n,
    dataRoot: 4n,
    batchIndex: 5,
    model: [6, -7, 8],
  });
  assert.deepEqual(inputs, [1n, 2n, 3n, 4n, 5n, 6n, FIELD_ORDER - 7n, 8n]);
  assert.equal(inputs.length, inputsCount({ ...shapeOf("gradient-4x2"), features: 2 }));
});

test("a model beyond 24 bits never becomes public inputs", () => {
  const inputs = { task: 1n, epoch: 2, podId: 3n, dataRoot: 4n, batchIndex: 5 };
  assert.throws(() => publicInputs({ ...inputs, model: [2 ** 23, 0] }), /24 bits/);
  assert.throws(() => publicInputs({ ...inputs, podId: FIELD_ORDER, model: [0, 0] }), /canonical/);
});

test("outputs are read back as they were computed, at the bounds too", () => {
  const shape = shapeOf("gradient-4x2");
  const most = gradientMax(shape);
  const gradient = [most, -most, -shape.rows * 2 ** 34];
  const outputs = [5n, 6n, ...gradient.map(toField)];
  assert.equal(outputs.length, outputsCount(shape));
  assert.deepEqual(parseOutputs(shape, outputs), { nullifier: 5n, dataTag: 6n, gradient });
});

test("outputs one step beyond their bounds are refused with the position", () => {
  const shape = shapeOf("gradient-4x2");
  const most = BigInt(gradientMax(shape));
  const biasMost = BigInt(shape.rows) * 2n ** 34n;
  const good = [5n, 6n, 0n, 0n, 0n];
  const faultOf = (position: number, value: bigint) => {
    const checked = checkOutputs(shape, good.with(position, value));
    return "code" in checked ? `${checked.code}@${checked.data.output}` : "none";
  };
  assert.equal(faultOf(2, most + 1n), "submission/output-out-of-range@2");
  assert.equal(faultOf(3, FIELD_ORDER - most - 1n), "submission/output-out-of-range@3");
  assert.equal(faultOf(4, biasMost + 256n), "submission/output-out-of-range@4");
  assert.equal(faultOf(4, 255n), "submission/output-out-of-range@4");
  assert.equal(faultOf(0, FIELD_ORDER), "submission/signal-out-of-field@0");
  assert.equal(faultOf(1, -1n), "submission/signal-out-of-field@1");
  assert.equal(faultOf(2, FIELD_ORDER + 1n), "submission/signal-out-of-field@2");
  assert.deepEqual(checkOutputs(shape, good.slice(1)), {
    code: "submission/outputs-count",
    data: { output: 4 },
  });
  assert.throws(() => parseOutputs(shape, []), FaultError);
});

test("every shape's gradient fits an int64 with room for 2^18 of them", () => {
  for (const shape of SHAPES) assert.ok(gradientMax(shape) < 2 ** 45);
});

test("an unknown shape is a fault", () => {
  assert.throws(() => shapeOf("gradient-1x1"), { code: "circuit/unknown" });
});
