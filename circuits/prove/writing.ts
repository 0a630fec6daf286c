/**
 * What kernels are written with: operands, loops over slots, elements in local variables. Called by kernels.ts,
 * butterflies.ts and node/ed25519.
 */

import { type FunctionWriter, type Local, type WrittenFunction, writeFunction } from "../batch/assembler.ts";
import { LIMBS } from "../batch/limbs.ts";
import type { Dot, Operand } from "../batch/reduction.ts";

export const at =
  (w: FunctionWriter, pointer: Local, offset = 0): Operand =>
  (limb) => {
    w.get(pointer);
    w.load(offset + 16 * limb);
  };
export const to =
  (w: FunctionWriter, pointer: Local, offset = 0): Dot["store"] =>
  (limb, push) => {
    w.get(pointer);
    push();
    w.store(offset + 16 * limb);
  };
export const advance = (w: FunctionWriter, pointer: Local, step: Local | number): void => {
  w.get(pointer);
  if (typeof step === "number") w.constant(step);
  else w.get(step);
  w.addI32();
  w.set(pointer);
};
export const element = (w: FunctionWriter): readonly Local[] =>
  Array.from({ length: LIMBS }, () => w.local("v128"));
export const limbOf = (limbs: readonly Local[], i: number): Local => limbs[i] as Local;
/** What pushes an element's limbs. */
export const of =
  (w: FunctionWriter, limbs: readonly Local[]): Operand =>
  (limb) =>
    w.get(limbOf(limbs, limb));
export const into =
  (w: FunctionWriter, limbs: readonly Local[]): Dot["store"] =>
  (limb, push) => {
    push();
    w.set(limbOf(limbs, limb));
  };
export const each = (run: (limb: number) => void): void => {
  for (let limb = 0; limb < LIMBS; limb++) run(limb);
};
export const combined =
  (w: FunctionWriter, op: "f64Add" | "f64Sub", first: Operand, second: Operand): Operand =>
  (limb) => {
    first(limb);
    second(limb);
    w.op(op);
  };
/** A limb of two singles, the first in lane 0. */
export const pair =
  (w: FunctionWriter, first: Local, second: Local, offset: number): Operand =>
  (limb) => {
    w.get(second);
    w.get(first);
    w.loadFirst(offset + 8 * limb);
    w.loadSecond(offset + 8 * limb);
  };

/** A function of pointers and a count, which runs once a slot; `steps` says how far each pointer moves then. */
export function loop(
  steps: readonly number[],
  body: (w: FunctionWriter, pointers: readonly Local[]) => () => void,
): WrittenFunction {
  const w = writeFunction(steps.length + 1);
  const pointers = steps.map((_, i) => w.parameter(i));
  const step = body(w, pointers);
  w.repeat(w.parameter(steps.length), () => {
    step();
    for (const [i, pointer] of pointers.entries()) advance(w, pointer, steps[i] ?? 0);
  });
  return w.finish();
}

export const parameters = (pointers: readonly Local[], i: number): Local => pointers[i] as Local;
