/**
 * The native twin of `circuits/gradient`: the same integers, in TypeScript.
 *
 * A pod calls it to know its gradient before it proves; a node calls it to rebuild a submission's public
 * inputs, to read its outputs, and to score models on opened rows. Tests hold it equal to the circuit.
 * Everything is an exact integer: `number` where the bounds below keep it under 2^53, `bigint` for field
 * elements. No hashing here: nodes need no Poseidon.
 *
 * | quantity | scale | bound |
 * | --- | --- | --- |
 * | feature x | 2^8 | 12 bits signed, so [−8, 8) |
 * | weight w, bias | 2^16 | 24 bits signed, so [−128, 128) |
 * | z = Σ w·x + bias·2^8 | 2^24 | (features + 1)·2^34 |
 * | p = clamp(z + 2^25, 0, 2^26) | 2^26 is 1 | 2^26 |
 * | residual r = p − y·2^26 | 2^26 is 1 | 2^26 |
 * | gradient g = Σ r·x | 2^34 | rows·2^37 |
 *
 * The bias is a weight whose feature is the constant 2^8, i.e. 1.0. So its gradient, Σ r·2^8, has the scale
 * of all others, and a step of the model treats all its entries alike.
 */

import { FaultError, invariant } from "../primitives/faults.ts";

/** Order r of BN254's scalar field: circuits compute modulo this prime. */
export const FIELD_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

export const FEATURE_BITS = 12;
export const WEIGHT_BITS = 24;
export const FEATURE_SCALE = 2 ** 8;
export const FEATURE_MIN = -(2 ** (FEATURE_BITS - 1));
export const FEATURE_MAX = 2 ** (FEATURE_BITS - 1) - 1;
export const WEIGHT_MIN = -(2 ** (WEIGHT_BITS - 1));
export const WEIGHT_MAX = 2 ** (WEIGHT_BITS - 1) - 1;

/** 1.0 of a residual and the width of the clamp; half of it is the clamp's offset. */
const CLAMP = 2 ** 26;
const CLAMP_HALF = 2 ** 25;
/** task, epoch, podId, dataRoot, batchIndex: the public inputs before the model. */
const INPUTS_FIXED = 5;
/** nullifier, dataTag: the outputs before the gradient. */
export const OUTPUTS_FIXED = 2;

/** The size parameters of one circuit of the template `gradient`. */
export type GradientShape = {
  readonly id: string;
  readonly template: "gradient";
  /** Rows of a batch. */
  readonly rows: number;
  readonly features: number;
  /** Depth of the data tree: a root holds 2^depth batches. */
  readonly depth: number;
  /** Rows with a non-zero residual below which the circuit refuses, because the gradient would disclose them. */
  readonly minActive: number;
  /** What a row of this shape counts in Q: about its share of proving work, 32 × 10 being 1. */
  readonly weight: number;
};

/** Active rows that a batch of a public shape needs. */
export const ACTIVE_ROWS_MIN = 8;

const shape = (rows: number, features: number, weight: number): GradientShape => ({
  id: `gradient-${rows}x${features}`,
  template: "gradient",
  rows,
  features,
  depth: 10,
  minActive: Math.min(ACTIVE_ROWS_MIN, rows / 4),
  weight,
});

/** The catalogue's shapes. The two small ones are for tests: on a public chain they would disclose rows. */
export const SHAPES: readonly GradientShape[] = [
  shape(4, 2, 1),
  shape(8, 4, 1),
  shape(32, 10, 1),
  shape(32, 30, 2),
];

/** @throws `circuit/unknown` */
export function shapeOf(id: string): GradientShape {
  const found = SHAPES.find((candidate) => candidate.id === id);
  if (found === undefined) throw new FaultError("circuit/unknown", { shape: id });
  return found;
}

export function shapeKnown(id: string): boolean {
  return SHAPES.some((candidate) => candidate.id === id);
}

/** Rows of features in Q8, row-major, and their labels, 0 or 1. */
export type Rows = { readonly features: number; readonly x: Int16Array; readonly y: Uint8Array };

/** Whether the lengths agree and every value is in range. The functions below take this as given. */
export function rowsValid({ features, x, y }: Rows): boolean {
  return (
    features > 0 &&
    x.length === y.length * features &&
    x.every((value) => value >= FEATURE_MIN && value <= FEATURE_MAX) &&
    y.every((label) => label <= 1)
  );
}

