/**
 * The public inputs of a slot's proof, rebuilt from the state alone. Nothing a caller sends takes part:
 * an interface through which one could supply an input that the node should have computed must not exist.
 */

import { bigintsToBytes, concatBytes } from "../primitives/bytes.ts";
import { bytesToField, inputsHashOf, type Submission } from "../types/submission.ts";
import {
  checkOutputs,
  type GradientOutputs,
  type GradientShape,
  type OutputsFault,
  publicInputs,
  shapeOf,
} from "../work/gradient.ts";
import type { Slot, State, TaskView } from "./state.ts";
import { bytesText, fromInt32 } from "./state.ts";

export type SlotStatement = {
  readonly shape: GradientShape;
  readonly vkHash: Uint8Array;
  readonly inputs: readonly bigint[];
  /** The same, 32 bytes each. */
  readonly inputBytes: Uint8Array;
  readonly inputsHash: Uint8Array;
};

export function modelOf(task: { readonly model: { getAll(): number[] } }): number[] {
  return task.model.getAll().map(fromInt32);
}

/** Of a task, what a statement is made of. */
export type Asked = {
  readonly id: Uint8Array;
  readonly shape: Uint8Array;
  readonly vkHash: Uint8Array;
  readonly model: { getAll(): number[] };
};

/** What a submission for this slot must prove in this epoch. */
export function statementOf(state: State, task: TaskView, slot: Slot): SlotStatement {
  return statementFor(task, state.epoch, slot);
}

/** The same for any epoch, given what its model was. */
export function statementFor(task: Asked, epoch: number, slot: Slot): SlotStatement {
  const inputs = publicInputs({
    task: bytesToField(task.id),
    epoch,
    podId: bytesToField(slot.podId),
    dataRoot: bytesToField(slot.dataRoot),
    batchIndex: slot.batchIndex,
    model: modelOf(task),
  });
  return {
    shape: shapeOf(bytesText(task.shape)),
    vkHash: task.vkHash,
    inputs,
    inputBytes: bigintsToBytes(inputs, 32),
    inputsHash: inputsHashOf(task.vkHash, inputs),
  };
}

/** Outputs then inputs, 32 bytes each: what a submission's proof is verified against. */
export const signalsOf = ({ outputs }: Submission, { inputBytes }: SlotStatement): Uint8Array =>
  concatBytes(...outputs, inputBytes);

type Outputs = {
  readonly shape: GradientShape;
  readonly fields: readonly bigint[];
  readonly read: GradientOutputs | OutputsFault;
};
const outputsRead = new WeakMap<Submission, Outputs>();

/**
 * A submission's outputs as field elements, and what they say in the statement's shape. Remembered beside the
 * submission, which nobody changes: admission asks, and so do a block's checks and its execution.
 */
export function outputsOf(submission: Submission, shape: GradientShape): Outputs {
  const known = outputsRead.get(submission);
  if (known !== undefined && known.shape === shape) return known;
  const fields = submission.outputs.map(bytesToField);
  const made = { shape, fields, read: checkOutputs(shape, fields) };
  outputsRead.set(submission, made);
  return made;
}
