/**
 * Σ scalarᵢ · pointᵢ by buckets (Pippenger): scalars in signed digits, points of equal digits summed, the sums
 * weighted by their digits. Called by groth16.ts; browser safe.
 *
 * All sums are sums of groups (points.ts). The weights too: with j = hi·2^h + lo, Σ j·Bⱼ is Σ lo·(Σ Bⱼ of that
 * lo) + 2^h·Σ hi·(Σ Bⱼ of that hi), two additions a bucket, and what is left of each window are few sums, which
 * are taken bit by bit: one point for every bit of the scalars, to be doubled into each other at the end.
 *
 * Digits that are zero cost nothing, so scalars that are small, of either sign, cost little.
 */

import { LIMB_BITS, LIMBS } from "../batch/limbs.ts";
import type { Degree } from "./kernels.ts";
import type { Adder, Coordinates, Groups } from "./points.ts";

/** Scalars of either sign within ±2^254, five limbs each. */
export type Terms = { readonly entries: Int32Array; readonly limbs: Float64Array };

const SCALAR_BITS = 255;
const PIECE_BITS = 17;
const PIECES = 15;
/** Entries of buckets in hand at once, about: their sums should stay in the processor's cache. */
const BATCH = 32_768;

const RADIX = 2 ** LIMB_BITS;
const PIECE = 2 ** PIECE_BITS;

type Digits = {
  /** Those of a window together. */
  readonly digits: Int16Array;
  /** By window and size: the first of each window are those of ±1. */
  readonly counts: Int32Array;
};

/** Signed digits of `bits` bits. */
function digitsOf(limbs: Float64Array, count: number, bits: number, windows: number): Digits {
  const digits = new Int16Array(count * windows);
  const pieces = new Int32Array(PIECES);
  const mask = 2 ** bits - 1;
  const half = 2 ** (bits - 1);
  const counts = new Int32Array(windows * half);
  for (let i = 0; i < count; i++) {
    // Limbs are balanced: the highest that is not zero has the number's sign.
    let top = LIMBS - 1;
    while (top > 0 && limbs[LIMBS * i + top] === 0) top--;
    const sign = (limbs[LIMBS * i + top] ?? 0) < 0 ? -1 : 1;
    let borrow = 0;
    for (let l = 0; l <= top; l++) {
      const value = sign * (limbs[LIMBS * i + l] ?? 0) + borrow;
      borrow = Math.floor(value / RADIX);
      const rest = value - borrow * RADIX;
      const upper = Math.floor(rest / (PIECE * PIECE));
      const lower = rest - upper * PIECE * PIECE;
      const middle = Math.floor(lower / PIECE);
      pieces[3 * l] = lower - middle * PIECE;
      pieces[3 * l + 1] = middle;
      pieces[3 * l + 2] = upper;
    }
    let [buffer, have, carry, next] = [0, 0, 0, 0];
    const end = 3 * (top + 1);
    for (let w = 0; w < windows; w++) {
      while (have < bits && next < end) {
        buffer += (pieces[next++] ?? 0) << have;
        have += PIECE_BITS;
      }
      let digit = (buffer & mask) + carry;
      buffer >>>= bits;
      have = Math.max(0, have - bits);
      carry = digit > half ? 1 : 0;
      if (carry === 1) digit -= mask + 1;
      if (digit !== 0) {
        digits[w * count + i] = sign * digit;
        const bucket = w * half + Math.abs(digit) - 1;
        counts[bucket] = (counts[bucket] ?? 0) + 1;
      }
      if (next === end && buffer === 0 && carry === 0) break;
    }
  }
  pieces.fill(0);
  return { digits, counts };
}

/** Which sums of a window go into which further ones. */
type Wiring = {
  readonly sources: number;
  readonly targets: number;
  readonly links: readonly (readonly [source: number, target: number])[];
};

/** From buckets (of digit source + 1) to sums by lo, then by hi; and from these to sums by bit. */
function wirings(bits: number): readonly [Wiring, Wiring] {
  const half = 2 ** (bits - 1);
  const low = Math.ceil(bits / 2);
  const lows = 2 ** low;
  const highs = (half >> low) + 1;
  const halves: [number, number][] = [];
  for (let digit = 1; digit <= half; digit++) {
    if (digit % lows > 0) halves.push([digit - 1, digit % lows]);
    if (digit >= lows) halves.push([digit - 1, lows + (digit >> low)]);
  }
  const byBit: [number, number][] = [];
  for (let bit = 0; bit < bits; bit++) {
    const [first, count, shift] = bit < low ? [0, lows, bit] : [lows, highs, bit - low];
    for (let k = 1; k < count; k++) if ((k >> shift) & 1) byBit.push([first + k, bit]);
  }
  return [
    { sources: half, targets: lows + highs, links: halves },
    { sources: lows + highs, targets: bits, links: byBit },
  ];
}

