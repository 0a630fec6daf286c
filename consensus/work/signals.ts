/**
 * A proof's public signals as bytes, 32 little-endian each: what gradient.ts says in big integers, said of the bytes
 * that come in and go to the verifier. A node looks at a hundred thousand of them in a burst, and an integer of 32
 * bytes is a piece of memory of its own. Tests hold both equal. Called by consensus/state.
 */
import { invariant } from "../primitives/faults.ts";
import {
  FIELD_ORDER,
  type GradientShape,
  gradientBounds,
  modelValid,
  OUTPUTS_FIXED,
  type OutputsFault,
  outputsCount,
} from "./gradient.ts";

const BYTES = 32;
const ORDER = Uint8Array.from({ length: BYTES }, (_, i) => Number((FIELD_ORDER >> BigInt(8 * i)) & 0xffn));
const wordAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)) >>>
  0;
const [ORDER_LOW, ORDER_NEXT] = [wordAt(ORDER, 0), wordAt(ORDER, 4)];
const WORD = 2 ** 32;

/** Whether the element at this place is below r. */
export function isCanonicalAt(bytes: Uint8Array, at: number): boolean {
  for (let i = BYTES - 1; i >= 0; i--) {
    const difference = (bytes[at + i] ?? 0) - (ORDER[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/**
 * The signed integer nearest to zero that the element at this place stands for, if it is one of less than 2^53;
 * otherwise NaN. The element is canonical.
 */
function smallAt(bytes: Uint8Array, at: number): number {
  const isNegative = bytes[at + BYTES - 1] !== 0;
  // All but 64 bits are those of zero or of r: r's last 64 bits are more than 2^53, so nothing is borrowed from above.
  for (let i = 8; i < BYTES; i++) if (bytes[at + i] !== (isNegative ? ORDER[i] : 0)) return Number.NaN;
  const low = wordAt(bytes, at);
  const next = wordAt(bytes, at + 4);
  const value = isNegative ? (next - ORDER_NEXT) * WORD + (low - ORDER_LOW) : next * WORD + low;
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

/** As checkOutputs in gradient.ts: what the outputs say, or what is wrong with the first that is. */
export function readOutputs(shape: GradientShape, outputs: Uint8Array): readonly number[] | OutputsFault {
  const count = outputsCount(shape);
  if (outputs.length !== BYTES * count) {
    return { code: "submission/outputs-count", data: { output: Math.ceil(outputs.length / BYTES) } };
  }
  for (let i = 0; i < count; i++) {
    if (!isCanonicalAt(outputs, BYTES * i))
      return { code: "submission/signal-out-of-field", data: { output: i } };
  }
  const { ofFeature, ofBias, biasStep } = gradientBounds(shape);
  const gradient: number[] = [];
  for (let i = OUTPUTS_FIXED; i < count; i++) {
    const value = smallAt(outputs, BYTES * i);
    const isBias = i === count - 1;
    const isInRange =
      Math.abs(value) <= (isBias ? ofBias : ofFeature) && (!isBias || Math.abs(value) % biasStep === 0);
    if (!isInRange) return { code: "submission/output-out-of-range", data: { output: i } };
    gradient.push(value);
  }
  return gradient;
}

/** What all slots of a round have in common. */
export type RoundInputs = {
  readonly task: Uint8Array;
  readonly epoch: number;
  readonly model: readonly number[];
};
export type SlotInputs = {
  readonly podId: Uint8Array;
  readonly dataRoot: Uint8Array;
  readonly batchIndex: number;
};
/** task and epoch, which stand before what is the slot's own. */
export const INPUTS_COMMON_BYTES = 2 * BYTES;
const SLOTS_TOGETHER = 16;
const [POD_AT, DATA_AT, BATCH_AT, MODEL_AT] = [2 * BYTES, 3 * BYTES, 4 * BYTES, 5 * BYTES];

const isCanonical = (element: Uint8Array): boolean => element.length === BYTES && isCanonicalAt(element, 0);
const putNumber = (into: Uint8Array, at: number, value: number): void => {
  for (let i = at, rest = value; rest > 0; i++, rest = Math.floor(rest / 256)) into[i] = rest % 256;
};

/** As publicInputs in gradient.ts: of a round, what gives the inputs of its slots. */
export function inputsOfRound({ task, epoch, model }: RoundInputs): (slot: SlotInputs) => Uint8Array {
  invariant(isCanonical(task), "inputs are canonical");
  // The circuit is sound for weights of 24 bits only, and counts on this.
  invariant(modelValid(model, model.length - 1), "a model's weights have 24 bits");
  const common = new Uint8Array(MODEL_AT + BYTES * model.length);
  common.set(task, 0);
  putNumber(common, BYTES, epoch);
  for (const [i, weight] of model.entries()) {
    const at = MODEL_AT + BYTES * i;
    if (weight < 0) {
      common.set(ORDER, at);
      // r's last word is larger than any weight: nothing is borrowed from the next one.
      const low = ORDER_LOW + weight;
      common.fill(0, at, at + 4);
      putNumber(common, at, low);
    } else putNumber(common, at, weight);
  }
  // Slots of a round are asked for together: some have their bytes in one piece of memory.
  let room = new Uint8Array();
  return ({ podId, dataRoot, batchIndex }) => {
    invariant(isCanonical(podId) && isCanonical(dataRoot), "inputs are canonical");
    if (room.length === 0) room = new Uint8Array(SLOTS_TOGETHER * common.length);
    const inputs = room.subarray(0, common.length);
    room = room.subarray(common.length);
    inputs.set(common);
    inputs.set(podId, POD_AT);
    inputs.set(dataRoot, DATA_AT);
    putNumber(inputs, BATCH_AT, batchIndex);
    return inputs;
  };
}
