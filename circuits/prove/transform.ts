/**
 * From a witness to the values of H: the constraints' sums A·w and B·w, their product C, and A·B − C at the odd
 * points of the doubled domain, by transforms in the scalar field. Called by groth16.ts; browser safe.
 *
 * A and B lie in the two lanes of the same registers, so one transform is both; C's has the same in both lanes.
 * The inverse transform takes values in order and leaves coefficients in bit-reversed order, the one forward
 * takes those and leaves values in order, so nothing is ever reordered.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { createField, type Field, type Register } from "../batch/field.ts";
import { SLOT_BYTES } from "../batch/kernels.ts";
import { balancedLimbs, LIMBS } from "../batch/limbs.ts";
import { transformKernels } from "./butterflies.ts";
import { SINGLE_BYTES } from "./kernels.ts";
import { limbsOfWords } from "./words.ts";
import { type Coefficients, type ProvingKey, SCALARS } from "./zkey.ts";

const { mod, order: r, power } = SCALARS;
/** As in the keys: powers of this are the roots of unity. */
const GENERATOR = 5n;
const TWO_ADICITY = 28n;
/** Registers of the machine itself, which work in pieces. */
const SLOTS = 256;

/** A primitive root of unity of order 2^k. */
export const rootOfUnity = (k: number): bigint =>
  power(power(GENERATOR, (r - 1n) >> TWO_ADICITY), 1n << (TWO_ADICITY - BigInt(k)));

export type Transform = ReturnType<typeof createTransform>;

/** The machine of the scalar field; `undefined` on machines without fused multiply-add. */
export const createScalarField = (): Promise<Field | undefined> =>
  createField(SLOTS, { modulus: SCALARS, extension: transformKernels });

