/**
 * Numbers modulo p = 2^255 − 19 as WebAssembly instructions, two at a time, one in each lane of a vector
 * register. Called by kernels.ts. Products of doubles are taken apart as circuits/batch/reduction.ts says; what
 * differs is the reduction, because 2^255 = 19 here.
 *
 * A number has five limbs, doubles that are integers of either sign: Σ limbᵢ · 2^(51·i). *Tight* limbs are
 * within ±(2^50 + 2^13). All that is stored is tight; sums and differences of two tight numbers, which are
 * within ±(2^51 + 2^14), are factors only.
 *
 * Products. With |a·b| ≤ 2^102 a fused multiply-add splits a·b exactly into upper · 2^51 + lower, |lower| ≤
 * 2^50 and |upper| ≤ 2^51. The limbs of a sum of two times tight ones are below 2 · (2^50 + 2^13)² < 2^101.1:
 * at most *one* factor may be such a sum, or the double of a tight number.
 *
 * Columns. Lower parts of aᵢ·bⱼ belong to column i + j, upper ones to i + j + 1; they are added as 64-bit
 * integers, with the bits of the constants in them, which are taken off at the end (arithmetic modulo 2^64, so
 * it does not matter when). Column i + 5 counts 19 times in column i. With upper parts up to 2^50.1, the most is
 * in column 0: one lower part, and 19 times the four lower and five upper ones of column 5, 172 · 2^50.1 <
 * 2^57.6. No formula of kernels.ts sums more than two of these, or four columns of squares, which have at most
 * 1 + 19 · 5 parts: all are within ±2^59.
 *
 * Settling. Each column, plus 2^60 and 2^50, is cut at bit 51; what is above, within ±2^8 once 2^60 is taken
 * off, goes to the next limb, and from the highest 19 times to the lowest. All at once, without a chain: a limb
 * is what stays, within ±2^50, and at most 19 · 2^8 < 2^13 more.
 */

import type { FunctionWriter, Local } from "../../circuits/batch/assembler.ts";
import { LIMB_BITS, LIMBS } from "../../circuits/batch/limbs.ts";
import { bitsOf, type Constants } from "../../circuits/batch/reduction.ts";
import { each, element, limbOf } from "../../circuits/prove/writing.ts";

const HIGH = 3 * 2 ** 102;
const LOW = 3 * 2 ** 51;
const TWO_52 = 2 ** 52;
const OFFSET = 1n << 60n;
const CARRIED = 2 ** (60 - LIMB_BITS);
const MASK = (1n << BigInt(LIMB_BITS)) - 1n;
const HALF = 2 ** (LIMB_BITS - 1);
const FOLD = 19;

/** An element in local variables. */
export type Limbs = readonly Local[];
/** What pushes an element's limbs. */
export type Operand = (limb: number) => void;
/** Five columns, in locals, each with more in it than it means. */
export type Columns = { readonly locals: readonly Local[]; readonly excess: readonly bigint[] };
export type Store = (limb: number, push: () => void) => void;

export type Arithmetic = ReturnType<typeof createArithmetic>;

