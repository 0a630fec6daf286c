/**
 * Points from their encodings, and tables of public keys' multiples. Called by equation.ts and verifier.ts.
 *
 * Decoding is ZIP-215's: y is 255 bits, taken modulo p; the highest bit is x's lowest; where x is 0 both values
 * of the bit mean it. Only an encoding whose y is on no point is refused. x² = u/v with u = y² − 1 and
 * v = dy² + 1, which is never 0: x = uv³ · (uv⁷)^((p−5)/8) if vx² = u, that times a root of −1 if vx² = −u.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { BASE, D, ROOT_OF_MINUS_ONE } from "./curve.ts";
import { AFFINE_BYTES, SLOT_BYTES } from "./kernels.ts";
import type { Machine, Register } from "./machine.ts";
import { type Addend, createTables, TABLE_BYTES, type Table, tablesBytes } from "./tables.ts";

/** Keys with tables; the one that was not used for longest goes first. The base point's is beside them. */
export const KEYS_MAX = 4096;
/** Signatures of one equation: as many points R, and no more new keys. */
export const PIECE = 128;

const SLOTS = PIECE;
const REGISTERS = 17;

export const POINTS_BYTES =
  (KEYS_MAX + 1) * TABLE_BYTES +
  REGISTERS * SLOTS * SLOT_BYTES +
  2 * PIECE * AFFINE_BYTES +
  tablesBytes(PIECE);

export type Points = ReturnType<typeof createPoints>;

