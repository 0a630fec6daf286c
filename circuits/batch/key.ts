/**
 * A verification key, made ready: its points of G2, and tables to multiply its points of G1 by any scalars.
 * Called by equation.ts.
 *
 * A scalar c, odd (c or r − c is), is Σ dⱼ·64^j with 43 odd digits between −63 and 63. The table holds the odd
 * multiples 1 … 63 of 64^j times each point, so that c times the point is 43 additions. Is one exceptional? With
 * S = Σ over i < j, |S| < 64^j ≤ |dⱼ|·64^j, and up to the last addition both together are below 2^252, so below
 * r. The last digit is 1 or 3; S ≡ −dⱼ·64^j would make c 0, and S ≡ dⱼ·64^j is so for S = 3·2^252 − r alone.
 * That c is written as two terms.
 */

import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import { type KeyPoints, pointsOfKey, type VerificationKey } from "../verification-key.ts";
import type { Field } from "./field.ts";
import type { G1, Jacobian } from "./g1.ts";
import { BASE, LIMBS } from "./limbs.ts";

const WINDOW_BITS = 6;
const WINDOWS = Math.ceil(254 / WINDOW_BITS);
const RADIX = 1 << WINDOW_BITS;
const ODD_MULTIPLES = 1 << (WINDOW_BITS - 1);
const ENTRY = 2 * LIMBS;

/** Limbs of an affine point of G2: of x's parts and of y's. */
export type TwistLimbs = readonly (readonly number[])[];

export const twistLimbs = ({ x, y }: KeyPoints["beta"]): TwistLimbs =>
  [x.c0, x.c1, y.c0, y.c1].map(BASE.elementLimbs);

export type PreparedKey = {
  readonly points: KeyPoints;
  /** β, γ and δ, as limbs. */
  readonly twists: readonly [TwistLimbs, TwistLimbs, TwistLimbs];
  readonly nPublic: number;
  /** Of IC₀ …, α: point by point, window by window, multiple by multiple, x's limbs and y's. */
  readonly table: Float64Array;
};

/** A scalar and the number of the key's point that it multiplies; α is the last. */
export type Term = { readonly point: number; readonly scalar: bigint };

/** 6·2^252 − r: its last addition would be of two equal points. */
const UNFIT = (6n << 252n) - FIELD_ORDER;

/** What has to be added for c times a point: nothing, a term, or two. */
export function termsOf(point: number, scalar: bigint): Term[] {
  if (scalar === 0n) return [];
  if (scalar !== UNFIT && scalar !== FIELD_ORDER - UNFIT) return [{ point, scalar }];
  return [
    { point, scalar: 1n },
    { point, scalar: scalar - 1n },
  ];
}

const quarters = new BigUint64Array(5);
const words = new Uint32Array(quarters.buffer);

/** c as digits, lowest first; `negative` if they are those of r − c. */
export function oddDigits(scalar: bigint): { readonly digits: Int8Array; readonly negative: boolean } {
  const negative = scalar % 2n === 0n;
  let rest = negative ? FIELD_ORDER - scalar : scalar;
  for (let i = 0; i < 4; i++, rest >>= 64n) quarters[i] = rest;
  const digits = new Int8Array(WINDOWS);
  /** The window's bits with the lowest set, and the next window's lowest, from the words. */
  const bitsFrom = (at: number): number => {
    const [low = 0, high = 0] = [words[at >> 5], words[(at >> 5) + 1]];
    const shift = at % 32;
    return ((low >>> shift) | (shift === 0 ? 0 : high << (32 - shift))) & (2 * RADIX - 1);
  };
  for (let j = 0; j < WINDOWS; j++) {
    const bits = bitsFrom(j * WINDOW_BITS) | 1;
    digits[j] = j === WINDOWS - 1 ? bits : bits - RADIX;
  }
  return { digits, negative };
}

export function createKeys(field: Field, g1: G1) {
  const base = g1.jacobian();
  const [affine, double, multiple] = [g1.affine(), g1.affine(), g1.affine()];
  const sum = g1.jacobian();
  const chosen = g1.affine();

  const prepare = (key: VerificationKey): PreparedKey => {
    const points = pointsOfKey(key);
    const all = [...points.ic, points.alpha];
    const table = new Float64Array(all.length * WINDOWS * ODD_MULTIPLES * ENTRY);
    const width = 2 * field.slots;
    for (let from = 0; from < all.length; from += width) {
      const part = all.slice(from, from + width);
      const n = Math.ceil(part.length / 2);
      // A lane too many holds the last point again.
      for (let i = 0; i < 2 * n; i++) {
        const { x, y } = part[Math.min(i, part.length - 1)] ?? points.alpha;
        field.write(affine.x, i, x);
        field.write(affine.y, i, y);
      }
      for (let window = 0; window < WINDOWS; window++) {
        g1.fromAffine(base, affine, n);
        g1.double(base, n);
        g1.toAffine(double, base, n);
        field.copy(multiple.x, affine.x, n);
        field.copy(multiple.y, affine.y, n);
        for (let index = 0; index < ODD_MULTIPLES; index++) {
          if (index > 0) {
            g1.fromAffine(base, multiple, n);
            g1.addAffine(base, double, n);
            g1.toAffine(multiple, base, n);
          }
          for (let i = 0; i < part.length; i++) {
            const at = (((from + i) * WINDOWS + window) * ODD_MULTIPLES + index) * ENTRY;
            table.set(field.readLimbs(multiple.x, i), at);
            table.set(field.readLimbs(multiple.y, i), at + LIMBS);
          }
        }
        // 64 = 1 + 63, and 63 is the last multiple.
        g1.fromAffine(base, multiple, n);
        g1.addAffine(base, affine, n);
        g1.toAffine(affine, base, n);
      }
    }
    const twists = [twistLimbs(points.beta), twistLimbs(points.gamma), twistLimbs(points.delta)] as const;
    return { points, twists, nPublic: key.nPublic, table };
  };

  /** What termsOf() made, scalar by point. At most 2 · slots. */
  const multiply = (to: Jacobian, { table }: PreparedKey, terms: readonly Term[]): void => {
    const count = terms.length;
    const n = Math.ceil(count / 2);
    /** Where the table has a window's multiples, term after term; the complement for negative ones. */
    const rows = new Int32Array(WINDOWS * count);
    for (const [i, { point, scalar }] of terms.entries()) {
      const { digits, negative } = oddDigits(scalar);
      for (const [window, digit] of digits.entries()) {
        const at = ((point * WINDOWS + window) * ODD_MULTIPLES + (Math.abs(digit) >> 1)) * ENTRY;
        rows[window * count + i] = negative === digit < 0 ? at : ~at;
      }
    }
    for (let window = 0; window < WINDOWS; window++) {
      for (let i = 0; i < count; i++) {
        const row = rows[window * count + i] ?? 0;
        const at = row < 0 ? ~row : row;
        field.writeRow(chosen.x, i, table, at, 1);
        field.writeRow(chosen.y, i, table, at + LIMBS, row < 0 ? -1 : 1);
      }
      if (window === 0) g1.fromAffine(sum, chosen, n);
      else g1.addAffine(sum, chosen, n);
    }
    for (let i = 0; i < terms.length; i++) g1.move(to, i, sum, i);
  };

  return { prepare, multiply };
}
