/**
 * The inner loops of the batch verifier, as a WebAssembly module made here: products, sums and reductions of
 * field elements (limbs.ts), two at a time, one in each lane of a vector register. Called by field.ts.
 *
 * Products of doubles. A fused multiply-add computes a·b + c and rounds once, so with c = 3·2^102 the sum's
 * unit in the last place is 2^51, and its bits, read as an integer, hold the upper half of a·b; with that
 * half taken away exactly, a second one leaves the lower half. Both are summed as 64-bit integers; the bits of
 * the constants are taken off once, at the start of an accumulator. It holds as long as |a·b| ≤ 2^102, which
 * for a sum of j and a sum of k normal elements is j·k ≤ 4. (Emmart, Zheng, Weems, "Faster modular
 * exponentiation using double precision floating point arithmetic on the GPU", 2018, for round to nearest.)
 *
 * Reduction. Montgomery's, a limb at a time: the first four limbs are cleared by a multiple of p whose lowest
 * limb is −1, which needs no quotient; the last by p itself. The result is within ±2.5 p; a multiple of p,
 * estimated from the top limb, makes it normal. So the values of what goes into one reduction are bounded:
 * 0.095·Σ j·k over its products + units of the addend / 2 + 1 < 2.5.
 *
 * An element pair ("slot") has 80 bytes, limb by limb, both lanes of a limb together. An element of Fp2 has
 * its second part `partBytes` behind the first.
 */

import { type FunctionWriter, type Local, type WrittenFunction, writeFunction, writeModule } from "./assembler.ts";
import { FACTOR, LIMB_BITS, LIMBS, MULTIPLE_LIMBS, P, P_LIMBS } from "./limbs.ts";

export const SLOT_BYTES = 16 * LIMBS;

/** Pushes limb i of an operand. */
type Operand = (limb: number) => void;
type Product = { readonly a: Operand; readonly b: Operand; readonly negative?: boolean };

const HIGH = 3 * 2 ** 102;
const LOW = 3 * 2 ** 51;
const TWO_52 = 2 ** 52;
/** Added to accumulators so that they are never negative when shifted. */
const OFFSET = 1n << 60n;
const CARRIED = OFFSET >> BigInt(LIMB_BITS);
const MASK = (1n << BigInt(LIMB_BITS)) - 1n;
/** Added before a limb is split, so that the part that stays is balanced. */
const HALF = 1n << BigInt(LIMB_BITS - 1);
const ACCUMULATORS = 2 * LIMBS;

const bitsOf = (value: number): bigint => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
};

/** Constants in the module's memory, each in both lanes. */
function createPool(at: number) {
  const offsets = new Map<bigint, number>();
  return {
    bits: (value: bigint): number => {
      const word = BigInt.asUintN(64, value);
      const offset = offsets.get(word) ?? at + 16 * offsets.size;
      offsets.set(word, offset);
      return offset;
    },
    entries: (): readonly (readonly [bigint, number])[] => [...offsets],
  };
}

type Pool = ReturnType<typeof createPool>;

const pushConstant = (w: FunctionWriter, pool: Pool, value: bigint): void => {
  w.constant(0);
  w.load(pool.bits(value));
};
const pushDouble = (w: FunctionWriter, pool: Pool, value: number): void =>
  pushConstant(w, pool, bitsOf(value));

/** One reduction of a sum of products. `locals` are shared by all reductions of a function. */
type Locals = {
  readonly high: Local;
  readonly lowAndHigh: Local;
  readonly a: Local;
  readonly b: Local;
  readonly upper: Local;
  readonly accumulators: readonly Local[];
};

const dotLocals = (w: FunctionWriter, pool: Pool): Locals => {
  const locals = {
    high: w.local("v128"),
    lowAndHigh: w.local("v128"),
    a: w.local("v128"),
    b: w.local("v128"),
    upper: w.local("v128"),
    accumulators: Array.from({ length: ACCUMULATORS }, () => w.local("v128")),
  };
  pushDouble(w, pool, HIGH);
  w.set(locals.high);
  pushDouble(w, pool, HIGH + LOW);
  w.set(locals.lowAndHigh);
  return locals;
};

/**
 * Emits Σ ±aᵢ·bᵢ (+ addend) reduced; `store` is called with each limb and what pushes it. `initial` holds the
 * accumulators' starting values; returned are those that it should have held (see twice()).
 */
