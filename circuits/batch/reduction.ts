/**
 * Sums of products of field elements (limbs.ts) and their reductions, as WebAssembly instructions that work on
 * two elements at a time, one in each lane of a vector register. Called by kernels.ts.
 *
 * Products of doubles. A fused multiply-add computes a·b + c and rounds once, so with c = 3·2^102 the sum's
 * unit in the last place is 2^51, and its bits, read as an integer, hold the upper half of a·b; with that
 * half taken away exactly, a second one leaves the lower half. Both are summed as 64-bit integers; the bits of
 * the constants are taken off once, at the start of an accumulator. It holds as long as |a·b| ≤ 2^102, which
 * for a sum of j and a sum of k normal elements is j·k ≤ 4. (Emmart, Zheng, Weems, "Faster modular
 * exponentiation using double precision floating point arithmetic on the GPU", 2018, for round to nearest.)
 *
 * Reduction. Montgomery's, a limb at a time: the first four limbs are cleared by a multiple of p whose lowest
 * limb is −1, which needs no quotient; the last by p itself. The result is within ±2.5 p; a multiple of p,
 * estimated from the top limb, makes it normal. So the values of what goes into one reduction are bounded:
 * 0.095·Σ j·k over its products + units of the addend / 2 + 1 < 2.5.
 */

import { type FunctionWriter, type Local, writeFunction } from "./assembler.ts";
import { LIMB_BITS, LIMBS, type Modulus } from "./limbs.ts";

/** Pushes limb i of an operand. */
export type Operand = (limb: number) => void;
type Product = { readonly a: Operand; readonly b: Operand; readonly negative?: boolean };

const HIGH = 3 * 2 ** 102;
const LOW = 3 * 2 ** 51;
const TWO_52 = 2 ** 52;
/** Added to accumulators so that they are never negative when shifted. */
const OFFSET = 1n << 60n;
const CARRIED = OFFSET >> BigInt(LIMB_BITS);
const MASK = (1n << BigInt(LIMB_BITS)) - 1n;
/** Added before a limb is split, so that the part that stays is balanced. */
const HALF = 1n << BigInt(LIMB_BITS - 1);
const ACCUMULATORS = 2 * LIMBS;

export const bitsOf = (value: number): bigint => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};

/** Constants in the module's memory, each in both lanes. */
export function createConstants(at: number) {
  const offsets = new Map<bigint, number>();
  return {
    bits: (value: bigint): number => {
      const word = BigInt.asUintN(64, value);
      const offset = offsets.get(word) ?? at + 16 * offsets.size;
      offsets.set(word, offset);
      return offset;
    },
    entries: (): readonly (readonly [bigint, number])[] => [...offsets],
  };
}
export type Constants = ReturnType<typeof createConstants>;

/** With the field that all reductions of the module are in. */
export const createPool = (at: number, modulus: Modulus) => ({ modulus, ...createConstants(at) });

export type Pool = ReturnType<typeof createPool>;

const pushConstant = (w: FunctionWriter, pool: Pool, value: bigint): void => {
  w.constant(0);
  w.load(pool.bits(value));
};
export const pushDouble = (w: FunctionWriter, pool: Pool, value: number): void =>
  pushConstant(w, pool, bitsOf(value));

/** One reduction of a sum of products. `locals` are shared by all reductions of a function. */
type Locals = {
  readonly high: Local;
  readonly lowAndHigh: Local;
  readonly a: Local;
  readonly b: Local;
  readonly upper: Local;
  readonly accumulators: readonly Local[];
};

export const dotLocals = (w: FunctionWriter, pool: Pool): Locals => {
  const locals = {
    high: w.local("v128"),
    lowAndHigh: w.local("v128"),
    a: w.local("v128"),
    b: w.local("v128"),
    upper: w.local("v128"),
    accumulators: Array.from({ length: ACCUMULATORS }, () => w.local("v128")),
  };
  pushDouble(w, pool, HIGH);
  w.set(locals.high);
  pushDouble(w, pool, HIGH + LOW);
  w.set(locals.lowAndHigh);
  return locals;
};

/**
 * Emits Σ ±aᵢ·bᵢ (+ addend) reduced; `store` is called with each limb and what pushes it. `initial` holds the
 * accumulators' starting values; returned are those that it should have held (see dot()).
 */