/** A weight after a step, saturated: a model in the state always stays in its 24 bits. */
export function clampWeight(weight: number): number {
  return Math.min(Math.max(weight, WEIGHT_MIN), WEIGHT_MAX);
}

/** Whether this is a model of so many features: that many weights and the bias, each in 24 bits. */
export function modelValid(model: readonly number[], features: number): boolean {
  return (
    model.length === features + 1 &&
    model.every((weight) => Number.isInteger(weight) && weight >= WEIGHT_MIN && weight <= WEIGHT_MAX)
  );
}

/** z of row `row` in Q24. The caller has checked the model: products are < 2^35, the sum < 2^53. */
export function scoreAt(model: readonly number[], { features, x }: Rows, row: number): number {
  let z = (model[features] ?? 0) * FEATURE_SCALE;
  const start = row * features;
  for (let j = 0; j < features; j++) z += (model[j] ?? 0) * (x[start + j] ?? 0);
  return z;
}

function checkModel(model: readonly number[], rows: Rows): void {
  invariant(modelValid(model, rows.features), "a model has features + 1 weights of 24 bits");
  invariant(rows.x.length === rows.y.length * rows.features, "rows are whole");
}

/** Modified Huber: with m = (2y−1)z, a = 2^25 − m and c = clamp(a, 0, 2^26), 2·(c≫14)² + max(0, a − 2^26). */
export function rowLoss(z: number, label: number): number {
  return marginLoss(label === 1 ? CLAMP_HALF - z : CLAMP_HALF + z);
}

/** The same of a. */
export function marginLoss(a: number): number {
  if (a <= 0) return 0;
  if (a >= CLAMP) return 2 ** 25 + (a - CLAMP);
  const c = a >> 14;
  return 2 * c * c;
}

/** The derivative of {@link rowLoss} by z, where 2^26 is 1: clamp(z + 2^25, 0, 2^26) − label·2^26. */
export function rowResidual(z: number, label: number): number {
  return Math.min(Math.max(z + CLAMP_HALF, 0), CLAMP) - label * CLAMP;
}

/** The summed loss in units of 2^−24, exact while it is below 2^53: 4,096 rows at the worst possible z. */
export function lossOf(model: readonly number[], rows: Rows): number {
  checkModel(model, rows);
  let sum = 0;
  for (let i = 0; i < rows.y.length; i++) sum += rowLoss(scoreAt(model, rows, i), rows.y[i] ?? 0);
  invariant(Number.isSafeInteger(sum), "the loss of so many rows passes 2^53");
  return sum;
}

/** The exact gradient of {@link lossOf}, features first, bias last, in units of 2^−34. */
export function gradientOf(model: readonly number[], rows: Rows): number[] {
  checkModel(model, rows);
  const { features, x, y } = rows;
  const gradient = new Array<number>(features + 1).fill(0);
  for (let i = 0; i < y.length; i++) {
    const residual = rowResidual(scoreAt(model, rows, i), y[i] ?? 0);
    if (residual === 0) continue;
    for (let j = 0; j < features; j++) {
      gradient[j] = (gradient[j] ?? 0) + residual * (x[i * features + j] ?? 0);
    }
    gradient[features] = (gradient[features] ?? 0) + residual * FEATURE_SCALE;
  }
  invariant(gradient.every(Number.isSafeInteger), "the gradient of so many rows passes 2^53");
  return gradient;
}

/** How many rows have a non-zero residual: below the shape's `minActive` a batch cannot be proved. */
export function activeRowsOf(model: readonly number[], rows: Rows): number {
  checkModel(model, rows);
  let active = 0;
  for (let i = 0; i < rows.y.length; i++) {
    if (rowResidual(scoreAt(model, rows, i), rows.y[i] ?? 0) !== 0) active++;
  }
  return active;
}

/** How many rows the model classifies as labelled; z > 0 says 1. For display only, it pays nobody. */
export function correctRowsOf(model: readonly number[], rows: Rows): number {
  checkModel(model, rows);
  let correct = 0;
  for (let i = 0; i < rows.y.length; i++) {
    if (scoreAt(model, rows, i) > 0 === (rows.y[i] === 1)) correct++;
  }
  return correct;
}

/** A signed integer as a field element: v mod r. */
export function toField(value: number | bigint): bigint {
  const v = BigInt(value);
  return v < 0n ? v + FIELD_ORDER : v;
}

/** The signed integer nearest to zero that a canonical field element stands for. */
export function fromField(element: bigint): bigint {
  invariant(element >= 0n && element < FIELD_ORDER, "a field element is canonical");
  return element > FIELD_ORDER / 2n ? element - FIELD_ORDER : element;
}