function emitDot(
  w: FunctionWriter,
  pool: Pool,
  locals: Locals,
  initial: readonly bigint[],
  { products, addend, store }: Dot,
): bigint[] {
  const biases = new Array<bigint>(ACCUMULATORS).fill(0n);
  const touched = new Set<number>();
  const accumulate = (at: number, bias: bigint, push: () => void): void => {
    const accumulator = locals.accumulators[at] as Local;
    biases[at] = (biases[at] ?? 0n) - bias;
    if (touched.has(at)) w.get(accumulator);
    else pushConstant(w, pool, initial[at] ?? 0n);
    touched.add(at);
    push();
    w.op("i64Add");
    w.set(accumulator);
  };
  /** a (in its local) times b. */
  const multiply = (at: number, pushB: () => void, negative = false): void => {
    const fused = negative ? "f64Nmadd" : "f64Madd";
    accumulate(at + 1, bitsOf(HIGH), () => {
      w.get(locals.a);
      pushB();
      w.tee(locals.b);
      w.get(locals.high);
      w.op(fused);
      w.tee(locals.upper);
    });
    accumulate(at, bitsOf(LOW), () => {
      w.get(locals.a);
      w.get(locals.b);
      w.get(locals.lowAndHigh);
      w.get(locals.upper);
      w.op("f64Sub");
      w.op(fused);
    });
  };
  /** The low 51 bits of an accumulator as a double, less `subtrahend`. */
  const pushLow = (accumulator: Local, subtrahend: number): void => {
    w.get(accumulator);
    pushConstant(w, pool, MASK);
    w.op("and");
    pushDouble(w, pool, TWO_52);
    w.op("or");
    pushDouble(w, pool, TWO_52 + subtrahend);
    w.op("f64Sub");
  };
  const carry = (at: number): void => {
    biases[at] = (biases[at] ?? 0n) + OFFSET;
    accumulate(at + 1, CARRIED, () => {
      w.get(locals.accumulators[at] as Local);
      w.shiftRight(LIMB_BITS);
    });
  };

  for (let i = 0; i < LIMBS; i++) {
    for (const { a, b, negative } of products) {
      a(i);
      w.set(locals.a);
      for (let j = 0; j < LIMBS; j++) multiply(i + j, () => b(j), negative);
    }
    const lowest = locals.accumulators[i] as Local;
    pushLow(lowest, 0);
    if (i < LIMBS - 1) {
      w.set(locals.a);
      for (let j = 1; j <= LIMBS; j++) {
        multiply(i + j, () => pushDouble(w, pool, MULTIPLE_LIMBS[j] ?? 0));
      }
    } else {
      w.tee(locals.a);
      pushDouble(w, pool, Number(FACTOR));
      w.get(locals.lowAndHigh);
      w.get(locals.a);
      pushDouble(w, pool, Number(FACTOR));
      w.get(locals.high);
      w.op("f64Madd");
      w.op("f64Sub");
      w.op("f64Madd");
      pushDouble(w, pool, LOW);
      w.op("f64Sub");
      w.set(locals.a);
      for (let j = 0; j < LIMBS; j++) multiply(i + j, () => pushDouble(w, pool, P_LIMBS[j] ?? 0));
    }
    carry(i);
  }

  for (let i = 0; i < LIMBS; i++) {
    if (addend === undefined) continue;
    accumulate(LIMBS + i, bitsOf(LOW), () => {
      addend(i);
      pushDouble(w, pool, LOW);
      w.op("f64Add");
    });
  }
  // How often p is in the value, from the top limb.
  const top = locals.accumulators[ACCUMULATORS - 1] as Local;
  const quotient = locals.a;
  biases[ACCUMULATORS - 1] = (biases[ACCUMULATORS - 1] ?? 0n) + bitsOf(LOW);
  w.get(top);
  pushConstant(w, pool, bitsOf(LOW) + CARRIED); // what the two sums below bring is taken off already
  w.op("i64Add");
  pushDouble(w, pool, LOW);
  w.op("f64Sub");
  pushDouble(w, pool, Number(1n << BigInt(LIMB_BITS * (LIMBS - 1))) / Number(P));
  pushDouble(w, pool, LOW);
  w.op("f64Madd");
  pushDouble(w, pool, LOW);
  w.op("f64Sub");
  w.set(quotient);
  for (let i = 0; i < LIMBS; i++) {
    accumulate(LIMBS + i, bitsOf(LOW), () => {
      w.get(quotient);
      pushDouble(w, pool, P_LIMBS[i] ?? 0);
      pushDouble(w, pool, LOW);
      w.op("f64Nmadd");
    });
  }
  for (let i = 0; i < LIMBS - 1; i++) {
    const at = LIMBS + i;
    const accumulator = locals.accumulators[at] as Local;
    biases[at] = (biases[at] ?? 0n) + HALF;
    carry(at);
    store(i, () => pushLow(accumulator, Number(HALF)));
  }
  store(LIMBS - 1, () => {
    w.get(top);
    pushDouble(w, pool, LOW);
    w.op("f64Sub");
  });
  return biases;
}

