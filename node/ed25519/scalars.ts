/**
 * Scalars: from bytes and hashes, in digits, and a batch's random coefficients. Called by equation.ts and
 * verifier.ts.
 */

import { hash, randomFillSync } from "node:crypto";
import { L } from "./curve.ts";

const WORD = 64n;
const words = new BigUint64Array(8);
const bytesOfWords = Buffer.from(words.buffer);

const numberOfWords = (from: BigUint64Array, count: number): bigint => {
  let value = 0n;
  for (let i = count - 1; i >= 0; i--) value = (value << WORD) | (from[i] ?? 0n);
  return value;
};

/** A number of 32 or 64 bytes, little-endian. */
export function numberOf(bytes: Uint8Array): bigint {
  bytesOfWords.set(bytes);
  return numberOfWords(words, bytes.length / 8);
}

/** SHA-512 as a number, little-endian. As text it comes from node:crypto in a third of the time. */
export function hashOf(bytes: Uint8Array): bigint {
  bytesOfWords.write(hash("sha512", bytes, "hex"), "hex");
  return numberOfWords(words, 8);
}

/** Bits of a scalar below 2^256, and some zeros above. */
const bitWords = new BigUint64Array(5);
const bits = new Uint32Array(bitWords.buffer);
function setBits(scalar: bigint): void {
  let rest = scalar;
  for (let i = 0; i < 4; i++) {
    bitWords[i] = BigInt.asUintN(64, rest);
    rest >>= WORD;
  }
}
/** Five bits from a position. */
function window(position: number): number {
  const at = position >> 5;
  const shift = position & 31;
  const low = (bits[at] ?? 0) >>> shift;
  return (shift > 27 ? low | ((bits[at + 1] ?? 0) << (32 - shift)) : low) & 31;
}

/** Positions of digits that are not zero: 0 … 253. */
export const POSITIONS = 254;

/**
 * Calls with odd digits within ±15 and their positions, at most one in five neighbouring ones, of a scalar below
 * L: Σ digit · 2^position is the scalar.
 */
export function eachDigit(scalar: bigint, call: (position: number, digit: number) => void): void {
  setBits(scalar);
  let carry = 0;
  for (let position = 0; position < POSITIONS; ) {
    const digit = window(position) + carry;
    if (digit % 2 === 0) {
      position++;
      continue;
    }
    carry = digit > 16 ? 1 : 0;
    call(position, digit - 32 * carry);
    position += 5;
  }
}

/** Digits of a regular form: one for each four bits. */
export const REGULAR_DIGITS = 64;

/**
 * Odd digits within ±15, none of them 0: Σ digitᵢ · 16^i is the scalar or, if that is even, the scalar plus L,
 * both below 2^254. Replacing k by k/16 rounded to an odd number is what makes the digits.
 */
export function regularDigits(scalar: bigint, to: Int8Array, at: number): void {
  setBits(scalar & 1n ? scalar : scalar + L);
  for (let i = 0; i < REGULAR_DIGITS - 1; i++) to[at + i] = (window(4 * i) | 1) - 16;
  to[at + REGULAR_DIGITS - 1] = window(4 * (REGULAR_DIGITS - 1)) | 1;
}

/** Terms of a coefficient, and below which power of two they are. */
export const TERMS = 24;
const TERM_POSITIONS = 251;

const RANDOM_BYTES = 8192;
const random = new Uint8Array(RANDOM_BYTES);
let used = RANDOM_BYTES;
function randomByte(): number {
  if (used === RANDOM_BYTES) {
    randomFillSync(random);
    used = 0;
  }
  const byte = random[used] ?? 0;
  // No coefficient is to be made of what another was made of.
  random[used++] = 0;
  return byte;
}

export type Coefficient = {
  readonly value: bigint;
  /** Twice a term's power of two, plus 1 if it is negative. */
  readonly terms: Uint16Array;
};

const positive = new BigUint64Array(4);
const negative = new BigUint64Array(4);
const [positiveBits, negativeBits] = [new Uint32Array(positive.buffer), new Uint32Array(negative.buffer)];

/**
 * A random coefficient: 24 terms ±2^e, e < 251, no two with neighbouring or equal e.
 *
 * Numbers of this form (non-adjacent) are different if their terms are. They are within 2^251 · 2/3, so any
 * two are different modulo L > 2^252 too. Terms are drawn one after the other; those that don't fit are drawn
 * again. A term forbids three values of e at most, so whichever 24 terms one has in mind, each of the 24! orders
 * of drawing them has a chance of at most Π 1/(2·(251 − 3i)), i = 0 … 23: together less than 2^-130.9. That is
 * the chance that this coefficient is the one that hides a wrong signature: of it, modulo L, there is only one.
 */
export function randomCoefficient(): Coefficient {
  positive.fill(0n);
  negative.fill(0n);
  const terms = new Uint16Array(TERMS);
  const isTaken = (e: number): boolean =>
    e >= 0 && ((((positiveBits[e >> 5] ?? 0) | (negativeBits[e >> 5] ?? 0)) >>> (e & 31)) & 1) === 1;
  for (let signs = 0, i = 0; i < TERMS; signs >>= 1) {
    if (i % 8 === 0) signs = randomByte();
    let e = randomByte();
    while (e >= TERM_POSITIONS || isTaken(e) || isTaken(e - 1) || isTaken(e + 1)) e = randomByte();
    const sign = signs & 1;
    const to = sign === 1 ? negativeBits : positiveBits;
    to[e >> 5] = (to[e >> 5] ?? 0) | (1 << (e & 31));
    terms[i++] = 2 * e + sign;
  }
  return { value: numberOfWords(positive, 4) - numberOfWords(negative, 4), terms };
}

/** Modulo the order of the base point. */
export function modL(value: bigint): bigint {
  const rest = value % L;
  return rest < 0n ? rest + L : rest;
}
