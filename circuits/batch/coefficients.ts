/**
 * The random coefficients of a batch, and points multiplied by them. Called by equation.ts.
 *
 * With φ(A) = λA, λ a cube root of 1, G1 is a module over Z[ω]. A coefficient is Σ dⱼ·4^j with 33 digits from
 * 15 elements of Z[ω] that differ modulo 4 and from 0: ±1, ±ω, ±ω², twice 1, ω, ω², and (1 − ω) times the
 * first six. So there are 15³³ > 2^128 coefficients, different and not 0 in Z[ω], and in Z/r too, since the
 * kernel's elements have norms that r divides, and these are below 2^140. 66 doublings and 32 additions
 * multiply by one of them. In the course of that 4·s ≠ ±d (|4s| ≥ 4 > 2 ≥ |d|): no addition is exceptional.
 */

import { BETA } from "./curve.ts";
import type { Field } from "./field.ts";
import type { Affine, G1, Jacobian } from "./g1.ts";
import type { Inverter } from "./powers.ts";

export const DIGITS_PER_COEFFICIENT = 33;

type Digit = {
  /** Of which of A, 2A, (1 − ω)A. */
  readonly base: 0 | 1 | 2;
  /** Times ω so many times. */
  readonly turns: 0 | 1 | 2;
  readonly negative: boolean;
  /** As a + bω. */
  readonly a: number;
  readonly b: number;
};

export const DIGITS: readonly Digit[] = ([0, 1, 2] as const).flatMap((base) =>
  ([0, 1, 2] as const).flatMap((turns) =>
    (base === 1 ? [false] : [false, true]).map((negative): Digit => {
      let [a, b] = (
        [
          [1, 0],
          [2, 0],
          [1, -1],
        ] as const
      )[base] as readonly [number, number];
      for (let i = 0; i < turns; i++) [a, b] = [-b, a - b];
      return { base, turns, negative, a: negative ? -a : a, b: negative ? -b : b };
    }),
  ),
);

export type Coefficients = {
  /** Numbers of digits, lowest first, a coefficient after the other. */
  readonly digits: Uint8Array;
  /** The same as a + bω: of each coefficient a's parts, lowest first, then b's. A part is of 11 digits, signed. */
  readonly parts: Float64Array;
};

const DIGITS_PER_PART = 11;
export const PARTS = DIGITS_PER_COEFFICIENT / DIGITS_PER_PART;
/** A part's weight is that power of two; by size it is below 2/3 of it. */
export const PART_BITS = 2 * DIGITS_PER_PART;

/** From the system's generator: whoever makes proofs must not know them. */
export function drawCoefficients(count: number): Coefficients {
  const digits = new Uint8Array(count * DIGITS_PER_COEFFICIENT);
  for (let at = 0; at < digits.length; ) {
    const drawn = crypto.getRandomValues(new Uint8Array(Math.ceil((digits.length - at) * 0.6) + 16));
    for (const byte of drawn) {
      for (const digit of [byte & 15, byte >> 4]) {
        if (digit < DIGITS.length && at < digits.length) digits[at++] = digit;
      }
    }
  }
  return { digits, parts: partsOf(digits, count) };
}

function partsOf(digits: Uint8Array, count: number): Float64Array {
  const parts = new Float64Array(2 * PARTS * count);
  for (let i = 0; i < count; i++) {
    for (let part = 0; part < PARTS; part++) {
      const low = i * DIGITS_PER_COEFFICIENT + part * DIGITS_PER_PART;
      let [a, b] = [0, 0];
      for (let j = low + DIGITS_PER_PART - 1; j >= low; j--) {
        const digit = DIGITS[digits[j] ?? 0];
        a = 4 * a + (digit?.a ?? 0);
        b = 4 * b + (digit?.b ?? 0);
      }
      parts[2 * PARTS * i + part] = a;
      parts[2 * PARTS * i + PARTS + part] = b;
    }
  }
  return parts;
}

/** Points times coefficients, point by point. */
export function createMultiplier(field: Field, g1: G1, { invert }: Inverter) {
  const { mul, add, sub, normal } = field;
  const beta = field.constant(BETA);
  const betaLessOne = field.constant(BETA - 1n);
  const bases = [g1.affine(), g1.affine(), g1.affine()] as const;
  /** x, βx, β²x of each base. */
  const turned = bases.map(({ x }) => [x, field.fp(), field.fp()] as const);
  const chosen = g1.affine();
  const [first, second, inverse, slope] = [field.fp(), field.fp(), field.fp(), field.fp()];

  /** (slope² − x − x′, slope·(x − x₃) − y) */
  const third = (to: Affine, { x, y }: Affine, otherX: number, n: number): void => {
    mul(to.x, slope, slope, n);
    sub(to.x, to.x, x, n);
    sub(to.x, to.x, otherX, n);
    normal(to.x, to.x, n);
    sub(to.y, x, to.x, n);
    mul(to.y, to.y, slope, n);
    sub(to.y, to.y, y, n);
    normal(to.y, to.y, n);
  };

  return (to: Jacobian, point: Affine, { digits }: Coefficients, count: number): void => {
    const n = Math.ceil(count / 2);
    const [one, two, difference] = bases;
    const [xs] = turned;
    field.copy(one.x, point.x, n);
    field.copy(one.y, point.y, n);
    mul(xs?.[1] ?? 0, one.x, beta, n);
    // 2A has slope 3x²/2y, A − ωA has −2y/(βx − x). x and y are never 0: that would be order 3 or 2.
    add(first, one.y, one.y, n);
    mul(second, one.x, betaLessOne, n);
    mul(inverse, first, second, n);
    invert(inverse, inverse, n);
    mul(slope, one.x, one.x, n);
    add(two.x, slope, slope, n);
    add(slope, two.x, slope, n);
    normal(slope, slope, n);
    mul(slope, slope, second, n);
    mul(slope, slope, inverse, n);
    third(two, one, one.x, n);
    mul(slope, first, first, n);
    mul(slope, slope, inverse, n);
    sub(slope, field.zero, slope, n);
    third(difference, one, xs?.[1] ?? 0, n);
    for (const [x = 0, bx = 0, bbx = 0] of turned) {
      mul(bx, x, beta, n);
      mul(bbx, bx, beta, n);
    }

    for (let j = DIGITS_PER_COEFFICIENT - 1; j >= 0; j--) {
      for (let i = 0; i < count; i++) {
        const digit = DIGITS[digits[i * DIGITS_PER_COEFFICIENT + j] ?? 0];
        if (digit === undefined) continue;
        field.move(chosen.x, i, turned[digit.base]?.[digit.turns] ?? 0, i);
        field.move(chosen.y, i, bases[digit.base].y, i, digit.negative);
      }
      if (j === DIGITS_PER_COEFFICIENT - 1) g1.fromAffine(to, chosen, n);
      else {
        g1.double(to, n);
        g1.double(to, n);
        g1.addAffine(to, chosen, n);
      }
    }
  };
}
