/**
 * The equations: of many signatures at once, or of each alone. Called by verifier.ts.
 *
 * A signature holds if V = s·B − R − h·A, times 8, is the neutral element. The group of the curve's points has
 * order 8L, so scalars count modulo L: 8·L·A is neutral for each A, whatever its part of small order.
 *
 * Together: Σ z·V, times 8, with random z. If all 8V are neutral, so is this. If one is not, then whatever the
 * other coefficients are, for at most one value of its own modulo L is the sum neutral, since 8V is in the group
 * of prime order L: a chance of less than 2^-128 (scalars.ts). So times 8 is what makes the verdict the same
 * in any company: without it, parts of small order could cancel each other.
 *
 * Digits of all scalars are additions to sums, one for each power of two; points with many bits behind them are
 * not doubled, only these sums are, the upper half of them beside the lower.
 */

import { AFFINE_BYTES, EXTENDED_BYTES, PAIR_BYTES } from "./kernels.ts";
import type { Machine } from "./machine.ts";
import { PIECE, type Points } from "./points.ts";
import {
  eachDigit,
  modL,
  POSITIONS,
  REGULAR_DIGITS,
  randomCoefficient,
  regularDigits,
  TERMS,
} from "./scalars.ts";
import type { Addend, Table } from "./tables.ts";

/** A signature whose points are decoded, and whose s is below L. */
export type Claim = {
  readonly r: Addend;
  readonly key: Table;
  readonly s: bigint;
  /** SHA-512 of R, A and the message, as it is. */
  readonly hash: bigint;
};

const HALF = POSITIONS / 2;
/** Slots of two digits of a scalar, which has at most one in five positions. */
const SCALAR_SLOTS = Math.ceil(POSITIONS / 10) + 1;
const LIST_SLOTS = (PIECE * TERMS) / 2 + (PIECE + 1) * SCALAR_SLOTS;
/** Sums; the two halves; one that takes what belongs to none. */
const SUMS = POSITIONS + 3;

export const EQUATION_BYTES = SUMS * EXTENDED_BYTES + (LIST_SLOTS + HALF + 1) * PAIR_BYTES;

export type Equation = ReturnType<typeof createEquation>;

export function createEquation(machine: Machine, { base }: Pick<Points, "base">) {
  const { numbers, words } = machine;
  const sums = machine.allocate(SUMS * EXTENDED_BYTES);
  const sum = (i: number): number => sums + i * EXTENDED_BYTES;
  const [lower, upper, rest] = [sum(POSITIONS), sum(POSITIONS + 1), sum(POSITIONS + 2)];
  const list = machine.allocate(LIST_SLOTS * PAIR_BYTES);
  const halves = machine.allocate((HALF + 1) * PAIR_BYTES);
  for (let i = 0; i < HALF; i++) {
    words.set([lower, sum(i), upper, sum(HALF + i)], (halves + i * PAIR_BYTES) / 4);
  }
  words.set([lower, upper, rest, lower], (halves + HALF * PAIR_BYTES) / 4);

  const clear = (count: number): void => {
    machine.writeNeutral(sums);
    for (let done = 1; done < count; done *= 2) {
      numbers.copyWithin(sum(done) / 8, sums / 8, sum(Math.min(done, count - done)) / 8);
    }
  };
  let next = list / 4;
  const push = (to: number, addend: Addend): void => {
    words[next] = to;
    words[next + 1] = addend;
    next += 2;
  };
  /** Two additions of one slot must not be to one sum: an odd number of them is made even. */
  const fillSlot = (): void => {
    if (((next - list / 4) & 3) === 2) push(rest, base);
  };
  const flush = (): void => {
    fillSlot();
    machine.addAffine(list, (next - list / 4) / 4);
    next = list / 4;
  };
  const pushScalar = (table: Table, scalar: bigint, negative: 0 | 1): void => {
    eachDigit(scalar, (position, digit) => {
      const sign = digit < 0 ? 1 : 0;
      push(sum(position), table + (Math.abs(digit) >> 1) * AFFINE_BYTES + (sign ^ negative));
    });
    fillSlot();
  };

  const digits = new Int8Array(2 * PIECE * REGULAR_DIGITS);

  return {
    /** Whether all of them hold: at most PIECE. */
    check: (claims: readonly Claim[]): boolean => {
      clear(SUMS);
      const ofKeys = new Map<Table, bigint>();
      let ofBase = 0n;
      for (const { r, key, s, hash } of claims) {
        const { value, terms } = randomCoefficient();
        ofBase += value * s;
        ofKeys.set(key, (ofKeys.get(key) ?? 0n) + value * hash);
        for (let i = 0; i < TERMS; i++) {
          const term = terms[i] ?? 0;
          push(sum(term >> 1), r ^ 1 ^ (term & 1));
        }
      }
      for (const [key, scalar] of ofKeys) pushScalar(key, modL(scalar), 1);
      pushScalar(base, modL(ofBase), 0);
      flush();
      for (let i = HALF - 1; i >= 0; i--) {
        if (i < HALF - 1) machine.double(lower, 1, 1);
        machine.addExtended(halves + i * PAIR_BYTES, 1);
      }
      // 2^HALF · upper, doubled beside lower, which therefore waits elsewhere.
      numbers.copyWithin(sums / 8, lower / 8, upper / 8);
      machine.double(lower, 1, HALF);
      numbers.copyWithin(lower / 8, sums / 8, sum(1) / 8);
      machine.addExtended(halves + HALF * PAIR_BYTES, 1);
      machine.double(lower, 1, 3);
      return machine.isNeutral(lower);
    },
    /** A verdict each, without chance: at most PIECE. All are computed in step, digit by digit. */
    checkEach: (claims: readonly Claim[]): boolean[] => {
      const slots = Math.ceil(claims.length / 2);
      clear(2 * slots);
      for (const [i, { s, hash }] of claims.entries()) {
        regularDigits(modL(hash), digits, 2 * i * REGULAR_DIGITS);
        regularDigits(s, digits, (2 * i + 1) * REGULAR_DIGITS);
      }
      for (let digit = REGULAR_DIGITS - 1; digit >= 0; digit--) {
        if (digit < REGULAR_DIGITS - 1) machine.double(sums, slots, 4);
        for (const part of [0, 1] as const) {
          for (const [i, { key }] of claims.entries()) {
            const value = digits[(2 * i + part) * REGULAR_DIGITS + digit] ?? 0;
            const negative = value < 0 !== (part === 0);
            const table = part === 0 ? key : base;
            push(sum(i), table + (Math.abs(value) >> 1) * AFFINE_BYTES + (negative ? 1 : 0));
          }
          fillSlot();
        }
        flush();
      }
      for (const [i, { r }] of claims.entries()) push(sum(i), r ^ 1);
      flush();
      machine.double(sums, slots, 3);
      return claims.map((_, i) => machine.isNeutral(sum(i)));
    },
  };
}
