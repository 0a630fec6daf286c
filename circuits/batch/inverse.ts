/**
 * Inverses of single elements, by Euclid's algorithm on doubles. Called by powers.ts and ../prove/points.ts.
 *
 * Lehmer's form: leading digits decide a run of quotients, whose effect on a and b, and on their cofactors, is
 * one matrix of numbers below 2^25. Here the leading digits are a's and b's values rounded to doubles, and
 * quotients are rounded to the nearest, so signs come and go and nothing has to be put in order. A quotient
 * that rounding made wrong by one costs a little progress: any matrix of determinant ±1 keeps the divisor and
 * u·x ≡ a, v·x ≡ b (mod order). Whoever calls multiplies to see that it is the inverse. Once in 10^5 elements
 * or so a quotient is too large for the matrix; then there is no answer, and a power (powers.ts) has to do.
 *
 * The running time depends on the element. What the verifier inverts is public, or random for its own use; the
 * prover's sums take times that depend on the witness in any case (circuits/README.md).
 */

import { LIMBS, type Modulus } from "./limbs.ts";

/** A limb of 51 bits is one of 26 and one of 25. */
const HALVES = 2 * LIMBS;
const LOW_RADIX = 2 ** 26;
const HIGH_RADIX = 2 ** 25;
/** Two products of it and a half limb, and a carry, are below 2^53. */
const ENTRY_MAX = 2 ** 25;
/** Added and taken away again, it rounds to the nearest integer. */
const ROUNDER = 1.5 * 2 ** 52;
/** About 11 are needed. */
const RUNS_MAX = 24;

/** Lower halves within [0, radix), the sign in the highest. */
function split(to: Float64Array, limbs: ArrayLike<number>): void {
  let carry = 0;
  for (let i = 0; i < LIMBS; i++) {
    const limb = (limbs[i] ?? 0) + carry;
    const high = Math.floor(limb / LOW_RADIX);
    carry = i === LIMBS - 1 ? 0 : Math.floor(high / HIGH_RADIX);
    to[2 * i] = limb - high * LOW_RADIX;
    to[2 * i + 1] = high - carry * HIGH_RADIX;
  }
}

function rounded(half: Float64Array): number {
  let value = 0;
  for (let i = HALVES - 2; i >= 0; i -= 2) {
    value = value * (LOW_RADIX * HIGH_RADIX) + ((half[i + 1] ?? 0) * LOW_RADIX + (half[i] ?? 0));
  }
  return value;
}

/** (a, b) ← (p·a + q·b, r·a + s·b) */
function transform(a: Float64Array, b: Float64Array, p: number, q: number, r: number, s: number): void {
  let carryA = 0;
  let carryB = 0;
  for (let i = 0; i < HALVES - 1; i++) {
    const radix = i % 2 === 0 ? LOW_RADIX : HIGH_RADIX;
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    const sumA = p * x + q * y + carryA;
    const sumB = r * x + s * y + carryB;
    carryA = Math.floor(sumA / radix);
    carryB = Math.floor(sumB / radix);
    a[i] = sumA - carryA * radix;
    b[i] = sumB - carryB * radix;
  }
  const x = a[HALVES - 1] ?? 0;
  const y = b[HALVES - 1] ?? 0;
  a[HALVES - 1] = p * x + q * y + carryA;
  b[HALVES - 1] = r * x + s * y + carryB;
}

export function createInverse(modulus: Modulus) {
  const order = new Float64Array(HALVES);
  split(order, modulus.limbs);
  const [a, b, u, v] = [0, 0, 0, 0].map(() => new Float64Array(HALVES)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  /** Normal limbs ↦ limbs, of two units, of the inverse of their value modulo the order; or false, as for 0. */
  const invert = (to: Float64Array, limbs: ArrayLike<number>): boolean => {
    a.set(order);
    split(b, limbs);
    u.fill(0);
    v.fill(0);
    v[0] = 1;
    for (let run = 0; run < RUNS_MAX; run++) {
      let first = rounded(a);
      let second = rounded(b);
      if (second === 0) {
        // a = ±1, and so is u·x.
        if (first !== 1 && first !== -1) return false;
        for (let i = 0; i < LIMBS; i++) {
          to[i] = first * ((u[2 * i] ?? 0) + (u[2 * i + 1] ?? 0) * LOW_RADIX);
        }
        return true;
      }
      // Assignments one by one: pairs of them would be arrays, megabytes a batch.
      let p = 1;
      let q = 0;
      let r = 0;
      let s = 1;
      for (;;) {
        const quotient = first / second + ROUNDER - ROUNDER;
        const nextR = p - quotient * r;
        const nextS = q - quotient * s;
        // Infinities and what is no number end a run too.
        if (!(Math.abs(nextR) <= ENTRY_MAX && Math.abs(nextS) <= ENTRY_MAX)) break;
        const rest = first - quotient * second;
        first = second;
        second = rest;
        p = r;
        q = s;
        r = nextR;
        s = nextS;
      }
      if (q === 0) return false;
      transform(a, b, p, q, r, s);
      transform(u, v, p, q, r, s);
    }
    return false;
  };
  return {
    invert,
    wipe: (): void => {
      for (const half of [a, b, u, v]) half.fill(0);
    },
  };
}