type Dot = {
  readonly products: readonly Product[];
  readonly addend?: Operand;
  readonly store: (limb: number, push: () => void) => void;
};

/** Emits a reduction; a trial finds what its accumulators have to start from. */
function dot(w: FunctionWriter, pool: Pool, locals: Locals, it: (w: FunctionWriter) => Dot): void {
  const trial = writeFunction(16);
  const biases = emitDot(trial, createPool(0), locals, [], it(trial));
  emitDot(w, pool, locals, biases, it(w));
}

/** Emits the carries and the multiple of p that make a sum of up to four units normal. */
function emitNormal(w: FunctionWriter, pool: Pool, limbs: readonly Local[], temporary: Local): void {
  const round = (pushValue: () => void, scale: number): void => {
    pushValue();
    pushDouble(w, pool, scale);
    pushDouble(w, pool, LOW);
    w.op("f64Madd");
    pushDouble(w, pool, LOW);
    w.op("f64Sub");
    w.set(temporary);
  };
  const limb = (i: number): Local => limbs[i] as Local;
  round(() => w.get(limb(LIMBS - 1)), Number(1n << BigInt(LIMB_BITS * (LIMBS - 1))) / Number(P));
  for (let i = 0; i < LIMBS; i++) {
    w.get(temporary);
    pushDouble(w, pool, P_LIMBS[i] ?? 0);
    w.get(limb(i));
    w.op("f64Nmadd");
    w.set(limb(i));
  }
  for (let i = 0; i < LIMBS - 1; i++) {
    round(() => w.get(limb(i)), 2 ** -LIMB_BITS);
    w.get(temporary);
    pushDouble(w, pool, 2 ** LIMB_BITS);
    w.get(limb(i));
    w.op("f64Nmadd");
    w.set(limb(i));
    w.get(limb(i + 1));
    w.get(temporary);
    w.op("f64Add");
    w.set(limb(i + 1));
  }
}

