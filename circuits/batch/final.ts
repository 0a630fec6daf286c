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

export function createFinal(field: Field, fp12: Fp12, inverter: Inverter) {
  const { mul, sqr, conjugate } = fp12;
  const frobenius = createFrobenius(field, fp12);
  const registers = Array.from({ length: 16 }, () => fp12.allocate());
  const y = (i: number): Register => registers[i] ?? 0;
  const [r, t, swapped] = [fp12.allocate(), fp12.allocate(), fp12.allocate()];
  const xBits = CURVE_X.toString(2).slice(1);

  /** f^(−x), d is not a. */
  const powMinusX = (d: Register, a: Register, n: number): void => {
    fp12.copy(d, a, n);
    for (let i = 0; i < xBits.length; i++) {
      sqr(d, d, n);
      if (xBits[i] === "1") mul(d, d, a, n);
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
