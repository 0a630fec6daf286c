/**
 * BN254's base field in five limbs, each a double: the numbers that kernels.ts computes with and field.ts
 * moves in and out.
 *
 * An element is v·R mod p (Montgomery form, R = 2^255), v·R = Σ limbᵢ · 2^(51·i) with limbs that are integers
 * of either sign. *Normal*: the lower four limbs within ±2^50, the value within ±p/2 (and a little more).
 * A sum of k normal elements has k *units*: its limbs are within k · 2^50, its value within k · p/2.
 */

export const P = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
export const LIMBS = 5;
export const LIMB_BITS = 51;
const RADIX = 1n << BigInt(LIMB_BITS);
const HALF_RADIX = RADIX / 2n;

export const mod = (value: bigint): bigint => ((value % P) + P) % P;

export function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

export const R = mod(1n << BigInt(LIMB_BITS * LIMBS));
export const R_INVERSE = power(R, P - 2n);

/** `count` limbs of a value, the lower ones within ±2^50. */
export function balancedLimbs(value: bigint, count: number): number[] {
  const limbs: number[] = [];
  let rest = value;
  for (let i = 0; i < count - 1; i++) {
    const low = (((rest + HALF_RADIX) % RADIX) + RADIX) % RADIX;
    limbs.push(Number(low - HALF_RADIX));
    rest = (rest - (low - HALF_RADIX)) / RADIX;
  }
  return [...limbs, Number(rest)];
}

/** A field element's limbs, in Montgomery form. */
export function elementLimbs(value: bigint): number[] {
  const form = mod(value * R);
  return balancedLimbs(form > P / 2n ? form - P : form, LIMBS);
}

export function valueOfLimbs(limbs: readonly number[]): bigint {
  return limbs.reduceRight((sum, limb) => sum * RADIX + BigInt(limb), 0n);
}

export const P_LIMBS: readonly number[] = balancedLimbs(P, LIMBS);

/** p · factor ≡ −1 modulo 2^51. */
export const FACTOR: bigint = (() => {
  let inverse = 1n;
  for (let bits = 1; bits < LIMB_BITS; bits *= 2) inverse = (inverse * (2n - P * inverse)) % RADIX;
  const positive = (((-inverse % RADIX) + RADIX) % RADIX) as bigint;
  return positive >= HALF_RADIX ? positive - RADIX : positive;
})();

/** p · factor: a multiple of p whose lowest limb is −1. */
export const MULTIPLE_LIMBS: readonly number[] = balancedLimbs(P * FACTOR, LIMBS + 1);