/** The module's functions; `partBytes` lies between the two parts of an element of Fp2. */
export function writeKernels(partBytes: number, constantsAt: number) {
  const pool = createPool(constantsAt);
  const at = (w: FunctionWriter, pointer: Local, part = 0): Operand => (limb) => {
    w.get(pointer);
    w.load(part * partBytes + 16 * limb);
  };
  const to = (w: FunctionWriter, pointer: Local, part = 0): Dot["store"] => (limb, push) => {
    w.get(pointer);
    push();
    w.store(part * partBytes + 16 * limb);
  };
  const advance = (w: FunctionWriter, pointer: Local, step: Local | number): void => {
    w.get(pointer);
    if (typeof step === "number") w.constant(step);
    else w.get(step);
    w.addI32();
    w.set(pointer);
  };
  /** A loop over `count` slots of some operands; the count is the last parameter. */
  const loop = (operands: number, body: (w: FunctionWriter, pointers: readonly Local[]) => () => void) => {
    const w = writeFunction(operands + 1);
    const pointers = Array.from({ length: operands }, (_, i) => w.parameter(i));
    const step = body(w, pointers);
    w.repeat(w.parameter(operands), () => {
      step();
      for (const pointer of pointers) advance(w, pointer, SLOT_BYTES);
    });
    return w.finish();
  };
  /** Products of Fp2, summed: pairs of operand numbers, and the number of an addend. */
  const sums = (pairs: readonly (readonly [number, number])[], addend?: number) =>
    loop(1 + 2 * pairs.length + (addend === undefined ? 0 : 1), (w, pointers) => {
      const locals = dotLocals(w, pool);
      const pointer = (i: number): Local => pointers[i] as Local;
      const first = Array.from({ length: LIMBS }, () => w.local("v128"));
      return () => {
        for (const part of [0, 1]) {
          dot(w, pool, locals, (writer) => ({
            products: pairs.flatMap(([a, b]) => [
              { a: at(writer, pointer(a)), b: at(writer, pointer(b), part) },
              { a: at(writer, pointer(a), 1), b: at(writer, pointer(b), 1 - part), negative: part === 0 },
            ]),
            ...(addend === undefined ? {} : { addend: at(writer, pointer(addend), part) }),
            store:
              part === 1
                ? to(writer, pointer(0), 1)
                : (limb, push) => {
                    push();
                    writer.set(first[limb] as Local);
                  },
          }));
        }
        // Last, because the result may replace an operand.
        for (let i = 0; i < LIMBS; i++) to(w, pointer(0))(i, () => w.get(first[i] as Local));
      };
    });

  /** (d, a, b, n, step of d, of a, of b): d = a·b in Fp; with other steps a scan or a broadcast. */
  const mul = () => {
    const w = writeFunction(7);
    const [d, a, b, n, ...steps] = Array.from({ length: 7 }, (_, i) => w.parameter(i)) as [
      Local,
      Local,
      Local,
      Local,
      ...Local[],
    ];
    const locals = dotLocals(w, pool);
    w.repeat(n, () => {
      dot(w, pool, locals, (writer) => ({
        products: [{ a: at(writer, a), b: at(writer, b) }],
        store: to(writer, d),
      }));
      for (const [i, pointer] of [d, a, b].entries()) advance(w, pointer, steps[i] as Local);
    });
    return w.finish();
  };

  /** (d, a, n): a² in Fp2 as (a₀ + a₁)(a₀ − a₁) and 2·a₀·a₁. */
  const sqr2 = () =>
    loop(2, (w, [d, a]) => {
      const locals = dotLocals(w, pool);
      const factor = Array.from({ length: LIMBS }, () => w.local("v128"));
      const doubled = Array.from({ length: LIMBS }, () => w.local("v128"));
      const pick = (writer: FunctionWriter, from: readonly Local[]): Operand => (limb) =>
        writer.get(from[limb] as Local);
      const both = (writer: FunctionWriter, op: "f64Add" | "f64Sub", second: 0 | 1): Operand => (limb) => {
        at(writer, a as Local)(limb);
        at(writer, a as Local, second)(limb);
        writer.op(op);
      };
      return () => {
        for (let i = 0; i < LIMBS; i++) {
          both(w, "f64Sub", 1)(i);
          w.set(factor[i] as Local);
          both(w, "f64Add", 0)(i);
          w.set(doubled[i] as Local);
        }
        // The second part first: d may be a.
        const second = Array.from({ length: LIMBS }, () => w.local("v128"));
        dot(w, pool, locals, (writer) => ({
          products: [{ a: at(writer, a as Local, 1), b: pick(writer, doubled) }],
          store: (limb, push) => {
            push();
            writer.set(second[limb] as Local);
          },
        }));
        dot(w, pool, locals, (writer) => ({
          products: [{ a: both(writer, "f64Add", 1), b: pick(writer, factor) }],
          store: to(writer, d as Local),
        }));
        for (let i = 0; i < LIMBS; i++) to(w, d as Local, 1)(i, () => w.get(second[i] as Local));
      };
    });

  /** (d, a, n): a₀² + a₁² of an element of Fp2, an element of Fp. */
  const norm2 = () =>
    loop(2, (w, [d, a]) => {
      const locals = dotLocals(w, pool);
      return () =>
        dot(w, pool, locals, (writer) => ({
          products: [0, 1].map((part) => ({
            a: at(writer, a as Local, part),
            b: at(writer, a as Local, part),
          })),
          store: to(writer, d as Local),
        }));
    });

  /** (d, a, b, n): a ± b in Fp, not reduced. */
  const linear = (op: "f64Add" | "f64Sub") =>
    loop(3, (w, [d, a, b]) => () => {
      for (let i = 0; i < LIMBS; i++) {
        to(w, d as Local)(i, () => {
          at(w, a as Local)(i);
          at(w, b as Local)(i);
          w.op(op);
        });
      }
    });

  /** (d, a, n): the same element of Fp, normal; up to four units. */
  const normal = () =>
    loop(2, (w, [d, a]) => {
      const limbs = Array.from({ length: LIMBS }, () => w.local("v128"));
      const temporary = w.local("v128");
      return () => {
        for (let i = 0; i < LIMBS; i++) {
          at(w, a as Local)(i);
          w.set(limbs[i] as Local);
        }
        emitNormal(w, pool, limbs, temporary);
        for (let i = 0; i < LIMBS; i++) to(w, d as Local)(i, () => w.get(limbs[i] as Local));
      };
    });

  /** (d, a, n): ξ·a in Fp2, ξ = 9 + i, of a normal a; d is not a. */
  const xi = () =>
    loop(2, (w, [d, a]) => {
      const limbs = Array.from({ length: LIMBS }, () => w.local("v128"));
      const temporary = w.local("v128");
      return () => {
        for (const part of [0, 1]) {
          for (let i = 0; i < LIMBS; i++) {
            at(w, a as Local, part)(i);
            pushDouble(w, pool, 4);
            w.op("f64Mul");
            w.set(limbs[i] as Local);
          }
          emitNormal(w, pool, limbs, temporary);
          for (let i = 0; i < LIMBS; i++) {
            w.get(limbs[i] as Local);
            w.get(limbs[i] as Local);
            w.op("f64Add");
            at(w, a as Local, part)(i);
            w.op("f64Add");
            at(w, a as Local, 1 - part)(i);
            w.op(part === 0 ? "f64Sub" : "f64Add");
            w.set(limbs[i] as Local);
          }
          emitNormal(w, pool, limbs, temporary);
          for (let i = 0; i < LIMBS; i++) to(w, d as Local, part)(i, () => w.get(limbs[i] as Local));
        }
      };
    });

  /** (a): whether multiply-add is fused: 0 in a's first limb if and only if it is. */
  const probe = () => {
    const w = writeFunction(1);
    const a = w.parameter(0);
    // x = a's second limb, y = its third: x·y − y'·… is left exact only by one rounding.
    w.get(a);
    for (const limb of [1, 2]) at(w, a)(limb);
    at(w, a)(3);
    w.op("f64Madd");
    at(w, a)(4);
    w.op("f64Sub");
    w.store(0);
    return w.finish();
  };

  /**
   * (f, t, b, c, ξb, ξc, count): f ← f · Π (1 + b·w + c·w³) over `count` slots of lines, in the first slot of
   * an element of Fp12, which is six of Fp2 (fp12.ts). f and t take turns: an odd count leaves it in t.
   */
  const lines = () => {
    const w = writeFunction(7);
    const [f, t, b, c, xb, xc, count] = Array.from({ length: 7 }, (_, i) => w.parameter(i)) as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const swap = w.local("i32");
    const coefficient = (of: Local, k: number): void => {
      w.get(of);
      w.constant(2 * k * partBytes);
      w.addI32();
    };
    w.repeat(count, () => {
      // Of the result, w^k is f's own plus (w^i times a line's part) plus another; w⁶ = ξ.
      const terms = [
        [5, xb, 3, xc],
        [0, b, 4, xc],
        [1, b, 5, xc],
        [2, b, 0, c],
        [3, b, 1, c],
        [4, b, 2, c],
      ] as const;
      for (const [k, [first, by, second, bySecond]] of terms.entries()) {
        coefficient(t, k);
        coefficient(f, first);
        w.get(by);
        coefficient(f, second);
        w.get(bySecond);
        coefficient(f, k);
        w.constant(1);
        w.call(functions.findIndex(([name]) => name === "mac2"));
      }
      w.get(f);
      w.set(swap);
      w.get(t);
      w.set(f);
      w.get(swap);
      w.set(t);
      for (const pointer of [b, c, xb, xc]) advance(w, pointer, SLOT_BYTES);
    });
    return w.finish();
  };

  const functions: [string, WrittenFunction][] = [
    ["mul", mul()],
    ["mul2", sums([[1, 2]])],
    [
      "mac2",
      sums(
        [
          [1, 2],
          [3, 4],
        ],
        5,
      ),
    ],
    [
      "sum3",
      sums([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    ],
    ["sqr2", sqr2()],
    ["norm2", norm2()],
    ["add", linear("f64Add")],
    ["sub", linear("f64Sub")],
    ["normal", normal()],
    ["xi", xi()],
    ["probe", probe()],
  ];
  functions.push(["lines", lines()]);
  return { code: writeModule(functions), constants: pool.entries() };
}