export function createPoints(machine: Machine) {
  const { mul, add, sub, squarings } = machine;
  const register = (): Register => machine.register(SLOTS);
  const [x, y, u, v, v3, check, other] = [
    register(),
    register(),
    register(),
    register(),
    register(),
    register(),
    register(),
  ];
  const [power, z11, z5, z10, z50] = [register(), register(), register(), register(), register()];
  const constant = (value: bigint): Register => {
    const made = register();
    machine.fill(made, SLOTS, value);
    return made;
  };
  const [zero, one, d, root] = [constant(0n), constant(1n), constant(D), constant(ROOT_OF_MINUS_ONE)];
  const decoded = machine.allocate(2 * PIECE * AFFINE_BYTES);

  /** z^(2^250 − 1) into `power`, z^11 into `z11`; the others are z^(2^k − 1). z is none of them. */
  const climb = (z: Register, n: number): void => {
    const raise = (to: Register, from: Register, times: number): void => {
      mul(to, from, from, n);
      if (times > 1) squarings(to, n, times - 1);
    };
    raise(z11, z, 1);
    raise(z5, z11, 2);
    mul(z5, z5, z, n); // z^9
    mul(z11, z11, z5, n);
    raise(power, z11, 1);
    mul(z5, power, z5, n);
    raise(power, z5, 5);
    mul(z10, power, z5, n);
    raise(power, z10, 10);
    mul(power, power, z10, n); // 20
    raise(z50, power, 20);
    mul(z50, z50, power, n); // 40
    squarings(z50, n, 10);
    mul(z50, z50, z10, n);
    raise(power, z50, 50);
    mul(power, power, z50, n); // 100
    raise(z10, power, 100);
    mul(power, z10, power, n); // 200
    squarings(power, n, 50);
    mul(power, power, z50, n);
  };
  const invert = (to: Register, a: Register, n: number): void => {
    climb(a, n);
    squarings(power, n, 5);
    mul(to, power, z11, n);
  };

  /** 32 bytes each, little-endian; the highest bit is left out. */
  const readY = (encodings: readonly Uint8Array[]): void => {
    const limbs = new Float64Array(5);
    for (const [i, bytes] of encodings.entries()) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
      const w1 = view.getUint32(4, true);
      const w3 = view.getUint32(12, true);
      const w4 = view.getUint32(16, true);
      const w6 = view.getUint32(24, true);
      limbs[0] = view.getUint32(0, true) + (w1 & 0x7ffff) * 2 ** 32;
      limbs[1] = (w1 >>> 19) + view.getUint32(8, true) * 2 ** 13 + (w3 & 0x3f) * 2 ** 45;
      limbs[2] = (w3 >>> 6) + (w4 & 0x1ffffff) * 2 ** 26;
      limbs[3] = (w4 >>> 25) + view.getUint32(20, true) * 2 ** 7 + (w6 & 0xfff) * 2 ** 39;
      limbs[4] = (w6 >>> 12) + (view.getUint32(28, true) & 0x7fffffff) * 2 ** 20;
      machine.writeLimbs(y, i, limbs);
    }
  };

  /** Up to 2 · PIECE encodings. x and y are left in the registers, of x or −x. */
  const lift = (encodings: readonly Uint8Array[]): { valid: boolean; negative: boolean }[] => {
    const n = Math.ceil(encodings.length / 2);
    invariant(n <= SLOTS, "as many points as there is room for");
    readY(encodings);
    add(y, y, zero, n); // tight
    mul(power, y, y, n);
    sub(u, power, one, n);
    mul(v, power, d, n);
    add(v, v, one, n);
    mul(v3, v, v, n);
    mul(v3, v3, v, n);
    mul(check, v3, v3, n);
    mul(check, check, v, n);
    mul(check, check, u, n);
    mul(v3, v3, u, n);
    climb(check, n);
    squarings(power, n, 2);
    mul(power, power, check, n);
    mul(x, power, v3, n);
    mul(check, x, x, n);
    mul(check, check, v, n);
    add(other, check, u, n);
    sub(check, check, u, n);
    mul(v3, x, root, n);
    return encodings.map((bytes, i) => {
      const isRoot = machine.isZero(check, i);
      const valid = isRoot || machine.isZero(other, i);
      if (!isRoot) machine.move(x, i, v3, i);
      return { valid, negative: machine.isOdd(x, i) !== (bytes[31] ?? 0) >= 0x80 };
    });
  };

  const makeTables = createTables(machine, PIECE, invert);
  const base: Table = machine.allocate(TABLE_BYTES);
  const [ofBase] = lift([BASE]);
  machine.affine(decoded, x, y, 1);
  makeTables([decoded + (ofBase?.negative === true ? 1 : 0)], [base]);

  const tables = new Map<string, Table>();
  const firstTable = machine.allocate(KEYS_MAX * TABLE_BYTES);
  /** A place for a new key's table. */
  const placeOf = (): Table => {
    if (tables.size < KEYS_MAX) return firstTable + tables.size * TABLE_BYTES;
    const [oldest = ["", firstTable]] = tables;
    tables.delete(oldest[0]);
    return oldest[1];
  };

  return {
    /** The base point's table. */
    base,
    /** The table of a key, by its name, if it is known. */
    tableOf: (name: string): Table | undefined => {
      const table = tables.get(name);
      if (table === undefined) return undefined;
      tables.delete(name);
      tables.set(name, table);
      return table;
    },
    /**
     * Points to be added, undefined where an encoding has none. They stay until the next call. New keys that are
     * points get tables, which stay for as long as no more than KEYS_MAX − PIECE other keys are used.
     */
    decode: (
      encodings: readonly Uint8Array[],
      keys: ReadonlyMap<string, Uint8Array>,
    ): (Addend | undefined)[] => {
      const found = lift([...encodings, ...keys.values()]);
      const count = encodings.length;
      machine.affine(decoded, x, y, Math.ceil(found.length / 2));
      const names = [...keys.keys()].filter((_, i) => found[count + i]?.valid === true);
      const addends = found.map(({ valid, negative }, i): Addend | undefined =>
        valid ? decoded + i * AFFINE_BYTES + (negative ? 1 : 0) : undefined,
      );
      const points = addends.slice(count).filter((addend) => addend !== undefined);
      const places: Table[] = [];
      for (const name of names) {
        const place = placeOf();
        tables.set(name, place);
        places.push(place);
      }
      if (points.length > 0) makeTables(points, places);
      return addends.slice(0, count);
    },
  };
}
