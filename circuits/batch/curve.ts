/**
 * BN254's constants: the twist, its endomorphism, the curve's automorphism. Called by the files beside it.
 *
 * The twist is y² = x³ + 3/ξ over Fp2, ξ = 9 + i; (x, y) on it stands for (x·w², y·w³) on the curve. ψ is the
 * Frobenius map seen from the twist: (x, y) ↦ (x̄·ξ^((p−1)/3), ȳ·ξ^((p−1)/2)). φ is (x, y) ↦ (βx, y).
 */

import { bn254 } from "@noble/curves/bn254.js";
import { P } from "./limbs.ts";

export type Pair = { readonly c0: bigint; readonly c1: bigint };

const { Fp, Fp2 } = bn254.fields;

/** The curve's parameter x: p, r and the loops below are polynomials in it. */
export const CURVE_X = 4965661367192848881n;

/** 6x + 2 in signed digits, from the highest, which is 1: the Miller loop's counter. */
export const LOOP: readonly number[] = (() => {
  const digits: number[] = [];
  for (let rest = 6n * CURVE_X + 2n; rest > 0n; rest >>= 1n) {
    const digit = rest & 1n ? 2n - (rest % 4n) : 0n;
    digits.push(Number(digit));
    rest -= digit;
  }
  return digits.reverse();
})();

export const G1_B = 3n;
export const G2_B: Pair = bn254.G2.Point.CURVE().b;

const XI = Fp2.fromBigTuple([9n, 1n]);
/** ξ^(k·(p−1)/6): what w^k is multiplied by under the Frobenius map. */
export const FROBENIUS: readonly Pair[] = [0n, 1n, 2n, 3n, 4n, 5n].map((k) =>
  Fp2.pow(XI, (k * (P - 1n)) / 6n),
);
/** ψ multiplies the conjugates of x and y by these. */
export const PSI_X: Pair = Fp2.pow(XI, (P - 1n) / 3n);
export const PSI_Y: Pair = Fp2.pow(XI, (P - 1n) / 2n);

/** A cube root of 1 in Fp. */
export const BETA: bigint = (() => {
  // Of the two, either will do: LAMBDA belongs to it.
  for (let base = 2n; ; base++) {
    const root = Fp.pow(base, (P - 1n) / 3n);
    if (root !== 1n) return root;
  }
})();

/** φ(A) = LAMBDA · A for every A of G1. */
export const LAMBDA: bigint = (() => {
  const order = bn254.fields.Fr.ORDER;
  const { Fr } = bn254.fields;
  for (let base = 2n; ; base++) {
    const root = Fr.pow(base, (order - 1n) / 3n);
    if (root === 1n) continue;
    const { x } = bn254.G1.Point.BASE.multiply(root).toAffine();
    return x === Fp.mul(BETA, bn254.G1.Point.BASE.toAffine().x) ? root : Fr.mul(root, root);
  }
})();

export const G1_GENERATOR = bn254.G1.Point.BASE.toAffine();
export const G2_GENERATOR = bn254.G2.Point.BASE.toAffine();
