/**
 * A vector machine for BN254's fields: registers of many elements, and operations on all of them, two at a
 * time. The curve files (g1.ts, fp12.ts, miller.ts, …) are programs for it, and so is the prover (../prove),
 * which brings kernels of its own. Called by them.
 *
 * A register is a place in the module's memory: `slots` pairs of elements, the first of a pair in lane 0.
 * Element e is lane e % 2 of slot e / 2. An element of Fp2 is two registers, one after the other. Every
 * operation takes a number of slots; results may replace operands. What *units* are, and how many of them an
 * operand may have, is said in limbs.ts and reduction.ts; every product is normal.
 */

import { invariant } from "../../consensus/primitives/faults.ts";
import { type Extension, SLOT_BYTES, writeKernels } from "./kernels.ts";
import { BASE, balancedLimbs, LIMBS, type Modulus, valueOfLimbs } from "./limbs.ts";

/** A register's address. */
export type Register = number;

const PAGE = 65536;
const CONSTANTS_AT = 1024;
const REGISTERS_AT = 8192;

type Kernel = (...pointers: number[]) => void;

export type Field = NonNullable<Awaited<ReturnType<typeof instantiate>>>;

export type FieldOptions = {
  /** Default: the base field. */
  readonly modulus?: Modulus;
  /** Kernels beside the machine's own, found with `kernel`. */
  readonly extension?: Extension;
};

/** `undefined` where relaxed SIMD is unknown, or multiply-add not fused: the kernels would be wrong there. */
export async function createField(
  slots: number,
  { modulus = BASE, extension = () => [] }: FieldOptions = {},
): Promise<Field | undefined> {
  const field = await instantiate(slots, modulus, extension);
  return field !== undefined && multipliesRight(field) ? field : undefined;
}

