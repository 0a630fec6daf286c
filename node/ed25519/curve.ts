/** Ed25519's constants. Called by the files beside it. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { balancedLimbs, LIMBS } from "../../circuits/batch/limbs.ts";

/** The field's order, 2^255 − 19. */
export const P = ed25519.Point.Fp.ORDER;
/** The order of the base point. */
export const L = ed25519.Point.Fn.ORDER;
export const D = ed25519.Point.CURVE().d;

export const mod = (value: bigint, order: bigint = P): bigint => ((value % order) + order) % order;

export const D2 = mod(2n * D);
/** A root of −1: 2 is no square, and p = 5 modulo 8. */
export const ROOT_OF_MINUS_ONE = ed25519.Point.Fp.pow(2n, (P - 1n) / 4n);
export const BASE = ed25519.Point.BASE.toBytes();

/** Tight limbs (arithmetic.ts) of a number modulo p. */
export function limbsOf(value: bigint): number[] {
  const least = mod(value);
  return balancedLimbs(least > P / 2n ? least - P : least, LIMBS);
}
