/**
 * Tables of odd multiples, of many keys at a time. Called by points.ts.
 *
 * The multiples are summed as extended points; then one inversion a key, of the product of its Z, makes them
 * affine. No Z is 0, because the formulas are complete.
 */

import { AFFINE_BYTES, EXTENDED_BYTES, PAIR_BYTES, SLOT_BYTES } from "./kernels.ts";
import type { Machine, Register } from "./machine.ts";

/** Odd multiples in a table: 1, 3, … 15. */
export const MULTIPLES = 8;
export const TABLE_BYTES = MULTIPLES * AFFINE_BYTES;

/** Address of a point to be added, plus 1 for its negative. */
export type Addend = number;
/** Address of a key's odd multiples. */
export type Table = number;

const REGISTERS = 6;
const ROWS = MULTIPLES + 1;

/** What `keys` at a time take of the memory, an even number of them. */
export const tablesBytes = (keys: number): number =>
  MULTIPLES * keys * ((REGISTERS * SLOT_BYTES) / 2 + AFFINE_BYTES) +
  ROWS * keys * EXTENDED_BYTES +
  (keys / 2) * PAIR_BYTES;

/** `invert` inverts the elements of a register, none of them 0. */
export function createTables(
  machine: Machine,
  keys: number,
  invert: (d: Register, a: Register, slots: number) => void,
) {
  const { mul, numbers, words } = machine;
  const [x, y, z, prefix, inverse, rest] = Array.from({ length: REGISTERS }, () =>
    machine.register((MULTIPLES * keys) / 2),
  ) as [Register, Register, Register, Register, Register, Register];
  const extended = machine.allocate(ROWS * keys * EXTENDED_BYTES);
  const affine = machine.allocate(MULTIPLES * keys * AFFINE_BYTES);
  const list = machine.allocate((keys / 2) * PAIR_BYTES);

  /** Fills the tables at `places` with the multiples of `points`. */
  return (points: readonly Addend[], places: readonly Table[]): void => {
    const slots = Math.ceil(points.length / 2);
    const width = 2 * slots;
    const row = (i: number, key = 0): number => extended + (i * width + key) * EXTENDED_BYTES;
    const copyRow = (to: number, from: number): void => {
      numbers.copyWithin(row(to) / 8, row(from) / 8, row(from + 1) / 8);
    };
    const writeList = (sums: number, addend: (key: number) => number): void => {
      for (let key = 0; key < width; key++) {
        words[list / 4 + 2 * key] = row(sums, key);
        words[list / 4 + 2 * key + 1] = addend(key);
      }
    };
    for (let key = 0; key < width; key++) machine.writeNeutral(row(0, key));
    writeList(0, (key) => points[Math.min(key, points.length - 1)] ?? 0);
    machine.addAffine(list, slots);
    copyRow(MULTIPLES, 0);
    machine.double(row(MULTIPLES), slots, 1);
    for (let i = 1; i < MULTIPLES; i++) {
      copyRow(i, i - 1);
      writeList(i, (key) => row(MULTIPLES, key));
      machine.addExtended(list, slots);
    }

    for (let element = 0; element < MULTIPLES * width; element++) {
      const at = row(0, element);
      for (const [c, register] of [x, y, z].entries()) machine.moveSingle(register, element, at, c);
    }
    const part = (register: Register, i: number): Register => register + i * slots * SLOT_BYTES;
    // Products of each key's Z up to the i-th; backwards from their inverse, those of the single ones.
    machine.copy(prefix, z, slots);
    mul(part(prefix, 1), part(z, 1), prefix, (MULTIPLES - 1) * slots);
    invert(rest, part(prefix, MULTIPLES - 1), slots);
    for (let i = MULTIPLES - 1; i > 0; i--) {
      mul(part(inverse, i), rest, part(prefix, i - 1), slots);
      mul(rest, rest, part(z, i), slots);
    }
    machine.copy(inverse, rest, slots);
    mul(x, x, inverse, MULTIPLES * slots);
    mul(y, y, inverse, MULTIPLES * slots);
    machine.affine(affine, x, y, MULTIPLES * slots);
    for (const [key, place] of places.entries()) {
      for (let i = 0; i < MULTIPLES; i++) {
        const from = (affine + (i * width + key) * AFFINE_BYTES) / 8;
        numbers.copyWithin((place + i * AFFINE_BYTES) / 8, from, from + AFFINE_BYTES / 8);
      }
    }
  };
}
