/**
 * The public inputs of a slot's proof, rebuilt from the state alone. Nothing a caller sends takes part:
 * an interface through which one could supply an input that the node should have computed must not exist.
 */

import { bytesToField, inputsHashOf } from "../types/submission.ts";
import { type GradientShape, publicInputs, shapeOf } from "../work/gradient.ts";
import type { Slot, State, TaskView } from "./state.ts";
import { bytesText, fromInt32 } from "./state.ts";

export type SlotStatement = {
  readonly shape: GradientShape;
  readonly vkHash: Uint8Array;
  readonly inputs: readonly bigint[];
  readonly inputsHash: Uint8Array;
};

export function modelOf(task: { readonly model: { getAll(): number[] } }): number[] {
  return task.model.getAll().map(fromInt32);
}

/** What a submission for this slot must prove in this epoch. */
export function statementOf(state: State, task: TaskView, slot: Slot): SlotStatement {
  const inputs = publicInputs({
    task: bytesToField(task.id),
    epoch: state.epoch,
    podId: bytesToField(slot.podId),
    dataRoot: bytesToField(slot.dataRoot),
    batchIndex: slot.batchIndex,
    model: modelOf(task),
  });
  return {
    shape: shapeOf(bytesText(task.shape)),
    vkHash: task.vkHash,
    inputs,
    inputsHash: inputsHashOf(task.vkHash, inputs),
  };
}
