/**
 * BN254's fields in five limbs, each a double: the numbers that kernels.ts computes with and field.ts moves in
 * and out. The verifier's are elements of the base field (p); the prover's transforms are in the scalar field
 * (r), which is as wide, so all that is said of p here holds for r too.
 *
 * An element is v·R mod p (Montgomery form, R = 2^255), v·R = Σ limbᵢ · 2^(51·i) with limbs that are integers
 * of either sign. *Normal*: the lower four limbs within ±2^50, the value within ±p/2 (and a little more).
 * A sum of k normal elements has k *units*: its limbs are within k · 2^50, its value within k · p/2.
 */

export const LIMBS = 5;
export const LIMB_BITS = 51;
const RADIX = 1n << BigInt(LIMB_BITS);
const HALF_RADIX = RADIX / 2n;

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

export function valueOfLimbs(limbs: readonly number[]): bigint {
  return limbs.reduceRight((sum, limb) => sum * RADIX + BigInt(limb), 0n);
}

export type Modulus = ReturnType<typeof createModulus>;

/** A field's arithmetic on bigints, and the constants of its reduction. `order` is a prime of 254 bits. */
export function createModulus(order: bigint) {
  const mod = (value: bigint): bigint => ((value % order) + order) % order;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    let square = base;
    for (let rest = exponent; rest > 0n; rest >>= 1n) {
      if (rest & 1n) result = mod(result * square);
      square = mod(square * square);
    }
    return result;
  };
  const form = mod(1n << BigInt(LIMB_BITS * LIMBS));
  let inverse = 1n;
  for (let bits = 1; bits < LIMB_BITS; bits *= 2) inverse = (inverse * (2n - order * inverse)) % RADIX;
  const positive = ((-inverse % RADIX) + RADIX) % RADIX;
  const factor = positive >= HALF_RADIX ? positive - RADIX : positive;
  return {
    order,
    mod,
    power,
    /** R, and its inverse. */
    form,
    formInverse: power(form, order - 2n),
    /** An element's limbs, in Montgomery form. */
    elementLimbs: (value: bigint): number[] => {
      const inForm = mod(value * form);
      return balancedLimbs(inForm > order / 2n ? inForm - order : inForm, LIMBS);
    },
    limbs: balancedLimbs(order, LIMBS),
    /** order · factor ≡ −1 modulo 2^51. */
    factor,
    /** order · factor: a multiple of the order whose lowest limb is −1. */
    multipleLimbs: balancedLimbs(order * factor, LIMBS + 1),
  };
}

export const BASE: Modulus =
  createModulus(21888242871839275222246405745257275088696311157297823662689037894645226208583n);
export const P = BASE.order;
export const { mod, power } = BASE;
