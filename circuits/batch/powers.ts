/**
 * Powers and inverses on the vector machine. Called by the curve files and by ../prove/points.ts.
 */

import type { Field, Register } from "./field.ts";
import { createInverse } from "./inverse.ts";
import { SLOT_BYTES } from "./kernels.ts";
import { LIMBS } from "./limbs.ts";

const WINDOW_BITS = 4;

/** x ↦ x^exponent on registers: sliding windows over a table of odd powers. d may be a. */
export function createPower(field: Field, exponent: bigint) {
  const { mul } = field;
  const table = Array.from({ length: 1 << (WINDOW_BITS - 1) }, () => field.fp());
  const square = field.fp();
  /** Squarings, then a multiplication by the table's entry, −1 for none. */
  const program: (readonly [squarings: number, entry: number])[] = [];
  const bits = exponent.toString(2);
  for (let at = 0, squarings = 0; at < bits.length; ) {
    if (bits[at] === "0") {
      squarings++;
      at++;
      if (at === bits.length) program.push([squarings, -1]);
      continue;
    }
    const window = bits.slice(at, at + WINDOW_BITS).replace(/0+$/, "");
    program.push([squarings + window.length, Number.parseInt(window, 2) >> 1]);
    at += window.length;
    squarings = 0;
  }
  const [first, ...rest] = program;
  return (d: Register, a: Register, n: number): void => {
    field.copy(table[0] ?? 0, a, n);
    mul(square, a, a, n);
    for (let i = 1; i < table.length; i++) mul(table[i] ?? 0, table[i - 1] ?? 0, square, n);
    field.copy(d, table[first?.[1] ?? 0] ?? 0, n);
    for (const [squarings, entry] of rest) {
      for (let i = 0; i < squarings; i++) mul(d, d, d, n);
      if (entry >= 0) mul(d, d, table[entry] ?? 0, n);
    }
  };
}

/**
 * Inverses of the two normal elements of one slot, 0 for 0: those of their product, which inverse.ts finds,
 * times the other. It is tried by a multiplication; where there is none, Fermat's power is taken.
 */
export function createSlotInverter(field: Field) {
  const { mul, modulus } = field;
  const inverseOf = createInverse(modulus);
  const power = createPower(field, modulus.order - 2n);
  const slot = (): Register => field.allocate(SLOT_BYTES);
  const [swapped, found, rest, adjust] = [slot(), slot(), slot(), slot()];
  const limbs = new Float64Array(LIMBS);
  const write = (register: Register, each: ArrayLike<number>): void => {
    for (const lane of [0, 1]) field.writeLimbs(register, lane, each);
  };
  // (vR)⁻¹ has to become v⁻¹R: times R³, over R.
  write(adjust, modulus.elementLimbs(modulus.form ** 2n));

  return {
    /** Answers whether the power was not needed. */
    invert: (d: Register, a: Register): boolean => {
      field.move(swapped, 0, a, 1);
      field.move(swapped, 1, a, 0);
      mul(found, a, swapped, 1);
      if (inverseOf.invert(limbs, field.readLimbs(found, 0))) {
        write(found, limbs);
        mul(found, found, adjust, 1);
        mul(found, found, swapped, 1);
        mul(rest, found, a, 1);
        field.sub(rest, rest, field.one, 1);
        field.normal(rest, rest, 1);
        if (field.isZero(rest, 0) && field.isZero(rest, 1)) {
          field.copy(d, found, 1);
          return true;
        }
      }
      power(d, a, 1);
      return false;
    },
    /** Overwrites what the last inversion left. */
    wipe: (): void => {
      inverseOf.wipe();
      limbs.fill(0);
      for (const register of [swapped, found, rest]) write(register, limbs);
    },
  };
}

export type Inverter = ReturnType<typeof createInverter>;

/** Inverses of many elements at the price of one inversion and three products each. */
export function createInverter(field: Field) {
  const prefix = field.fp();
  const suffix = field.fp();
  const norm = field.fp();
  const slotInverter = createSlotInverter(field);
  const last = (register: Register, n: number): Register => field.slotAt(register, n - 1);

  /** Of normal elements of Fp; d may be a. Zeros become ones before; returned are their numbers. */
  const invert = (d: Register, a: Register, n: number): readonly number[] => {
    field.prefixProducts(prefix, a, n);
    const total = last(prefix, n);
    const zeros: number[] = [];
    if (field.isZero(total, 0) || field.isZero(total, 1)) {
      for (let element = 0; element < 2 * n; element++) {
        if (!field.isZero(a, element)) continue;
        zeros.push(element);
        field.move(a, element, field.one, 0);
      }
      field.prefixProducts(prefix, a, n);
    }
    slotInverter.invert(last(suffix, n), total);
    if (n > 1) {
      field.suffixProducts(suffix, a, n);
      field.mul(field.slotAt(d, 1), field.slotAt(suffix, 1), prefix, n - 1);
    }
    field.copy(d, suffix, 1);
    return zeros;
  };

  return {
    invert,
    /** Of elements of Fp2 of at most two units; d may be a. */
    invert2: (d: Register, a: Register, n: number): readonly number[] => {
      field.norm2(norm, a, n);
      const zeros = invert(norm, norm, n);
      field.conjugate2(d, a, n);
      field.scale2(d, d, norm, n);
      return zeros;
    },
  };
}
