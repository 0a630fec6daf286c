/**
 * What the signals of many proofs come to: Σᵢ rᵢ·sᵢₖ modulo r for every k. Called by equation.ts.
 *
 * A coefficient is a + bω (coefficients.ts) with a and b of three parts of 22 bits, signed, and a signal has
 * twelve limbs of 22 bits. Σ aᵢsᵢₖ and Σ bᵢsᵢₖ are summed by columns of products that weigh the same, in doubles: a
 * column gets three products a proof, each at most 2/3 · (2^22 − 1)². With 256 proofs these and a carry stay
 * below 2^53. Big integers are made of the sums alone, one a signal.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import { SIGNAL_WORDS } from "../signals.ts";
import { PART_BITS, PARTS } from "./coefficients.ts";
import { LAMBDA } from "./curve.ts";

const LIMB_BITS = PART_BITS;
const RADIX = 2 ** LIMB_BITS;
const SIGNAL_LIMBS = Math.ceil(256 / LIMB_BITS);
/** Two for what the highest carries; an even number, since two are made one number at the end. */
const COLUMNS = SIGNAL_LIMBS + PARTS - 1 + 2;
const PROOFS_MAX = 256;

/** A proof's signals as words (signals.ts), and which coefficient it has. */
export type Summand = { readonly words: Uint32Array; readonly coefficient: number };

/** Of the number 1 and of each of `signals` signals. `parts` are all coefficients'. */
export function sumSignals(parts: Float64Array, summands: readonly Summand[], signals: number): bigint[] {
  invariant(summands.length <= PROOFS_MAX, "columns of products stay exact");
  const columns = new Float64Array((signals + 1) * 2 * COLUMNS);
  for (const { words, coefficient } of summands) addSignals(columns, parts, coefficient, words, signals);
  return Array.from({ length: signals + 1 }, (_, k) => {
    const at = k * 2 * COLUMNS;
    const sum = (numberOf(columns, at) + numberOf(columns, at + COLUMNS) * LAMBDA) % FIELD_ORDER;
    return sum < 0n ? sum + FIELD_ORDER : sum;
  });
}

/** Everything is a local number here: a closure's would be objects, one a product. */
function addSignals(
  columns: Float64Array,
  parts: Float64Array,
  coefficient: number,
  words: Uint32Array,
  signals: number,
): void {
  const own = coefficient * 2 * PARTS;
  const a0 = parts[own] ?? 0;
  const a1 = parts[own + 1] ?? 0;
  const a2 = parts[own + 2] ?? 0;
  const b0 = parts[own + 3] ?? 0;
  const b1 = parts[own + 4] ?? 0;
  const b2 = parts[own + 5] ?? 0;
  for (let k = 0; k <= signals; k++) {
    const from = (k - 1) * SIGNAL_WORDS;
    for (let j = 0; j < (k === 0 ? 1 : SIGNAL_LIMBS); j++) {
      const limb = k === 0 ? 1 : limbOf(words, from, j);
      // Most signals are small numbers.
      if (limb === 0) continue;
      const at = k * 2 * COLUMNS + j;
      columns[at] = (columns[at] ?? 0) + a0 * limb;
      columns[at + 1] = (columns[at + 1] ?? 0) + a1 * limb;
      columns[at + 2] = (columns[at + 2] ?? 0) + a2 * limb;
      const second = at + COLUMNS;
      columns[second] = (columns[second] ?? 0) + b0 * limb;
      columns[second + 1] = (columns[second + 1] ?? 0) + b1 * limb;
      columns[second + 2] = (columns[second + 2] ?? 0) + b2 * limb;
    }
  }
}

/** Limb j of the signal whose words begin at `from`. */
function limbOf(words: Uint32Array, from: number, j: number): number {
  const word = (LIMB_BITS * j) >> 5;
  const shift = (LIMB_BITS * j) % 32;
  const low = (words[from + word] ?? 0) >>> shift;
  if (shift <= 32 - LIMB_BITS || word === SIGNAL_WORDS - 1) return low & (RADIX - 1);
  return (low | ((words[from + word + 1] ?? 0) << (32 - shift))) & (RADIX - 1);
}

/** The number that columns stand for, of either sign. Writes over them. */
function numberOf(columns: Float64Array, at: number): bigint {
  for (let i = at; i < at + COLUMNS - 1; i++) {
    const column = columns[i] ?? 0;
    const carry = Math.floor(column / RADIX);
    columns[i] = column - carry * RADIX;
    columns[i + 1] = (columns[i + 1] ?? 0) + carry;
  }
  let value = 0n;
  for (let i = at + COLUMNS - 2; i >= at; i -= 2) {
    value = (value << BigInt(2 * LIMB_BITS)) + BigInt((columns[i + 1] ?? 0) * RADIX + (columns[i] ?? 0));
  }
  return value;
}