/** What a node reads from its state to rebuild a submission's public inputs. */
export type GradientInputs = {
  /** First 31 bytes of SHA-256(chain id, task id, template, verification key), big-endian. */
  readonly task: bigint;
  readonly epoch: number | bigint;
  readonly podId: bigint;
  readonly dataRoot: bigint;
  readonly batchIndex: number;
  /** features + 1 weights in Q16, the bias last. */
  readonly model: readonly number[];
};

/** The public inputs in the circuit's order. Signals of a proof are its outputs followed by these. */
export function publicInputs(inputs: GradientInputs): bigint[] {
  const { task, epoch, podId, dataRoot, batchIndex, model } = inputs;
  const signals = [task, BigInt(epoch), podId, dataRoot, BigInt(batchIndex)];
  invariant(
    signals.every((signal) => signal >= 0n && signal < FIELD_ORDER),
    "inputs are canonical",
  );
  // The circuit is sound for weights of 24 bits only, and counts on this.
  invariant(modelValid(model, model.length - 1), "a model's weights have 24 bits");
  return [...signals, ...model.map(toField)];
}

/** Public inputs of a shape: five and the model. */
export function inputsCount({ features }: GradientShape): number {
  return INPUTS_FIXED + features + 1;
}

/** Outputs of a shape: nullifier, data tag and the gradient. */
export function outputsCount({ features }: GradientShape): number {
  return OUTPUTS_FIXED + features + 1;
}

/** The largest magnitude of a feature's gradient: every row at the clamp, every value at −2^11. */
export function gradientMax({ rows }: GradientShape): number {
  return rows * CLAMP * -FEATURE_MIN;
}

/** The largest magnitudes of a gradient's entries; the bias' is Σ r·2^8, so a multiple of 2^8. */
export function gradientBounds(shape: GradientShape): {
  readonly ofFeature: number;
  readonly ofBias: number;
  readonly biasStep: number;
} {
  return {
    ofFeature: gradientMax(shape),
    ofBias: shape.rows * CLAMP * FEATURE_SCALE,
    biasStep: FEATURE_SCALE,
  };
}

export type GradientOutputs = {
  readonly nullifier: bigint;
  readonly dataTag: bigint;
  /** features + 1 entries in units of 2^−34, the bias last; each an exact integer of at most 45 bits signed. */
  readonly gradient: readonly number[];
};

/**
 * Reads a submission's outputs: as many as the shape has, each canonical, each in the circuit's range.
 * The error is one of `submission/outputs-count`, `signal-out-of-field`, `output-out-of-range`; a node
 * turns it into a verdict, so {@link checkOutputs} returns it instead.
 */
export function parseOutputs(shape: GradientShape, outputs: readonly bigint[]): GradientOutputs {
  const checked = checkOutputs(shape, outputs);
  if ("code" in checked) throw new FaultError(checked.code, checked.data);
  return checked;
}

export type OutputsFault = {
  readonly code:
    | "submission/outputs-count"
    | "submission/signal-out-of-field"
    | "submission/output-out-of-range";
  readonly data: { readonly output: number };
};

/** As {@link parseOutputs}, with the fault as data. */
export function checkOutputs(
  shape: GradientShape,
  outputs: readonly bigint[],
): GradientOutputs | OutputsFault {
  if (outputs.length !== outputsCount(shape)) {
    return { code: "submission/outputs-count", data: { output: outputs.length } };
  }
  const alias = outputs.findIndex((output) => output < 0n || output >= FIELD_ORDER);
  if (alias !== -1) return { code: "submission/signal-out-of-field", data: { output: alias } };
  const [nullifier = 0n, dataTag = 0n, ...elements] = outputs;
  const signed = elements.map(fromField);
  const wrong = signed.findIndex((value, j) => !gradientInRange(shape, value, j));
  if (wrong !== -1) {
    return { code: "submission/output-out-of-range", data: { output: wrong + OUTPUTS_FIXED } };
  }
  return { nullifier, dataTag, gradient: signed.map(Number) };
}

/** Whether the circuit can give this value as entry j. */
function gradientInRange(shape: GradientShape, value: bigint, j: number): boolean {
  const magnitude = value < 0n ? -value : value;
  const { ofFeature, ofBias, biasStep } = gradientBounds(shape);
  if (j < shape.features) return magnitude <= BigInt(ofFeature);
  return magnitude <= BigInt(ofBias) && magnitude % BigInt(biasStep) === 0n;
}
