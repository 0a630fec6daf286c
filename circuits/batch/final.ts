/**
 * Whether products of Miller loops are products of pairings equal to 1: the final exponentiation. Called by
 * equation.ts.
 *
 * The easy part is f^((p⁶−1)(p²+1)); the hard one is Fuentes-Castañeda, Knapp and Rodríguez-Henríquez's
 * ("Faster hashing to G2", 2011) for BN curves: a multiple of (p⁴ − p² + 1)/r whose other factor r does not
 * divide, so that the result is 1 for the same f. test/circuits/batch.test.ts computes that.
 */

import { CURVE_X } from "./curve.ts";
import type { Field, Register } from "./field.ts";
import type { Fp12 } from "./fp12.ts";
import { createFrobenius } from "./miller.ts";
import type { Inverter } from "./powers.ts";

/** x in digits 0, ±1, ±3, from the highest: of four one is not 0. */
export const X_DIGITS: readonly number[] = (() => {
  const digits: number[] = [];
  for (let rest = CURVE_X; rest > 0n; rest >>= 1n) {
    const low = Number(rest % 8n);
    const digit = low % 2 === 0 ? 0 : low < 4 ? low : low - 8;
    digits.push(digit);
    rest -= BigInt(digit);
  }
  return digits.reverse();
})();

export function createFinal(field: Field, fp12: Fp12, inverter: Inverter) {
  const { mul, sqrCyclotomic: sqr, conjugate } = fp12;
  const frobenius = createFrobenius(field, fp12);
  const registers = Array.from({ length: 16 }, () => fp12.allocate());
  const y = (i: number): Register => registers[i] ?? 0;
  const [r, t, swapped] = [fp12.allocate(), fp12.allocate(), fp12.allocate()];
  /** What x's digits name: 1 and 3, then their negatives. */
  const table = [1, 3, -1, -3].map((digit) => ({ digit, register: fp12.allocate() }));
  const [one, three] = [table[0]?.register ?? 0, table[1]?.register ?? 0];
  const powers = X_DIGITS.map((digit) => table.find((entry) => entry.digit === digit)?.register);

  /** f^(−x) of an f of order p⁴ − p² + 1, whose inverse is its conjugate. */
  const powMinusX = (d: Register, a: Register, n: number): void => {
    fp12.copy(one, a, n);
    sqr(three, a, n);
    mul(three, three, a, n);
    for (const i of [0, 1]) conjugate(table[i + 2]?.register ?? 0, table[i]?.register ?? 0, n);
    fp12.copy(d, powers[0] ?? 0, n);
    for (const power of powers.slice(1)) {
      sqr(d, d, n);
      if (power !== undefined) mul(d, d, power, n);
    }
    conjugate(d, d, n);
  };

  /** Leaves f's power in t. */
  const exponentiate = (f: Register, n: number): void => {
    fp12.invert(r, f, inverter, n);
    conjugate(t, f, n);
    mul(t, t, r, n);
    frobenius(r, t, 2, n);
    mul(r, r, t, n);

    powMinusX(y(0), r, n);
    sqr(y(1), y(0), n);
    sqr(y(2), y(1), n);
    mul(y(3), y(2), y(1), n);
    powMinusX(y(4), y(3), n);
    sqr(y(5), y(4), n);
    powMinusX(y(6), y(5), n);
    conjugate(y(3), y(3), n);
    conjugate(y(6), y(6), n);
    mul(y(7), y(6), y(4), n);
    mul(y(8), y(7), y(3), n);
    mul(y(9), y(8), y(1), n);
    mul(y(10), y(8), y(4), n);
    mul(y(11), y(10), r, n);
    frobenius(t, y(9), 1, n);
    mul(y(13), t, y(11), n);
    frobenius(t, y(8), 2, n);
    mul(y(14), t, y(13), n);
    conjugate(r, r, n);
    mul(y(15), r, y(9), n);
    frobenius(t, y(15), 3, n);
    mul(t, t, y(14), n);
  };

  return {
    /** Of the product of both elements of f's first slot. */
    ofBoth: (f: Register): boolean => {
      for (let part = 0; part < 12; part++) {
        const offset = part * field.partBytes;
        for (const lane of [0, 1]) field.move(swapped + offset, lane, f + offset, 1 - lane);
      }
      mul(swapped, swapped, f, 1);
      exponentiate(swapped, 1);
      return fp12.isOne(t, 0) && fp12.isOne(t, 1);
    },
    /** Of each of the first `count` elements. */
    ofEach: (f: Register, count: number): boolean[] => {
      exponentiate(f, Math.ceil(count / 2));
      return Array.from({ length: count }, (_, i) => fp12.isOne(t, i));
    },
  };
}
