/**
 * Many multiples of BN254's two generators, by tables of their multiples. Called in the set-up's threads.
 *
 * A scalar is cut into signed digits of `WINDOW` bits; the table holds the digits' multiples for every
 * position, so that a multiplication is one mixed addition a digit. The arithmetic is wasmcurves' module,
 * driven directly. Two of its habits: `u32[0]` is the top of its allocated memory, which `batchToAffine`
 * uses as scratch and which must be ours before the call; memory never grows by itself.
 */

import { buildBn128 } from "ffjavascript";
import { invariant } from "../../consensus/primitives/faults.ts";
import { type Group, POINT_BYTES, SCALAR_BYTES } from "./zkey.ts";

/** Scalars, 32 bytes little-endian each → their multiples of the group's generator, affine, in order. */
export type FixedBase = (group: Group, scalars: Uint8Array) => Uint8Array;

const WINDOW: Readonly<Record<Group, number>> = { g1: 11, g2: 10 };
const SCALAR_BITS = 254;
const CHUNK = 1024;
const PAGE = 65536;

type Operation = (...pointers: number[]) => void;

type Wasm = {
  readonly memory: WasmMemory;
  operation(name: string): Operation;
  /** Reserves bytes for good. */
  alloc(length: number): number;
  /** Makes sure that so many bytes above the allocated ones can be scratch. */
  reserve(length: number): void;
  readonly generators: Readonly<Record<Group, number>>;
};

async function loadWasm(): Promise<Wasm> {
  const curve = await buildBn128(true);
  const memory = new WebAssembly.Memory({ initial: 64 });
  const module = await WebAssembly.compile(Uint8Array.from(curve.tm.code));
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const top = (): number => new DataView(memory.buffer).getUint32(0, true);
  const reserve = (length: number): void => {
    const missing = top() + length - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  };
  return {
    memory,
    generators: { g1: curve.tm.pG1gen, g2: curve.tm.pG2gen },
    reserve,
    alloc: (length) => {
      reserve(length + 8);
      const at = (top() + 7) & ~7;
      new DataView(memory.buffer).setUint32(0, at + length, true);
      return at;
    },
    operation: (name) => {
      const operation = exports[name];
      invariant(typeof operation === "function", `wasmcurves has ${name}`);
      // Called millions of times: the export itself, not a wrapper.
      return operation as Operation;
    },
  };
}

type Table = { readonly at: number; readonly windows: number; readonly half: number };

/** Affine multiples 1 … 2^(WINDOW−1) of 2^(WINDOW·k)·generator, for every k. */
function buildTable(wasm: Wasm, group: Group): Table {
  const affine = POINT_BYTES[group];
  const jacobian = (affine / 2) * 3;
  const window = WINDOW[group];
  const half = 2 ** (window - 1);
  const windows = Math.ceil((SCALAR_BITS + 1) / window);
  const double = wasm.operation(`${group}m_double`);
  const addMixed = wasm.operation(`${group}m_addMixed`);
  const toAffine = wasm.operation(`${group}m_batchToAffine`);

  const at = wasm.alloc(windows * half * affine);
  const multiples = wasm.alloc(half * jacobian);
  const base = wasm.alloc(jacobian);
  const baseAffine = wasm.alloc(affine);
  wasm.reserve(half * affine);
  wasm.operation(`${group}m_copy`)(wasm.generators[group], base);
  for (let k = 0; k < windows; k++) {
    toAffine(base, 1, baseAffine);
    wasm.operation(`${group}m_copy`)(base, multiples);
    for (let m = 1; m < half; m++) {
      addMixed(multiples + (m - 1) * jacobian, baseAffine, multiples + m * jacobian);
    }
    callWithScratch(wasm, () => toAffine(multiples, half, at + k * half * affine));
    for (let d = 0; d < window; d++) double(base, base);
  }
  return { at, windows, half };
}

/** `batchToAffine` takes its scratch from `u32[0]` upwards; whatever it leaves there is put back. */
function callWithScratch(wasm: Wasm, run: () => void): void {
  const top = new DataView(wasm.memory.buffer).getUint32(0, true);
  run();
  new DataView(wasm.memory.buffer).setUint32(0, top, true);
}

/** Builds both tables: about 0.2 s and 10 MB. */
export async function createFixedBase(): Promise<FixedBase> {
  const wasm = await loadWasm();
  const tables = { g1: buildTable(wasm, "g1"), g2: buildTable(wasm, "g2") };
  const sums = wasm.alloc(CHUNK * 192);
  const output = wasm.alloc(CHUNK * 128);
  wasm.reserve(CHUNK * 128);

  return (group, scalars) => {
    const affine = POINT_BYTES[group];
    const jacobian = (affine / 2) * 3;
    const table = tables[group];
    const zero = wasm.operation(`${group}m_zero`);
    const addMixed = wasm.operation(`${group}m_addMixed`);
    const subMixed = wasm.operation(`${group}m_subMixed`);
    const toAffine = wasm.operation(`${group}m_batchToAffine`);
    const window = WINDOW[group];
    const count = scalars.length / SCALAR_BYTES;
    invariant(Number.isInteger(count), "scalars have 32 bytes each");
    const points = new Uint8Array(count * affine);
    for (let first = 0; first < count; first += CHUNK) {
      const size = Math.min(CHUNK, count - first);
      for (let i = 0; i < size; i++) {
        const sum = sums + i * jacobian;
        zero(sum);
        // Signed digits: one above 2^(window−1) counts from the other side and carries one.
        let carry = 0;
        for (let k = 0; k < table.windows; k++) {
          let digit = bitsAt(scalars, (first + i) * SCALAR_BYTES, k * window, window) + carry;
          carry = digit > table.half ? 1 : 0;
          if (carry === 1) digit -= 2 * table.half;
          if (digit === 0) continue;
          const multiple = table.at + (k * table.half + Math.abs(digit) - 1) * affine;
          if (digit > 0) addMixed(sum, multiple, sum);
          else subMixed(sum, multiple, sum);
        }
      }
      callWithScratch(wasm, () => toAffine(sums, size, output));
      points.set(new Uint8Array(wasm.memory.buffer, output, size * affine), first * affine);
    }
    return points;
  };
}

/** `width` ≤ 16 bits of the 32-byte number at `start`, from its bit `bit` on; zeros above its end. */
function bitsAt(bytes: Uint8Array, start: number, bit: number, width: number): number {
  const at = bit >> 3;
  const byte = (i: number): number => (i < SCALAR_BYTES ? (bytes[start + i] ?? 0) : 0);
  return (((byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16)) >> (bit & 7)) & ((1 << width) - 1)) >>> 0;
}
