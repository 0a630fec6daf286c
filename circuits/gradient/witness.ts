/**
 * The private side of a gradient proof: the circuit's inputs from a pod's own data, and what the proof will
 * say. Called by pods before they prove; browser safe. Nothing here prints or throws a private value.
 */

import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import {
  activeRowsOf,
  type GradientShape,
  gradientOf,
  publicInputs,
  type Rows,
  rowsValid,
  toField,
} from "../../consensus/work/gradient.ts";
import { contentOf, dataTagOf, nullifierOf, podIdOf } from "../hash.ts";

/** Values by signal name; arrays flat, in the order of the circuit's indices. */
export type CircuitInputs = Readonly<Record<string, bigint | readonly bigint[]>>;

export type GradientJob = {
  readonly task: bigint;
  readonly epoch: number | bigint;
  /** features + 1 weights, the bias last. */
  readonly model: readonly number[];
  /** Of the pod's registered tree, see `merkleTree`. */
  readonly dataRoot: bigint;
  readonly batchIndex: number;
  readonly siblings: readonly bigint[];
  /** The whole batch at `batchIndex`. */
  readonly rows: Rows;
  readonly salt: bigint;
  readonly secret: bigint;
};

/**
 * The circuit's inputs.
 * @throws `circuit/batch-inactive` when too few rows have a residual: the slot lapses without fault
 */
export function gradientWitness(shape: GradientShape, job: GradientJob): CircuitInputs {
  const { rows, model } = job;
  invariant(rows.features === shape.features && rows.y.length === shape.rows, "the batch has the shape");
  invariant(rowsValid(rows), "the batch's values are in range");
  invariant(job.siblings.length === shape.depth, "a path has a sibling for every level");
  const active = activeRowsOf(model, rows);
  if (active < shape.minActive) {
    throw new FaultError("circuit/batch-inactive", { active, required: shape.minActive });
  }
  return {
    task: job.task,
    epoch: BigInt(job.epoch),
    podId: podIdOf(job.secret),
    dataRoot: job.dataRoot,
    batchIndex: BigInt(job.batchIndex),
    w: model.map(toField),
    secret: job.secret,
    salt: job.salt,
    x: Array.from(rows.x, toField),
    y: Array.from(rows.y, BigInt),
    siblings: job.siblings,
  };
}

/** The outputs that the circuit will give: nullifier, data tag, gradient. */
export function gradientOutputs(job: GradientJob): bigint[] {
  const content = contentOf(job.rows);
  return [
    nullifierOf(job),
    dataTagOf(content, job.task, job.epoch),
    ...gradientOf(job.model, job.rows).map(toField),
  ];
}

/** All public signals of the job's proof, in the circuit's order: what a pod compares its proof with. */
export function gradientSignals(job: GradientJob): bigint[] {
  return [...gradientOutputs(job), ...publicInputs({ ...job, podId: podIdOf(job.secret) })];
}
