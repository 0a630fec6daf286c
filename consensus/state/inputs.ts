/**
 * The public inputs of a slot's proof, rebuilt from the state alone. Nothing a caller sends takes part:
 * an interface through which one could supply an input that the node should have computed must not exist.
 */

import { hashAfter } from "../primitives/hash.ts";
import { type GradientShape, shapeOf } from "../work/gradient.ts";
import { INPUTS_COMMON_BYTES, inputsOfRound } from "../work/signals.ts";
import type { Slot, State, TaskView } from "./state.ts";
import { bytesText, fromInt32 } from "./state.ts";

export type SlotStatement = {
  readonly shape: GradientShape;
  readonly vkHash: Uint8Array;
  /** Field elements of 32 bytes, little-endian, one after the other. */
  readonly inputs: Uint8Array;
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
  return statementsFor(task, state.epoch)(slot);
}

/** The same for any epoch, given what its model was; what the slots of a round share is looked up once. */
export function statementsFor(task: Asked, epoch: number): (slot: Slot) => SlotStatement {
  const shape = shapeOf(bytesText(task.shape));
  const { id, vkHash } = task;
  const inputsOf = inputsOfRound({ task: id, epoch, model: modelOf(task) });
  let hashOf: ((own: Uint8Array) => Uint8Array) | undefined;
  return (slot) => {
    const inputs = inputsOf(slot);
    // inputsHashOf of the key and all inputs, of which the first are the round's.
    hashOf ??= hashAfter("inputs", vkHash, inputs.subarray(0, INPUTS_COMMON_BYTES));
    return { shape, vkHash, inputs, inputsHash: hashOf(inputs.subarray(INPUTS_COMMON_BYTES)) };
  };
}