/** Groups of what is left of other groups. */
function rewire(from: Groups, windows: number, { sources, targets, links }: Wiring): Groups {
  const lengths = new Int32Array(windows * targets);
  for (let w = 0; w < windows; w++) {
    for (const [source, target] of links) {
      const to = w * targets + target;
      lengths[to] = (lengths[to] ?? 0) + (from.lengths[w * sources + source] ?? 0);
    }
  }
  const starts = startsOf(lengths);
  const entries = new Int32Array(starts[lengths.length] ?? 0);
  const next = starts.slice();
  for (let w = 0; w < windows; w++) {
    for (const [source, target] of links) {
      const g = w * sources + source;
      if (from.lengths[g] !== 1) continue;
      const to = w * targets + target;
      entries[next[to] ?? 0] = from.entries[from.starts[g] ?? 0] ?? 0;
      next[to] = (next[to] ?? 0) + 1;
    }
  }
  return { entries, starts, lengths };
}

/** The width of digits that takes the fewest additions, for so many scalars of full length. */
export function digitBits(full: number): number {
  let [best, least] = [2, Number.POSITIVE_INFINITY];
  for (let bits = 2; bits <= 14; bits++) {
    const windows = Math.ceil(SCALAR_BITS / bits);
    const cost = windows * (full + 2 ** bits + bits * 2 ** (bits / 2));
    if (cost < least) [best, least] = [bits, cost];
  }
  return best;
}

export type MultiExpOptions = {
  /** Of a digit; default: what takes the fewest additions. */
  readonly bits?: number | undefined;
  /** Called now and then with the part that is done, from 0 to 1. */
  readonly report?: (done: number) => void;
};

/** Σ scalarᵢ · pointᵢ as one point a bit, from the lowest: the sum is Σ 2^i · resultᵢ; infinity is undefined. */
export function multiExp(
  adder: Adder,
  degree: Degree,
  { entries, limbs }: Terms,
  { bits, report = () => undefined }: MultiExpOptions = {},
): (Coordinates | undefined)[] {
  const count = entries.length;
  let full = 0;
  for (let i = 0; i < count; i++) if (limbs[LIMBS * i + LIMBS - 1] !== 0) full++;
  const width = bits ?? digitBits(full);
  const windows = Math.ceil(SCALAR_BITS / width);
  const half = 2 ** (width - 1);
  const { digits, counts } = digitsOf(limbs, count, width, windows);
  const [halves, byBit] = wirings(width);
  const sums: (Coordinates | undefined)[] = [];

  const filled = (w: number): number =>
    counts.subarray(w * half, (w + 1) * half).reduce((sum, some) => sum + some, 0);
  for (let first = 0; first < windows; ) {
    let [last, total] = [first, 0];
    while (last < windows && (last === first || total + filled(last) <= BATCH)) total += filled(last++);
    const taken = last - first;
    const buckets = bucketsOf(entries, digits, first, counts.slice(first * half, last * half), half, total);
    adder.begin(degree, total + taken * (halves.links.length + byBit.links.length));
    adder.sum(degree, buckets);
    const byHalf = rewire(buckets, taken, halves);
    adder.sum(degree, byHalf);
    const ofBits = rewire(byHalf, taken, byBit);
    adder.sum(degree, ofBits);
    for (let g = 0; g < taken * width; g++) {
      const entry = ofBits.entries[ofBits.starts[g] ?? 0] ?? 0;
      sums.push(ofBits.lengths[g] === 1 ? adder.readPoint(degree, entry) : undefined);
    }
    for (const { entries: secret } of [buckets, byHalf, ofBits]) secret.fill(0);
    first = last;
    report(first / windows);
  }
  digits.fill(0);
  counts.fill(0);
  return sums;
}

/** Points of some windows by the size of their digits, negated where these are negative. */
function bucketsOf(
  points: Int32Array,
  digits: Int16Array,
  first: number,
  lengths: Int32Array,
  half: number,
  total: number,
): Groups {
  const count = points.length;
  const starts = startsOf(lengths);
  const entries = new Int32Array(total);
  const next = starts.slice();
  for (let w = 0; w < lengths.length / half; w++) {
    for (let i = 0; i < count; i++) {
      const digit = digits[(first + w) * count + i] ?? 0;
      if (digit === 0) continue;
      const g = w * half + Math.abs(digit) - 1;
      const at = next[g] ?? 0;
      // Both may be negated: an entry's lowest bit says so.
      entries[at] = (points[i] ?? 0) ^ (digit < 0 ? 1 : 0);
      next[g] = at + 1;
    }
  }
  return { entries, starts, lengths };
}

/** Where groups of these lengths begin, one after the other; and where the last ends. */
function startsOf(lengths: Int32Array): Int32Array {
  const starts = new Int32Array(lengths.length + 1);
  for (let g = 0; g < lengths.length; g++) starts[g + 1] = (starts[g] ?? 0) + (lengths[g] ?? 0);
  return starts;
}
