/**
 * Whether a product of Miller loops is a product of pairings equal to 1: the final exponentiation. Called by
 * equation.ts.
 *
 * The easy part, f^((p⁶−1)(p²+1)), needs an inverse, which noble takes; the hard part is Fuentes-Castañeda,
 * Knapp and Rodríguez-Henríquez's ("Faster hashing to G2", 2011) for BN curves: a multiple of
 * (p⁴ − p² + 1)/r that r does not divide, so the result is 1 for the same f.
 */

import { bn254 } from "@noble/curves/bn254.js";
import { CURVE_X } from "./curve.ts";
import type { Field, Register } from "./field.ts";
import type { Fp12 } from "./fp12.ts";
import { createFrobenius } from "./miller.ts";

const { Fp12: Noble } = bn254.fields;
type NobleFp12 = ReturnType<typeof Noble.inv>;

export function createFinal(field: Field, fp12: Fp12) {
  const { mul, sqr, conjugate } = fp12;
  const frobenius = createFrobenius(field, fp12);
  const registers = Array.from({ length: 16 }, () => fp12.allocate());
  const y = (i: number): Register => registers[i] ?? 0;
  const r = fp12.allocate();
  const t = fp12.allocate();

  const read = (f: Register, lane: number): NobleFp12 => {
    const c = (k: number) => ({
      c0: field.read(fp12.at(f, k), lane),
      c1: field.read(field.part1(fp12.at(f, k)), lane),
    });
    return { c0: { c0: c(0), c1: c(2), c2: c(4) }, c1: { c0: c(1), c1: c(3), c2: c(5) } };
  };
  const write = (f: Register, lane: number, { c0: even, c1: odd }: NobleFp12): void => {
    for (const [k, c] of [even.c0, odd.c0, even.c1, odd.c1, even.c2, odd.c2].entries()) {
      field.write(fp12.at(f, k), lane, c.c0);
      field.write(field.part1(fp12.at(f, k)), lane, c.c1);
    }
  };
  const xBits = [...CURVE_X.toString(2)].slice(1);
  /** f^(−x), d is not a. */
  const powMinusX = (d: Register, a: Register): void => {
    fp12.copy(d, a, 1);
    for (const bit of xBits) {
      sqr(d, d, 1);
      if (bit === "1") mul(d, d, a, 1);
    }
    conjugate(d, d, 1);
  };

  /** Of the product of both lanes of f's first slot. */
  return (f: Register): boolean => {
    const product = Noble.mul(read(f, 0), read(f, 1));
    if (Noble.is0(product)) return false;
    const unitary = Noble.mul(Noble.conjugate(product), Noble.inv(product));
    for (const lane of [0, 1]) write(t, lane, unitary);
    frobenius(r, t, 2, 1);
    mul(r, r, t, 1);

    powMinusX(y(0), r);
    sqr(y(1), y(0), 1);
    sqr(y(2), y(1), 1);
    mul(y(3), y(2), y(1), 1);
    powMinusX(y(4), y(3));
    sqr(y(5), y(4), 1);
    powMinusX(y(6), y(5));
    conjugate(y(3), y(3), 1);
    conjugate(y(6), y(6), 1);
    mul(y(7), y(6), y(4), 1);
    mul(y(8), y(7), y(3), 1);
    mul(y(9), y(8), y(1), 1);
    mul(y(10), y(8), y(4), 1);
    mul(y(11), y(10), r, 1);
    frobenius(t, y(9), 1, 1);
    mul(y(13), t, y(11), 1);
    frobenius(t, y(8), 2, 1);
    mul(y(14), t, y(13), 1);
    conjugate(r, r, 1);
    mul(y(15), r, y(9), 1);
    frobenius(t, y(15), 3, 1);
    mul(t, t, y(14), 1);
    return Noble.eql(read(t, 0), Noble.ONE);
  };
}