export function createTransform(field: Field, key: ProvingKey) {
  const { domain: N, variables } = key;
  const log = Math.log2(N);
  const [multiplyAdd, collect, lanesProduct, bySingles, sumFirst, productFirst] = [
    "multiplyAdd",
    "collect",
    "lanesProduct",
    "bySingles",
    "sumFirst",
    "productFirst",
  ].map(field.kernel) as [Kernel, Kernel, Kernel, Kernel, Kernel, Kernel];
  const doublesNow = (): Float64Array => new Float64Array(field.memory());

  const work = field.allocate(N * SLOT_BYTES);
  const other = field.allocate(N * SLOT_BYTES);
  const zero = field.allocate(SINGLE_BYTES);
  const witness = field.allocate(variables * SINGLE_BYTES);
  const piece = field.fp();

  /** start · base^0, start · base^1, … as singles, by doubling what is there. */
  const powersOf = (base: bigint, count: number, start = 1n): number => {
    const slots = Math.max(1, count / 2);
    const at = field.allocate(count * SINGLE_BYTES);
    field.write(work, 0, start);
    field.write(work, 1, mod(start * base));
    for (let have = 1; have < slots; have *= 2) {
      const factor = power(base, BigInt(2 * have));
      field.write(piece, 0, factor);
      field.write(piece, 1, factor);
      field.mulBy(work + have * SLOT_BYTES, work, piece, have);
    }
    const doubles = doublesNow();
    for (let i = 0; i < count; i++) doubles.set(field.readLimbs(work, i), (at + i * SINGLE_BYTES) / 8);
    return at;
  };
  const root = rootOfUnity(log);
  const forwards = powersOf(root, N / 2);
  const backwards = powersOf(power(root, r - 2n), N / 2);
  /** The odd points are the even ones times this. */
  const shifts = bitReversed(powersOf(rootOfUnity(log + 1), N, power(BigInt(N), r - 2n)));

  function bitReversed(at: number): number {
    const doubles = doublesNow();
    const values = doubles.slice(at / 8, at / 8 + N * LIMBS);
    for (let i = 0; i < N; i++) {
      let reversed = 0;
      for (let bit = 0; bit < log; bit++) if ((i >> bit) & 1) reversed |= 1 << (log - 1 - bit);
      doubles.set(values.subarray(LIMBS * i, LIMBS * (i + 1)), at / 8 + LIMBS * reversed);
    }
    return at;
  }

  const rows = rowsOf(field, key, witness, zero);
  const sums = field.allocate(rows.slots * SLOT_BYTES + SLOT_BYTES);
  const places = rows.places(sums);
  const memory = doublesNow();

  /** One layer: blocks of 2·half slots; the longer of the two loops inside. */
  const layer = (kernel: Kernel, at: Register, roots: number, half: number): void => {
    const blocks = N / (2 * half);
    if (half >= blocks) {
      for (let block = 0; block < blocks; block++) {
        const a = at + block * 2 * half * SLOT_BYTES;
        kernel(a, a + half * SLOT_BYTES, roots, half, SLOT_BYTES, blocks * SINGLE_BYTES);
      }
    } else {
      for (let j = 0; j < half; j++) {
        const a = at + j * SLOT_BYTES;
        kernel(a, a + half * SLOT_BYTES, roots + j * blocks * SINGLE_BYTES, blocks, 2 * half * SLOT_BYTES, 0);
      }
    }
  };
  /** Values at the even points → values at the odd points. */
  const toOddPoints = (at: Register): void => {
    for (let half = N / 2; half >= 1; half /= 2) layer(sumFirst, at, backwards, half);
    bySingles(at, at, shifts, N);
    for (let half = 1; half < N; half *= 2) layer(productFirst, at, forwards, half);
  };

  return {
    /** Takes in a witness: 32 bytes a signal. Answers its scalars' limbs, within ±r/2. */
    enter: (bytes: Uint8Array): Float64Array => {
      invariant(bytes.length === 32 * variables, "a witness has a value for every signal");
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      const scalars = new Float64Array(variables * LIMBS);
      const limbs = new Float64Array(LIMBS);
      const elements = 2 * SLOTS;
      for (let first = 0; first < variables; first += elements) {
        const count = Math.min(elements, variables - first);
        for (let i = 0; i < count; i++) {
          limbsOfWords(words, 8 * (first + i), limbs);
          field.writeLimbs(piece, i, limbs);
          centre(limbs);
          scalars.set(limbs, LIMBS * (first + i));
        }
        field.enterForm(piece, piece, (count + 1) >> 1);
        for (let i = 0; i < count; i++) {
          memory.set(field.readLimbs(piece, i), (witness + (first + i) * SINGLE_BYTES) / 8);
        }
      }
      limbs.fill(0);
      return scalars;
    },
    /** A, B and C at the even points, of the witness taken in. */
    constraints: (): void => {
      memory.fill(0, sums / 8, (sums + (rows.slots + 1) * SLOT_BYTES) / 8);
      for (const [addresses, slots] of rows.passes) multiplyAdd(sums, addresses, slots);
      collect(work, places, N);
      for (let first = 0; first < N; first += SLOTS) {
        const count = Math.min(SLOTS, N - first);
        const offset = first * SLOT_BYTES;
        lanesProduct(other + offset, work + offset, field.zero, count);
      }
    },
    /** The values of H at the odd points, after `constraints`: limbs of scalars within ±r/2. */
    quotient: (): Float64Array => {
      toOddPoints(work);
      toOddPoints(other);
      lanesProduct(work, work, other, N);
      const scalars = new Float64Array(N * LIMBS);
      for (let first = 0; first < N; first += SLOTS) {
        const count = Math.min(SLOTS, N - first);
        field.leaveForm(piece, work + first * SLOT_BYTES, count);
        for (let i = 0; i < count; i++) scalars.set(field.readLimbs(piece, 2 * i), LIMBS * (first + i));
      }
      return scalars;
    },
    /** Overwrites the witness and all that came of it. */
    wipe: (): void => {
      memory.fill(0, work / 8, (work + N * SLOT_BYTES) / 8);
      memory.fill(0, other / 8, (other + N * SLOT_BYTES) / 8);
      memory.fill(0, witness / 8, (witness + variables * SINGLE_BYTES) / 8);
      memory.fill(0, sums / 8, (sums + (rows.slots + 1) * SLOT_BYTES) / 8);
      memory.fill(0, piece / 8, (piece + field.partBytes) / 8);
    },
    bytes: (): number => field.memory().byteLength,
  };
}

type Kernel = (...numbers: number[]) => void;

const ORDER_LIMBS = balancedLimbs(r, LIMBS);
const HALF_TOP = (ORDER_LIMBS[LIMBS - 1] ?? 0) / 2;

/** From 0 … r to ±r/2 (give or take a bit of the top limb): small negative numbers become short. */
function centre(limbs: Float64Array): void {
  if ((limbs[LIMBS - 1] ?? 0) <= HALF_TOP) return;
  for (let i = 0; i < LIMBS; i++) limbs[i] = (limbs[i] ?? 0) - (ORDER_LIMBS[i] ?? 0);
  for (let i = 0; i < LIMBS - 1; i++) {
    const limb = limbs[i] ?? 0;
    const carry = Math.round(limb / 2 ** 51);
    limbs[i] = limb - carry * 2 ** 51;
    limbs[i + 1] = (limbs[i + 1] ?? 0) + carry;
  }
}