function emitDot(
  w: FunctionWriter,
  pool: Pool,
  locals: Locals,
  initial: readonly bigint[],
  { products, addend, store }: Dot,
): bigint[] {
  const { modulus } = pool;
  const biases = new Array<bigint>(ACCUMULATORS).fill(0n);
  const touched = new Set<number>();
  const accumulate = (at: number, bias: bigint, push: () => void): void => {
    const accumulator = locals.accumulators[at] as Local;
    biases[at] = (biases[at] ?? 0n) - bias;
    if (touched.has(at)) w.get(accumulator);
    else pushConstant(w, pool, initial[at] ?? 0n);
    touched.add(at);
    push();
    w.op("i64Add");
    w.set(accumulator);
  };
  /** a (in its local) times b. */
  const multiply = (at: number, pushB: () => void, negative = false): void => {
    const fused = negative ? "f64Nmadd" : "f64Madd";
    accumulate(at + 1, bitsOf(HIGH), () => {
      w.get(locals.a);
      pushB();
      w.tee(locals.b);
      w.get(locals.high);
      w.op(fused);
      w.tee(locals.upper);
    });
    accumulate(at, bitsOf(LOW), () => {
      w.get(locals.a);
      w.get(locals.b);
      w.get(locals.lowAndHigh);
      w.get(locals.upper);
      w.op("f64Sub");
      w.op(fused);
    });
  };
  /** The low 51 bits of an accumulator as a double, less `subtrahend`. */
  const pushLow = (accumulator: Local, subtrahend: number): void => {
    w.get(accumulator);
    pushConstant(w, pool, MASK);
    w.op("and");
    pushDouble(w, pool, TWO_52);
    w.op("or");
    pushDouble(w, pool, TWO_52 + subtrahend);
    w.op("f64Sub");
  };
  const carry = (at: number): void => {
    biases[at] = (biases[at] ?? 0n) + OFFSET;
    accumulate(at + 1, CARRIED, () => {
      w.get(locals.accumulators[at] as Local);
      w.shiftRight(LIMB_BITS);
    });
  };

  for (let i = 0; i < LIMBS; i++) {
    for (const { a, b, negative } of products) {
      a(i);
      w.set(locals.a);
      for (let j = 0; j < LIMBS; j++) multiply(i + j, () => b(j), negative);
    }
    const lowest = locals.accumulators[i] as Local;
    pushLow(lowest, 0);
    if (i < LIMBS - 1) {
      w.set(locals.a);
      for (let j = 1; j <= LIMBS; j++) {
        multiply(i + j, () => pushDouble(w, pool, modulus.multipleLimbs[j] ?? 0));
      }
    } else {
      w.tee(locals.a);
      pushDouble(w, pool, Number(modulus.factor));
      w.get(locals.lowAndHigh);
      w.get(locals.a);
      pushDouble(w, pool, Number(modulus.factor));
      w.get(locals.high);
      w.op("f64Madd");
      w.op("f64Sub");
      w.op("f64Madd");
      pushDouble(w, pool, LOW);
      w.op("f64Sub");
      w.set(locals.a);
      for (let j = 0; j < LIMBS; j++) multiply(i + j, () => pushDouble(w, pool, modulus.limbs[j] ?? 0));
    }
    carry(i);
  }

  for (let i = 0; i < LIMBS; i++) {
    if (addend === undefined) continue;
    accumulate(LIMBS + i, bitsOf(LOW), () => {
      addend(i);
      pushDouble(w, pool, LOW);
      w.op("f64Add");
    });
  }
  // How often p is in the value, from the top limb.
  const top = locals.accumulators[ACCUMULATORS - 1] as Local;
  const quotient = locals.a;
  biases[ACCUMULATORS - 1] = (biases[ACCUMULATORS - 1] ?? 0n) + bitsOf(LOW);
  w.get(top);
  pushConstant(w, pool, bitsOf(LOW) + CARRIED); // what the two sums below bring is taken off already
  w.op("i64Add");
  pushDouble(w, pool, LOW);
  w.op("f64Sub");
  pushDouble(w, pool, Number(1n << BigInt(LIMB_BITS * (LIMBS - 1))) / Number(modulus.order));
  pushDouble(w, pool, LOW);
  w.op("f64Madd");
  pushDouble(w, pool, LOW);
  w.op("f64Sub");
  w.set(quotient);
  for (let i = 0; i < LIMBS; i++) {
    accumulate(LIMBS + i, bitsOf(LOW), () => {
      w.get(quotient);
      pushDouble(w, pool, modulus.limbs[i] ?? 0);
      pushDouble(w, pool, LOW);
      w.op("f64Nmadd");
    });
  }
  for (let i = 0; i < LIMBS - 1; i++) {
    const at = LIMBS + i;
    const accumulator = locals.accumulators[at] as Local;
    biases[at] = (biases[at] ?? 0n) + HALF;
    carry(at);
    store(i, () => pushLow(accumulator, Number(HALF)));
  }
  store(LIMBS - 1, () => {
    w.get(top);
    pushDouble(w, pool, LOW);
    w.op("f64Sub");
  });
  return biases;
}

export type Dot = {
  readonly products: readonly Product[];
  readonly addend?: Operand;
  readonly store: (limb: number, push: () => void) => void;
};

/** Emits a reduction; a trial finds what its accumulators have to start from. */
export function dot(w: FunctionWriter, pool: Pool, locals: Locals, it: (w: FunctionWriter) => Dot): void {
  const trial = writeFunction(16);
  const biases = emitDot(trial, createPool(0, pool.modulus), locals, [], it(trial));
  emitDot(w, pool, locals, biases, it(w));
}

/** Emits the carries and the multiple of p that make a sum of up to four units normal. */
export function emitNormal(w: FunctionWriter, pool: Pool, limbs: readonly Local[], temporary: Local): void {
  const { modulus } = pool;
  const round = (pushValue: () => void, scale: number): void => {
    pushValue();
    pushDouble(w, pool, scale);
    pushDouble(w, pool, LOW);
    w.op("f64Madd");
    pushDouble(w, pool, LOW);
    w.op("f64Sub");
    w.set(temporary);
  };
  const limb = (i: number): Local => limbs[i] as Local;
  round(() => w.get(limb(LIMBS - 1)), Number(1n << BigInt(LIMB_BITS * (LIMBS - 1))) / Number(modulus.order));
  for (let i = 0; i < LIMBS; i++) {
    w.get(temporary);
    pushDouble(w, pool, modulus.limbs[i] ?? 0);
    w.get(limb(i));
    w.op("f64Nmadd");
    w.set(limb(i));
  }
  for (let i = 0; i < LIMBS - 1; i++) {
    round(() => w.get(limb(i)), 2 ** -LIMB_BITS);
    w.get(temporary);
    pushDouble(w, pool, 2 ** LIMB_BITS);
    w.get(limb(i));
    w.op("f64Nmadd");
    w.set(limb(i));
    w.get(limb(i + 1));
    w.get(temporary);
    w.op("f64Add");
    w.set(limb(i + 1));
  }
}
