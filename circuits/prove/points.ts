/**
 * Stored points of G1 and G2, and sums of many groups of them on the vector machine. Called by multiexp.ts and
 * groth16.ts; browser safe.
 *
 * Points are affine, because the inversion that an addition needs is shared by all additions of a step, at
 * three products each. A group is summed as a tree: all pairs of all groups are one step. The formula's
 * exceptions (a point plus itself or its negative) show as a product that is zero; then each is set right
 * alone. That happens where a key repeats points, and is rare.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { createField, type Field, type Register } from "../batch/field.ts";
import { SLOT_BYTES } from "../batch/kernels.ts";
import { balancedLimbs, LIMBS, mod, valueOfLimbs } from "../batch/limbs.ts";
import { createSlotInverter } from "../batch/powers.ts";
import { type Degree, pointBytes, pointKernels } from "./kernels.ts";
import { limbsOfWords } from "./words.ts";

/** Additions of one step: two a slot. */
const SLOTS = 2048;
/** Chains of products that are under way at once: one alone would wait for every result. */
const CHAINS = 4;

/** Coordinates of an affine point: x, y, or the parts of x and of y. */
export type Coordinates = readonly bigint[];

/** Points in memory. `entries` leaves out those at infinity, `terms` says which the others are. */
export type Bases = { readonly degree: Degree; readonly entries: Int32Array; readonly terms: Int32Array };

/** Entries of group g: `lengths[g]` of them, from `starts[g]`. */
export type Groups = {
  readonly entries: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
};

export type Adder = NonNullable<Awaited<ReturnType<typeof createAdder>>>;

/** `undefined` on machines without fused multiply-add. */
export async function createAdder() {
  const field = await createField(SLOTS, { extension: pointKernels });
  return field === undefined ? undefined : adderOf(field);
}