/**
 * The matrices as passes: pass k adds the k-th term of every row that has one. Rows are sorted by their number
 * of terms, so that those of a pass are the first ones.
 */
function rowsOf(field: Field, { coefficients, domain }: ProvingKey, witness: number, zero: number) {
  const { order, terms } = termsByRow(coefficients, domain);
  const values = coefficientSingles(field, coefficients);
  const passes: (readonly [addresses: number, slots: number])[] = [];
  const longest = order.length === 0 ? 0 : (terms[order[0] ?? 0]?.length ?? 0);
  let rows = order.length;
  for (let k = 0; k < longest; k++) {
    while (rows > 0 && (terms[order[rows - 1] ?? 0]?.length ?? 0) <= k) rows--;
    const slots = (rows + 1) >> 1;
    const addresses = field.allocate(16 * slots);
    const table = new Int32Array(field.memory(), addresses, 4 * slots).fill(zero);
    for (let i = 0; i < rows; i++) {
      const t = terms[order[i] ?? 0]?.[k] ?? 0;
      table[2 * i] = values(t);
      table[2 * i + 1] = witness + coefficients.signal(t) * SINGLE_BYTES;
    }
    passes.push([addresses, slots]);
  }
  const slots = (order.length + 1) >> 1;
  return {
    passes,
    slots,
    /** For each slot of the domain, where A's and B's rows are among the sums. */
    places: (sums: Register): number => {
      const nothing = sums + slots * SLOT_BYTES;
      const addresses = field.allocate(8 * domain);
      const table = new Int32Array(field.memory(), addresses, 2 * domain).fill(nothing);
      for (const [i, row] of order.entries()) {
        table[2 * (row % domain) + Math.floor(row / domain)] = sums + (i >> 1) * SLOT_BYTES + 8 * (i & 1);
      }
      return addresses;
    },
  };
}

/** The terms of each row, A's rows first, and the rows that have some, from the one with the most. */
function termsByRow(coefficients: Coefficients, domain: number) {
  const terms: number[][] = [];
  for (let t = 0; t < coefficients.count; t++) {
    const [matrix, row] = [coefficients.matrix(t), coefficients.row(t)];
    invariant(matrix < 2 && row < domain, "a coefficient is of A or B, in a row of the domain");
    const of = terms[matrix * domain + row];
    if (of === undefined) terms[matrix * domain + row] = [t];
    else of.push(t);
  }
  const order = [...terms.keys()].filter((row) => terms[row] !== undefined);
  order.sort((a, b) => (terms[b]?.length ?? 0) - (terms[a]?.length ?? 0));
  return { order, terms };
}

/** Every different value once, in memory; answers where that of a term is. */
function coefficientSingles(field: Field, coefficients: Coefficients): (t: number) => number {
  const indices = new Map<string, number>();
  const limbs: Float64Array[] = [];
  const ofTerm = new Int32Array(coefficients.count);
  for (let t = 0; t < coefficients.count; t++) {
    const words = coefficients.words(t);
    const name = words.join();
    let index = indices.get(name);
    if (index === undefined) {
      index = limbs.length;
      indices.set(name, index);
      const fresh = new Float64Array(LIMBS);
      limbsOfWords(words, 0, fresh);
      limbs.push(fresh);
    }
    ofTerm[t] = index;
  }
  const at = field.allocate(limbs.length * SINGLE_BYTES);
  const [value, factor] = [field.fp(), field.fp()];
  // A key's values are v·2^512: times 2^−2, over 2^255, that is v·2^255.
  const quarter = balancedLimbs(mod(((r + 1n) / 2n) ** 2n), LIMBS);
  field.writeLimbs(factor, 0, quarter);
  field.writeLimbs(factor, 1, quarter);
  const doubles = new Float64Array(field.memory());
  for (const [i, it] of limbs.entries()) {
    field.writeLimbs(value, 0, it);
    field.writeLimbs(value, 1, it);
    field.mulBy(value, value, factor, 1);
    doubles.set(field.readLimbs(value, 0), (at + i * SINGLE_BYTES) / 8);
  }
  return (t) => at + (ofTerm[t] ?? 0) * SINGLE_BYTES;
}