/** To be called once a function, outside its loops. */
export function createArithmetic(w: FunctionWriter, pool: Constants) {
  const push = (value: bigint): void => {
    w.constant(0);
    w.load(pool.bits(value));
  };
  const pushDouble = (value: number): void => push(bitsOf(value));
  const [high, lowAndHigh, upper] = [w.local("v128"), w.local("v128"), w.local("v128")];
  pushDouble(HIGH);
  w.set(high);
  pushDouble(HIGH + LOW);
  w.set(lowAndHigh);

  /** Times 19, of what is in a local. */
  const pushFolded = (local: Local): void => {
    w.get(local);
    w.get(local);
    w.shiftLeft(1);
    w.op("i64Add");
    w.get(local);
    w.shiftLeft(4);
    w.op("i64Add");
  };

  const fold = (terms: (multiply: (at: number, a: Local, b: Local) => void) => void): Columns => {
    const columns = Array.from({ length: 2 * LIMBS }, () => w.local("v128"));
    const excess = new Array<bigint>(2 * LIMBS).fill(0n);
    const accumulate = (at: number, bits: bigint): void => {
      const column = columns[at] as Local;
      if (excess[at] !== 0n) {
        w.get(column);
        w.op("i64Add");
      }
      w.set(column);
      excess[at] = (excess[at] ?? 0n) + bits;
    };
    terms((at, a, b) => {
      w.get(a);
      w.get(b);
      w.get(high);
      w.op("f64Madd");
      w.tee(upper);
      accumulate(at + 1, bitsOf(HIGH));
      w.get(a);
      w.get(b);
      w.get(lowAndHigh);
      w.get(upper);
      w.op("f64Sub");
      w.op("f64Madd");
      accumulate(at, bitsOf(LOW));
    });
    each((i) => {
      pushFolded(columns[i + LIMBS] as Local);
      w.get(columns[i] as Local);
      w.op("i64Add");
      w.set(columns[i] as Local);
    });
    return {
      locals: columns.slice(0, LIMBS),
      excess: Array.from({ length: LIMBS }, (_, i) => {
        return (excess[i] ?? 0n) + BigInt(FOLD) * (excess[i + LIMBS] ?? 0n);
      }),
    };
  };

  const carried = Array.from({ length: LIMBS }, () => w.local("v128"));
  const doubled = element(w);

  return {
    /** An element into locals. */
    take: (operand: Operand, to: Limbs = element(w)): Limbs => {
      each((i) => {
        operand(i);
        w.set(limbOf(to, i));
      });
      return to;
    },
    double:
      (a: Limbs): Operand =>
      (limb) => {
        w.get(limbOf(a, limb));
        w.get(limbOf(a, limb));
        w.op("f64Add");
      },
    product: (a: Limbs, b: Limbs): Columns =>
      fold((multiply) => each((i) => each((j) => multiply(i + j, limbOf(a, i), limbOf(b, j))))),
    /** Of a tight element. */
    square: (a: Limbs): Columns => {
      each((i) => {
        w.get(limbOf(a, i));
        w.get(limbOf(a, i));
        w.op("f64Add");
        w.set(limbOf(doubled, i));
      });
      return fold((multiply) =>
        each((i) =>
          each((j) => {
            if (j >= i) multiply(i + j, limbOf(a, i), limbOf(j > i ? doubled : a, j));
          }),
        ),
      );
    },
    /** An operand's limbs, within ±2^51.5, as columns. */
    columnsOf: (operand: Operand): Columns => {
      const locals = element(w);
      each((i) => {
        operand(i);
        pushDouble(LOW);
        w.op("f64Add");
        w.set(limbOf(locals, i));
      });
      return { locals, excess: new Array<bigint>(LIMBS).fill(bitsOf(LOW)) };
    },
    /** Sums and differences of columns, in locals of their own. */
    combine: (op: "i64Add" | "i64Sub", a: Columns, b: Columns): Columns => {
      const locals = element(w);
      each((i) => {
        w.get(a.locals[i] as Local);
        w.get(b.locals[i] as Local);
        w.op(op);
        w.set(limbOf(locals, i));
      });
      const sign = op === "i64Add" ? 1n : -1n;
      return { locals, excess: a.excess.map((bits, i) => bits + sign * (b.excess[i] ?? 0n)) };
    },
    /** Tight limbs of columns. */
    settle: ({ locals, excess }: Columns, store: Store): void => {
      each((i) => {
        w.get(locals[i] as Local);
        push(OFFSET + BigInt(HALF) - (excess[i] ?? 0n));
        w.op("i64Add");
        w.tee(locals[i] as Local);
        w.shiftRight(LIMB_BITS);
        w.set(carried[i] as Local);
      });
      each((i) => {
        store(i, () => {
          w.get(locals[i] as Local);
          push(MASK);
          w.op("and");
          if (i === 0) pushFolded(carried[LIMBS - 1] as Local);
          else w.get(carried[i - 1] as Local);
          w.op("i64Add");
          pushDouble(TWO_52);
          w.op("or");
          pushDouble(TWO_52 + HALF + (i === 0 ? FOLD : 1) * CARRIED);
          w.op("f64Sub");
        });
      });
    },
    /** Tight limbs of limbs within ±2^52. */
    tighten: (a: Limbs, store: Store): void => {
      each((i) => {
        w.get(limbOf(a, i));
        pushDouble(2 ** -LIMB_BITS);
        pushDouble(LOW);
        w.op("f64Madd");
        pushDouble(LOW);
        w.op("f64Sub");
        w.set(carried[i] as Local);
      });
      each((i) => {
        store(i, () => {
          w.get(carried[i] as Local);
          pushDouble(2 ** LIMB_BITS);
          w.get(limbOf(a, i));
          w.op("f64Nmadd");
          w.set(upper);
          w.get(carried[(i + LIMBS - 1) % LIMBS] as Local);
          pushDouble(i === 0 ? FOLD : 1);
          w.get(upper);
          w.op("f64Madd");
        });
      });
    },
    pushDouble,
    push,
  };
}