function adderOf(field: Field) {
  const { partBytes } = field;
  const [x, ny, nxs, dy, dx, scratch] = Array.from({ length: 6 }, () => field.fp2()) as [
    Register,
    Register,
    Register,
    Register,
    Register,
    Register,
  ];
  const [prefix, inverse, norm] = [field.fp(), field.fp(), field.fp()];
  const pairs = field.allocate(4 * 4 * SLOTS);
  const toForm = field.fp();
  for (let element = 0; element < 2 * SLOTS; element++) {
    // A key's coordinates are v·2^256: times 2^254, over 2^255, that is v·2^255.
    field.writeLimbs(toForm, element, balancedLimbs(mod(1n << 254n), LIMBS));
  }
  const slotInverter = createSlotInverter(field);
  const gather = { 1: field.kernel("gather1"), 2: field.kernel("gather2") } as const;
  const finish = { 1: field.kernel("finish1"), 2: field.kernel("finish2") } as const;

  let words = new Int32Array(field.memory());
  let doubles = new Float64Array(field.memory());
  const allocate = (bytes: number): number => {
    const address = field.allocate(bytes);
    words = new Int32Array(field.memory());
    doubles = new Float64Array(field.memory());
    return address;
  };
  /** Sums of the work in hand. */
  let [area, areaBytes, cursor] = [0, 0, 0];

  /** Inverses of all elements, or false if one is zero. */
  const invert = (a: Register, n: number): boolean => {
    const slot = (register: Register, i: number): Register => register + i * SLOT_BYTES;
    const width = Math.min(CHAINS, n);
    field.normal(prefix, a, width);
    if (n > width) field.mul(slot(prefix, width), slot(a, width), prefix, n - width);
    // The chains' ends become one product, by continuing as one chain.
    const last = n - width;
    const totals = scratch;
    field.copy(totals, slot(prefix, last), 1);
    for (let i = 1; i < width; i++) {
      field.mul(slot(totals, i), slot(totals, i - 1), slot(prefix, last + i), 1);
    }
    const total = slot(totals, width - 1);
    if (field.isZero(total, 0) || field.isZero(total, 1)) return false;
    const rest = slot(totals, width);
    slotInverter.invert(rest, total);
    for (let i = width - 1; i > 0; i--) {
      field.mul(slot(inverse, last + i), rest, slot(totals, i - 1), 1);
      field.mul(rest, rest, slot(prefix, last + i), 1);
    }
    field.copy(slot(inverse, last), rest, 1);
    // Now `inverse` has the inverses of the prefixes at the end; downwards, then times the prefixes before.
    field.mulDown(slot(inverse, last - 1), slot(inverse, n - 1), slot(a, n - 1), n - width);
    if (n > width) field.mul(slot(inverse, width), slot(inverse, width), prefix, n - width);
    return true;
  };

  const parts = (degree: Degree, register: Register): Register[] =>
    degree === 1 ? [register] : [register, field.part1(register)];
  const read = (degree: Degree, register: Register, element: number): bigint[] =>
    parts(degree, register).map((part) => field.read(part, element));
  const write = (degree: Degree, register: Register, element: number, values: readonly bigint[]): void => {
    for (const [i, part] of parts(degree, register).entries()) field.write(part, element, values[i] ?? 0n);
  };
  /** Which elements are zero; of up to four units. */
  const zeros = (degree: Degree, register: Register, n: number): number[] => {
    const [first = 0, ...others] = parts(degree, register).map((part, i) => {
      const at = i === 0 ? scratch : field.part1(scratch);
      field.normal(at, part, n);
      return at;
    });
    const found: number[] = [];
    for (let element = 0; element < 2 * n; element++) {
      // Almost all have another lowest limb than 0.
      if (doubles[(first + (element >> 1) * SLOT_BYTES) / 8 + (element & 1)] !== 0) continue;
      if ([first, ...others].every((part) => field.isZero(part, element))) found.push(element);
    }
    return found;
  };

  /** Sets slope's parts right where x₂ = x₁; answers which sums are infinity. */
  const exceptions = (degree: Degree, n: number): number[] => {
    const equal = new Set(zeros(degree, dy, n));
    return zeros(degree, dx, n).filter((element) => {
      const double = equal.has(element);
      // No point has y = 0: the groups' orders are odd.
      const [x0 = 0n, x1 = 0n] = read(degree, x, element);
      const y = read(degree, ny, element).map((part) => mod(-part));
      const square = degree === 1 ? [x0 * x0] : [x0 * x0 - x1 * x1, 2n * x0 * x1];
      write(degree, dy, element, double ? square.map((part) => mod(3n * part)) : [0n]);
      write(degree, dx, element, double ? y.map((part) => mod(2n * part)) : [1n]);
      return !double;
    });
  };

  /** Adds `count` pairs; sums are stored from the cursor on. Answers the addresses of those at infinity. */
  const addPairs = (degree: Degree, count: number): number[] => {
    const size = pointBytes(degree);
    const n = (count + 1) >> 1;
    if (count % 2 === 1) {
      // The other lane adds the same once more, into the place behind.
      const at = pairs / 4 + 2 * count;
      words[at] = words[at - 2] ?? 0;
      words[at + 1] = words[at - 1] ?? 0;
    }
    invariant(cursor + 2 * n * size <= area + areaBytes, "sums fit the area");
    gather[degree](pairs, x, ny, nxs, dy, dx, n);
    const denominators = (): Register => {
      if (degree === 1) return dx;
      field.norm2(norm, dx, n);
      return norm;
    };
    let infinite: number[] = [];
    if (!invert(denominators(), n)) {
      infinite = exceptions(degree, n);
      invariant(invert(denominators(), n), "exceptions are set right");
    }
    if (degree === 1) finish[1](cursor, x, ny, nxs, dy, inverse, n);
    else finish[2](cursor, x, ny, nxs, dy, dx, inverse, n);
    const addresses = infinite.map((element) => cursor + element * size);
    cursor += count * size;
    return addresses;
  };

  const readPoint = (degree: Degree, entry: number): Coordinates => {
    const at = (entry & -2) / 8;
    return Array.from({ length: 2 * degree }, (_, c) => {
      const limbs = doubles.subarray(at + c * LIMBS, at + (c + 1) * LIMBS);
      const value = mod(valueOfLimbs([...limbs]) * field.modulus.formInverse);
      return c >= degree && (entry & 1) === 1 ? mod(-value) : value;
    });
  };

  return {
    /** Affine points as a key has them: coordinates of 32 bytes, little-endian, times 2^256; infinity is zeros. */
    load: (degree: Degree, bytes: Uint8Array): Bases => {
      const size = pointBytes(degree);
      const coordinates = 2 * degree;
      const keyBytes = 32 * coordinates;
      const count = bytes.length / keyBytes;
      const source = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      const finite: number[] = [];
      for (let i = 0; i < count; i++) {
        if (source.subarray((i * keyBytes) / 4, ((i + 1) * keyBytes) / 4).some((word) => word !== 0)) {
          finite.push(i);
        }
      }
      const at = allocate(finite.length * size);
      const limbs = new Float64Array(LIMBS);
      for (let first = 0; first < finite.length; first += 2 * SLOTS) {
        const chunk = finite.slice(first, first + 2 * SLOTS);
        for (let c = 0; c < coordinates; c++) {
          for (const [element, i] of chunk.entries()) {
            limbsOfWords(source, (i * keyBytes + 32 * c) / 4, limbs);
            field.writeLimbs(x, element, limbs);
          }
          field.mul(x, x, toForm, (chunk.length + 1) >> 1);
          for (let element = 0; element < chunk.length; element++) {
            const place = (at + (first + element) * size) / 8 + c * LIMBS;
            doubles.set(field.readLimbs(x, element), place);
          }
        }
      }
      return {
        degree,
        entries: Int32Array.from(finite, (_, k) => at + k * size),
        terms: Int32Array.from(finite),
      };
    },
    /** A place for one more point, which `place` fills. */
    reservePoint: (degree: Degree): number => allocate(pointBytes(degree)),
    place: (entry: number, coordinates: Coordinates): void => {
      for (const [c, value] of coordinates.entries()) {
        doubles.set(field.modulus.elementLimbs(value), entry / 8 + c * LIMBS);
      }
    },
    readPoint,
    /** Room for so many sums, all earlier ones forgotten. */
    begin: (degree: Degree, sums: number): void => {
      const bytes = (sums + 2) * pointBytes(degree);
      if (bytes > areaBytes) {
        area = allocate(bytes);
        areaBytes = bytes;
      }
      cursor = area;
    },
    /** Sums every group, in place: one entry is left of it, or none. */
    sum: (degree: Degree, { entries, starts, lengths }: Groups): void => {
      const size = pointBytes(degree);
      let active = Array.from(lengths.keys()).filter((g) => (lengths[g] ?? 0) > 1);
      while (active.length > 0) {
        const infinite = new Set<number>();
        let count = 0;
        const flush = (): void => {
          if (count > 0) for (const address of addPairs(degree, count)) infinite.add(address);
          count = 0;
        };
        for (const g of active) {
          const start = starts[g] ?? 0;
          const length = lengths[g] ?? 0;
          let to = start;
          for (let i = start; i + 1 < start + length; i += 2) {
            const pair = pairs / 4 + 2 * count;
            words[pair] = entries[i] ?? 0;
            words[pair + 1] = entries[i + 1] ?? 0;
            entries[to++] = cursor + count * size;
            if (++count === 2 * SLOTS) flush();
          }
          if (length % 2 === 1) entries[to++] = entries[start + length - 1] ?? 0;
          lengths[g] = to - start;
        }
        flush();
        if (infinite.size > 0) {
          for (const g of active) {
            const start = starts[g] ?? 0;
            let to = start;
            for (let i = start; i < start + (lengths[g] ?? 0); i++) {
              const entry = entries[i] ?? 0;
              if (!infinite.has(entry)) entries[to++] = entry;
            }
            lengths[g] = to - start;
          }
        }
        active = active.filter((g) => (lengths[g] ?? 0) > 1);
      }
    },
    /** Overwrites the sums and what led to them. */
    wipe: (): void => {
      slotInverter.wipe();
      doubles.fill(0, area / 8, (area + areaBytes) / 8);
      for (const register of [x, ny, nxs, dy, dx, scratch]) {
        doubles.fill(0, register / 8, (register + 2 * partBytes) / 8);
      }
      for (const register of [prefix, inverse, norm]) {
        doubles.fill(0, register / 8, (register + partBytes) / 8);
      }
      words.fill(0, pairs / 4, pairs / 4 + 4 * SLOTS);
    },
    bytes: (): number => field.memory().byteLength,
  };
}