async function instantiate(slots: number, modulus: Modulus, extension: Extension) {
  const { elementLimbs, mod } = modulus;
  const partBytes = slots * SLOT_BYTES;
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { code, constants } = writeKernels(partBytes, CONSTANTS_AT, modulus, extension);
  if (!WebAssembly.validate(code)) return undefined;
  const { exports } = await WebAssembly.instantiate(await WebAssembly.compile(code), { env: { memory } });
  const kernel = (name: string): Kernel => {
    const found = exports[name];
    invariant(typeof found === "function", `the module has ${name}`);
    return found as Kernel;
  };
  invariant(CONSTANTS_AT + 16 * constants.length <= REGISTERS_AT, "constants fit below the registers");
  const words = new BigUint64Array(memory.buffer);
  for (const [word, offset] of constants) words.fill(word, offset / 8, offset / 8 + 2);

  let top = REGISTERS_AT;
  let numbers = new Float64Array(memory.buffer);
  const allocate = (bytes: number): Register => {
    const at = top;
    top += bytes;
    if (top > memory.buffer.byteLength) {
      memory.grow(Math.ceil((top - memory.buffer.byteLength) / PAGE) + 16);
      numbers = new Float64Array(memory.buffer);
    }
    return at;
  };

  const probe = allocate(SLOT_BYTES);
  numbers.set(
    [9, 9, 2 ** 27 + 1, 2 ** 27 + 1, 2 ** 27 - 1, 2 ** 27 - 1, -(2 ** 54), -(2 ** 54), -1, -1],
    probe / 8,
  );
  kernel("probe")(probe);
  if (numbers[probe / 8] !== 0) return undefined;

  const mul = kernel("mul");
  const mul2 = kernel("mul2");
  const mad2 = kernel("mad2");
  const sqr2 = kernel("sqr2");
  const mac2 = kernel("mac2");
  const sum3 = kernel("sum3");
  const norm2 = kernel("norm2");
  const add = kernel("add");
  const sub = kernel("sub");
  const normal = kernel("normal");
  const tripleAdd = kernel("tripleAdd");
  const tripleSub = kernel("tripleSub");
  const xi = kernel("xi");
  const lines = kernel("lines");
  const S = SLOT_BYTES;

  const place = (register: Register, element: number): number =>
    register / 8 + (element >> 1) * (SLOT_BYTES / 8) + (element & 1);
  const writeLimbs = (register: Register, element: number, limbs: ArrayLike<number>): void => {
    const at = place(register, element);
    for (let i = 0; i < LIMBS; i++) numbers[at + 2 * i] = limbs[i] ?? 0;
  };
  const readLimbs = (register: Register, element: number): number[] => {
    const at = place(register, element);
    return [0, 2, 4, 6, 8].map((i) => numbers[at + i] ?? 0);
  };
  const write = (register: Register, element: number, value: bigint): void =>
    writeLimbs(register, element, elementLimbs(value));
  const fill = (register: Register, value: bigint): void => {
    const limbs = elementLimbs(value);
    for (let element = 0; element < 2 * slots; element++) writeLimbs(register, element, limbs);
  };
  const constant = (value: bigint): Register => {
    const register = allocate(partBytes);
    fill(register, value);
    return register;
  };
  const zero = constant(0n);
  const one = constant(1n);
  /** 1 as it is, not in Montgomery form: multiplied by it, an element leaves that form. */
  const raw = allocate(partBytes);
  const toForm = constant(modulus.form);
  for (let element = 0; element < 2 * slots; element++) writeLimbs(raw, element, balancedLimbs(1n, LIMBS));

  const field = {
    slots,
    partBytes,
    modulus,
    /** A kernel of the extension. */
    kernel,
    allocate,
    /** The memory; not valid any more after something was allocated. */
    memory: (): ArrayBuffer => memory.buffer,
    zero,
    one,
    /** A register of elements of Fp, all 0. */
    fp: (): Register => allocate(partBytes),
    fp2: (): Register => allocate(2 * partBytes),
    /** The second part of an element of Fp2. */
    part1: (a: Register): Register => a + partBytes,
    constant,
    constant2: ({ c0, c1 }: { readonly c0: bigint; readonly c1: bigint }): Register => {
      const register = allocate(2 * partBytes);
      fill(register, c0);
      fill(register + partBytes, c1);
      return register;
    },

    mul: (d: Register, a: Register, b: Register, n: number): void => mul(d, a, b, n, S, S, S),
    /** All slots of a by the first slot of b. */
    mulBy: (d: Register, a: Register, b: Register, n: number): void => mul(d, a, b, n, S, S, 0),
    add: (d: Register, a: Register, b: Register, n: number): void => add(d, a, b, n),
    sub: (d: Register, a: Register, b: Register, n: number): void => sub(d, a, b, n),
    normal: (d: Register, a: Register, n: number): void => normal(d, a, n),

    mul2: (d: Register, a: Register, b: Register, n: number): void => mul2(d, a, b, n),
    sqr2: (d: Register, a: Register, n: number): void => sqr2(d, a, n),
    /** An element of Fp2 by one of Fp. */
    scale2: (d: Register, a: Register, b: Register, n: number): void => {
      mul(d, a, b, n, S, S, S);
      mul(d + partBytes, a + partBytes, b, n, S, S, S);
    },
    add2: (d: Register, a: Register, b: Register, n: number): void => {
      add(d, a, b, n);
      add(d + partBytes, a + partBytes, b + partBytes, n);
    },
    sub2: (d: Register, a: Register, b: Register, n: number): void => {
      sub(d, a, b, n);
      sub(d + partBytes, a + partBytes, b + partBytes, n);
    },
    normal2: (d: Register, a: Register, n: number): void => {
      normal(d, a, n);
      normal(d + partBytes, a + partBytes, n);
    },
    conjugate2: (d: Register, a: Register, n: number): void => {
      if (d !== a) add(d, a, zero, n);
      sub(d + partBytes, zero, a + partBytes, n);
    },
    /** 3a + b and 3a − b in Fp2, normal, of normal ones. */
    tripleAdd2: (d: Register, a: Register, b: Register, n: number): void => {
      tripleAdd(d, a, b, n);
      tripleAdd(d + partBytes, a + partBytes, b + partBytes, n);
    },
    tripleSub2: (d: Register, a: Register, b: Register, n: number): void => {
      tripleSub(d, a, b, n);
      tripleSub(d + partBytes, a + partBytes, b + partBytes, n);
    },
    /** ab + g in Fp2. */
    mad2: (d: Register, a: Register, b: Register, g: Register, n: number): void => mad2(d, a, b, g, n),
    /** ab + ce + g in Fp2. */
    mac2: (d: Register, a: Register, b: Register, c: Register, e: Register, g: Register, n: number): void =>
      mac2(d, a, b, c, e, g, n),
    /** ab + ce + gh in Fp2. */
    sum3: (
      d: Register,
      a: Register,
      b: Register,
      c: Register,
      e: Register,
      g: Register,
      h: Register,
      n: number,
    ): void => sum3(d, a, b, c, e, g, h, n),
    norm2: (d: Register, a: Register, n: number): void => norm2(d, a, n),
    /** ξ·a, of a normal a. */
    xi: (d: Register, a: Register, n: number): void => xi(d, a, n),
    copy: (d: Register, a: Register, n: number): void => add(d, a, zero, n),
    copy2: (d: Register, a: Register, n: number): void => {
      add(d, a, zero, n);
      add(d + partBytes, a + partBytes, zero, n);
    },

    /** f · Π (1 + bw + cw³), see kernels.ts. */
    lines: (
      f: Register,
      t: Register,
      b: Register,
      c: Register,
      xb: Register,
      xc: Register,
      count: number,
    ): void => lines(f, t, b, c, xb, xc, count),

    write,
    writeLimbs,
    /** Limbs from a place in a table, times the sign. */
    writeRow: (
      register: Register,
      element: number,
      table: Float64Array,
      from: number,
      sign: 1 | -1,
    ): void => {
      const at = place(register, element);
      for (let i = 0; i < LIMBS; i++) numbers[at + 2 * i] = sign * (table[from + i] ?? 0);
    },
    readLimbs,
    read: (register: Register, element: number): bigint =>
      mod(valueOfLimbs(readLimbs(register, element)) * modulus.formInverse),
    /** Limbs of numbers below p, as they are, into Montgomery form. */
    enterForm: (d: Register, a: Register, n: number): void => mul(d, a, toForm, n, S, S, S),
    /** Normal limbs of the numbers themselves, within ±p/2 and a little more. */
    leaveForm: (d: Register, a: Register, n: number): void => mul(d, a, raw, n, S, S, S),
    /** Of a normal element. */
    isZero: (register: Register, element: number): boolean => {
      const at = place(register, element);
      return (
        numbers[at] === 0 &&
        numbers[at + 2] === 0 &&
        numbers[at + 4] === 0 &&
        numbers[at + 6] === 0 &&
        numbers[at + 8] === 0
      );
    },
    /** One element of a register into another's place, or its negative. */
    move: (d: Register, to: number, a: Register, from: number, negative = false): void => {
      const target = place(d, to);
      const source = place(a, from);
      const sign = negative ? -1 : 1;
      for (let i = 0; i < 2 * LIMBS; i += 2) numbers[target + i] = sign * (numbers[source + i] ?? 0);
    },
    /** aᵢ·a₀…: products from the first slot to each; d is not a. */
    prefixProducts: (d: Register, a: Register, n: number): void => {
      add(d, a, zero, 1);
      mul(d + S, a + S, d, n - 1, S, S, S);
    },
    /** d[i] = d[i + 1] · a[i + 1], downwards from the last slot, which is set already. */
    suffixProducts: (d: Register, a: Register, n: number): void => {
      const last = (n - 1) * S;
      field.mulDown(d + last - S, d + last, a + last, n - 1);
    },
    /** As `mul`, slots taken downwards from the ones named. */
    mulDown: (d: Register, a: Register, b: Register, n: number): void => mul(d, a, b, n, -S, -S, -S),
    slotAt: (a: Register, slot: number): Register => a + slot * S,
  };
  return field;
}

/** A last look at the machine: products of the largest and of ordinary numbers against bigints. */
function multipliesRight(field: Field): boolean {
  const { mod, order: P } = field.modulus;
  const [a, b, d] = [field.fp2(), field.fp2(), field.fp2()];
  const values = [P - 1n, (P - 1n) / 2n, (P + 1n) / 2n, P / 3n, 7n ** 90n % P];
  return values.every((x) =>
    values.every((y) => {
      for (const [register, c0, c1] of [
        [a, x, y],
        [b, y, P - x],
      ] as const) {
        field.write(register, 0, c0);
        field.write(field.part1(register), 0, c1);
      }
      field.mul2(d, a, b, 1);
      return field.read(d, 0) === mod(2n * x * y) && field.read(field.part1(d), 0) === mod(y * y - x * x);
    }),
  );
}
