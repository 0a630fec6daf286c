/**
 * The module's memory: registers of many elements, and points. Called by points.ts and equation.ts.
 *
 * Element e of a register is lane e % 2 of slot e / 2; operations take a number of slots, results may replace
 * operands. Layouts and what is tight: kernels.ts, arithmetic.ts.
 */

import { LIMBS, valueOfLimbs } from "../../circuits/batch/limbs.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { limbsOf, mod, P } from "./curve.ts";
import { EXTENDED_BYTES, SINGLE_BYTES, SLOT_BYTES, writeKernels } from "./kernels.ts";

/** An address. */
export type Register = number;

const PAGE = 65536;
const CONSTANTS_AT = 1024;
const CONSTANTS_BYTES = 2048;
/** What `multipliesRight` takes, and what rounding up of addresses may. */
const OWN_BYTES = 4096;

type Kernel = (...parameters: number[]) => void;

export type Machine = NonNullable<Awaited<ReturnType<typeof createMachine>>>;

/** With so many bytes to allocate. `undefined` where relaxed SIMD is unknown, or multiply-add not fused: the kernels would be wrong there. */
export async function createMachine(bytes: number) {
  const { code, constants } = writeKernels(CONSTANTS_AT);
  if (!WebAssembly.validate(code)) return undefined;
  const pages = Math.ceil((CONSTANTS_AT + CONSTANTS_BYTES + bytes + OWN_BYTES) / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages });
  const { exports } = await WebAssembly.instantiate(await WebAssembly.compile(code), { env: { memory } });
  const machine = machineOf(memory.buffer, (name) => {
    const found = exports[name];
    invariant(typeof found === "function", `the module has ${name}`);
    return found as Kernel;
  });
  invariant(16 * constants.length <= CONSTANTS_BYTES, "constants fit below the registers");
  const words = new BigUint64Array(memory.buffer);
  for (const [word, offset] of constants) words.fill(word, offset / 8, offset / 8 + 2);
  return multipliesRight(machine) ? machine : undefined;
}

function machineOf(memory: ArrayBuffer, kernel: (name: string) => Kernel) {
  const numbers = new Float64Array(memory);
  const words = new Int32Array(memory);
  let top = CONSTANTS_AT + CONSTANTS_BYTES;
  const allocate = (bytes: number): number => {
    const address = top;
    top += 16 * Math.ceil(bytes / 16);
    invariant(top <= memory.byteLength, "everything has its place in memory");
    return address;
  };
  const place = (register: Register, element: number): number =>
    register / 8 + (element >> 1) * (SLOT_BYTES / 8) + (element & 1);
  const [mul, add, sub] = [kernel("mul"), kernel("add"), kernel("sub")];
  const readSingle = (address: number): bigint =>
    mod(valueOfLimbs([...numbers.subarray(address / 8, address / 8 + LIMBS)]));

  return {
    allocate,
    /** All of the memory, as doubles and as words. */
    numbers,
    words,
    register: (slots: number): Register => allocate(slots * SLOT_BYTES),
    mul,
    add,
    sub,
    /** (d, n, times): d^(2^times). */
    squarings: kernel("squarings"),
    affine: kernel("affine"),
    double: kernel("double"),
    addAffine: kernel("addAffine"),
    addExtended: kernel("addExtended"),

    writeLimbs: (register: Register, element: number, limbs: ArrayLike<number>): void => {
      const at = place(register, element);
      for (let i = 0; i < LIMBS; i++) numbers[at + 2 * i] = limbs[i] ?? 0;
    },
    fill: (register: Register, slots: number, value: bigint): void => {
      for (const [i, limb] of limbsOf(value).entries()) {
        for (let element = 0; element < 2 * slots; element++)
          numbers[place(register, element) + 2 * i] = limb;
      }
    },
    read: (register: Register, element: number): bigint => {
      const at = place(register, element);
      return mod(valueOfLimbs([0, 2, 4, 6, 8].map((i) => numbers[at + i] ?? 0)));
    },
    readSingle,
    writeSingle: (address: number, value: bigint): void => numbers.set(limbsOf(value), address / 8),
    /**
     * Of a tight element: its value is within ±2^254.01, so only 0 itself is 0 modulo p; and a sum of tight limbs
     * is 0 only if the lowest is a multiple of 2^51, which is 0, and so on.
     */
    isZero: (register: Register, element: number): boolean => {
      const at = place(register, element);
      for (let i = 0; i < 2 * LIMBS; i += 2) if (numbers[at + i] !== 0) return false;
      return true;
    },
    /**
     * Whether a tight element's least residue is odd: its value is, unless it is negative, as its highest limb
     * that is not 0; then p, which is odd, is to be added.
     */
    isOdd: (register: Register, element: number): boolean => {
      const at = place(register, element);
      let i = 2 * LIMBS - 2;
      while (i > 0 && numbers[at + i] === 0) i -= 2;
      const lowest = numbers[at] ?? 0;
      return (lowest % 2 !== 0) !== (numbers[at + i] ?? 0) < 0;
    },
    /** One element of a register into another's place. */
    move: (d: Register, to: number, a: Register, from: number): void => {
      const target = place(d, to);
      const source = place(a, from);
      for (let i = 0; i < 2 * LIMBS; i += 2) numbers[target + i] = numbers[source + i] ?? 0;
    },
    /** A point's coordinate into a register. */
    moveSingle: (d: Register, to: number, point: number, coordinate: number): void => {
      const target = place(d, to);
      const source = point / 8 + LIMBS * coordinate;
      for (let i = 0; i < LIMBS; i++) numbers[target + 2 * i] = numbers[source + i] ?? 0;
    },
    copy: (d: Register, a: Register, slots: number): void => {
      numbers.copyWithin(d / 8, a / 8, (a + slots * SLOT_BYTES) / 8);
    },
    /** 0, 1, 1, 0: the group's neutral element as an extended point. */
    writeNeutral: (point: number): void => {
      numbers.fill(0, point / 8, (point + EXTENDED_BYTES) / 8);
      numbers[point / 8 + LIMBS] = 1;
      numbers[point / 8 + 2 * LIMBS] = 1;
    },
    /** Whether an extended point is the neutral element. What is no point, as zeros are, is not. */
    isNeutral: (point: number): boolean => {
      const [x, y, z] = [0, 1, 2].map((i) => readSingle(point + i * SINGLE_BYTES));
      return x === 0n && y === z && z !== 0n;
    },
  };
}

/** A look at the machine: products of the largest limbs and of ordinary numbers against bigints. */
function multipliesRight(machine: ReturnType<typeof machineOf>): boolean {
  const [a, b, d] = [machine.register(1), machine.register(1), machine.register(1)];
  const values = [P - 1n, (P - 1n) / 2n, (P + 1n) / 2n, P / 3n, 7n ** 90n % P];
  return values.every((x) =>
    values.every((y) => {
      for (const [register, first, second] of [
        [a, x, P - y],
        [b, y, x],
      ] as const) {
        machine.writeLimbs(register, 0, limbsOf(first));
        machine.writeLimbs(register, 1, limbsOf(second));
      }
      machine.mul(d, a, b, 1);
      const right = machine.read(d, 0) === mod(x * y) && machine.read(d, 1) === mod(-x * y);
      machine.squarings(a, 1, 1);
      return right && machine.read(a, 0) === mod(x * x) && machine.read(a, 1) === mod(y * y);
    }),
  );
}
