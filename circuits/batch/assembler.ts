/**
 * Writes WebAssembly modules: just enough of the binary format for the kernels of kernels.ts, which are
 * generated so that the curve's constants and the order of instructions stay readable. Called by
 * the files of kernels here, in ../prove and in node/ed25519.
 *
 * Formats and opcodes: WebAssembly core specification 3.0, chapter 5; relaxed SIMD included.
 */

export type ValueType = "i32" | "v128";

const VALUE_TYPES: Readonly<Record<ValueType, number>> = { i32: 0x7f, v128: 0x7b };

const SIMD = {
  load: 0x00,
  load64Splat: 0x0a,
  store: 0x0b,
  shuffle: 0x0d,
  and: 0x4e,
  or: 0x50,
  xor: 0x51,
  load64Lane: 0x57,
  store64Lane: 0x5b,
  load64Zero: 0x5d,
  i64Shl: 0xcb,
  i64Shr: 0xcd,
  i64Add: 0xce,
  i64Sub: 0xd1,
  f64Add: 0xf0,
  f64Sub: 0xf1,
  f64Mul: 0xf2,
  /** a·b + c, rounded once where the machine has fused multiply-add; field.ts makes sure that it has. */
  f64Madd: 0x107,
  /** −a·b + c */
  f64Nmadd: 0x108,
} as const;

export type SimdOp = Exclude<
  keyof typeof SIMD,
  | "load"
  | "load64Splat"
  | "load64Zero"
  | "load64Lane"
  | "store"
  | "store64Lane"
  | "shuffle"
  | "i64Shl"
  | "i64Shr"
>;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

/** A local variable; parameters are i32. */
export type Local = { readonly index: number; readonly type: ValueType };

export type FunctionWriter = ReturnType<typeof writeFunction>;

/** One function without results. Methods push instructions in order: a stack machine, written down. */
export function writeFunction(parameters: number) {
  const code: number[] = [];
  const locals: ValueType[] = [];
  const simd = (op: number): void => {
    code.push(0xfd, ...unsigned(op));
  };
  const writer = {
    parameter: (index: number): Local => ({ index, type: "i32" }),
    local: (type: ValueType): Local => ({ index: parameters + locals.push(type) - 1, type }),
    get: ({ index }: Local): void => void code.push(0x20, ...unsigned(index)),
    set: ({ index }: Local): void => void code.push(0x21, ...unsigned(index)),
    tee: ({ index }: Local): void => void code.push(0x22, ...unsigned(index)),
    constant: (value: number): void => void code.push(0x41, ...signed(value)),
    addI32: (): void => void code.push(0x6a),
    andI32: (): void => void code.push(0x71),
    mulI32: (): void => void code.push(0x6c),
    loadI32: (offset: number): void => void code.push(0x28, 2, ...unsigned(offset)),
    /** base on the stack → the 16 bytes at base + offset. */
    load: (offset: number): void => {
      simd(SIMD.load);
      code.push(4, ...unsigned(offset));
    },
    /** base and value on the stack. */
    store: (offset: number): void => {
      simd(SIMD.store);
      code.push(4, ...unsigned(offset));
    },
    /** base on the stack → the 8 bytes at base + offset, in both lanes. */
    loadSplat: (offset: number): void => {
      simd(SIMD.load64Splat);
      code.push(3, ...unsigned(offset));
    },
    /** base on the stack → the 8 bytes at base + offset in lane 0, and 0. */
    loadFirst: (offset: number): void => {
      simd(SIMD.load64Zero);
      code.push(3, ...unsigned(offset));
    },
    /** base and a vector on the stack → the vector with the 8 bytes at base + offset in lane 1. */
    loadSecond: (offset: number): void => {
      simd(SIMD.load64Lane);
      code.push(3, ...unsigned(offset), 1);
    },
    /** base and a vector on the stack; one lane goes to base + offset. */
    storeLane: (offset: number, lane: 0 | 1): void => {
      simd(SIMD.store64Lane);
      code.push(3, ...unsigned(offset), lane);
    },
    /** The lanes change places. */
    swapLanes: (temporary: Local): void => {
      writer.tee(temporary);
      writer.get(temporary);
      simd(SIMD.shuffle);
      for (let i = 0; i < 16; i++) code.push((i + 8) % 16);
    },
    op: (name: SimdOp): void => simd(SIMD[name]),
    shiftLeft: (bits: number): void => {
      writer.constant(bits);
      simd(SIMD.i64Shl);
    },
    shiftRight: (bits: number): void => {
      writer.constant(bits);
      simd(SIMD.i64Shr);
    },
    call: (functionIndex: number): void => void code.push(0x10, ...unsigned(functionIndex)),
    /** Runs the body `count` times, none for 0, counting the local down. */
    repeat: (count: Local, body: () => void): void => {
      code.push(0x02, 0x40); // block
      writer.get(count);
      code.push(0x45, 0x0d, 0); // eqz, br_if out
      code.push(0x03, 0x40); // loop
      body();
      writer.get(count);
      writer.constant(-1);
      writer.addI32();
      writer.tee(count);
      code.push(0x0d, 0, 0x0b, 0x0b); // br_if loop, end, end
    },
    finish: (): { readonly parameters: number; readonly body: readonly number[] } => {
      const declared = locals.flatMap((type) => [1, VALUE_TYPES[type]]);
      const body = [...unsigned(locals.length), ...declared, ...code, 0x0b];
      return { parameters, body: [...unsigned(body.length), ...body] };
    },
  };
  return writer;
}

export type WrittenFunction = ReturnType<FunctionWriter["finish"]>;

/** A module that imports `env.memory` and exports every function under its name; indices are in order. */
export function writeModule(functions: readonly (readonly [string, WrittenFunction])[]): Uint8Array {
  const text = (value: string): number[] => {
    const bytes = new TextEncoder().encode(value);
    return [...unsigned(bytes.length), ...bytes];
  };
  const section = (id: number, entries: readonly (readonly number[])[]): number[] => {
    const content = [...unsigned(entries.length), ...entries.flat()];
    return [id, ...unsigned(content.length), ...content];
  };
  const types = functions.map(([, { parameters }]) => [
    0x60,
    ...unsigned(parameters),
    ...new Array<number>(parameters).fill(VALUE_TYPES.i32),
    0,
  ]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, [[...text("env"), ...text("memory"), 0x02, 0x00, 1]]),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(
      7,
      functions.map(([name], index) => [...text(name), 0x00, ...unsigned(index)]),
    ),
    ...section(
      10,
      functions.map(([, { body }]) => body),
    ),
  ]);
}
