/**
 * A verification key, made ready: its points of G2, and tables to multiply its points of G1 by any scalars.
 * Called by equation.ts.
 *
 * A scalar c, odd (c or r − c is), is Σ dⱼ·16^j with 64 odd digits between −15 and 15. The table holds the odd
 * multiples 1 … 15 of 16^j times each point, so that c times the point is 64 additions. No addition is
 * exceptional: |Σ over i < j| < 16^j ≤ |dⱼ|·16^j, and only the whole sum, which is not 0, comes near r.
 */

import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import { type KeyPoints, pointsOfKey, type VerificationKey } from "../verification-key.ts";
import type { Field } from "./field.ts";
import type { G1, Jacobian } from "./g1.ts";
import { LIMBS } from "./limbs.ts";

const WINDOW_BITS = 4;
const WINDOWS = 256 / WINDOW_BITS;
const ODD_MULTIPLES = 1 << (WINDOW_BITS - 1);
const ENTRY = 2 * LIMBS;

export type PreparedKey = {
  readonly points: KeyPoints;
  readonly nPublic: number;
  /** Of IC₀ …, α: point by point, window by window, multiple by multiple, x's limbs and y's. */
  readonly table: Float64Array;
};

/** c as digits, lowest first; `negative` if they are those of r − c. */
export function oddDigits(scalar: bigint): { readonly digits: Int8Array; readonly negative: boolean } {
  const negative = scalar % 2n === 0n;
  const hex = (negative ? FIELD_ORDER - scalar : scalar).toString(16).padStart(WINDOWS, "0");
  const nibble = (j: number): number => Number.parseInt(hex[WINDOWS - 1 - j] ?? "0", 16);
  const digits = Int8Array.from({ length: WINDOWS }, (_, j) =>
    j === WINDOWS - 1 ? nibble(j) | 1 : (nibble(j) | 1) + 16 * (nibble(j + 1) & 1) - 16,
  );
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
        // 16 = 1 + 15, and 15 is the last multiple.
        g1.fromAffine(base, multiple, n);
        g1.addAffine(base, affine, n);
        g1.toAffine(affine, base, n);
      }
    }
    return { points, nPublic: key.nPublic, table };
  };

  /** Scalars, none 0, times the key's points of these numbers; α is the last. At most 2 · slots. */
  const multiply = (
    to: Jacobian,
    { table }: PreparedKey,
    terms: readonly { readonly point: number; readonly scalar: bigint }[],
  ): void => {
    const n = Math.ceil(terms.length / 2);
    const recoded = terms.map(({ point, scalar }) => ({ point, ...oddDigits(scalar) }));
    const limbs = new Float64Array(LIMBS);
    for (let window = 0; window < WINDOWS; window++) {
      for (const [i, { point, digits, negative }] of recoded.entries()) {
        const digit = digits[window] ?? 1;
        const sign = negative === digit < 0 ? 1 : -1;
        const at = ((point * WINDOWS + window) * ODD_MULTIPLES + (Math.abs(digit) >> 1)) * ENTRY;
        for (let k = 0; k < LIMBS; k++) limbs[k] = table[at + k] ?? 0;
        field.writeLimbs(chosen.x, i, limbs);
        for (let k = 0; k < LIMBS; k++) limbs[k] = sign * (table[at + LIMBS + k] ?? 0);
        field.writeLimbs(chosen.y, i, limbs);
      }
      if (window === 0) g1.fromAffine(sum, chosen, n);
      else g1.addAffine(sum, chosen, n);
    }
    for (let i = 0; i < terms.length; i++) g1.move(to, i, sum, i);
  };

  return { prepare, multiply };
}
