/**
 * The inner loops of the batch verifier, as a WebAssembly module made here: what reduction.ts does, over many
 * elements. The prover's are in ../prove/kernels.ts. Called by field.ts.
 *
 * An element pair ("slot") has 80 bytes, limb by limb, both lanes of a limb together. An element of Fp2 has
 * its second part `partBytes` behind the first.
 */

import {
  type FunctionWriter,
  type Local,
  type WrittenFunction,
  writeFunction,
  writeModule,
} from "./assembler.ts";
import { LIMBS, type Modulus } from "./limbs.ts";
import {
  createPool,
  type Dot,
  dot,
  dotLocals,
  emitNormal,
  type Operand,
  type Pool,
  pushDouble,
} from "./reduction.ts";

export const SLOT_BYTES = 16 * LIMBS;

/** Further functions of a module, which share its constants and field. */
export type Extension = (pool: Pool, partBytes: number) => (readonly [string, WrittenFunction])[];

/** The module's functions; `partBytes` lies between the two parts of an element of Fp2. */
export function writeKernels(partBytes: number, constantsAt: number, modulus: Modulus, extension: Extension) {
  const pool = createPool(constantsAt, modulus);
  const at =
    (w: FunctionWriter, pointer: Local, part = 0): Operand =>
    (limb) => {
      w.get(pointer);
      w.load(part * partBytes + 16 * limb);
    };
  const to =
    (w: FunctionWriter, pointer: Local, part = 0): Dot["store"] =>
    (limb, push) => {
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
      const pick =
        (writer: FunctionWriter, from: readonly Local[]): Operand =>
        (limb) =>
          writer.get(from[limb] as Local);
      const both =
        (writer: FunctionWriter, op: "f64Add" | "f64Sub", second: 0 | 1): Operand =>
        (limb) => {
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

  /** (d, a, b, n): 3a ± b in Fp, normal, of normal ones. */
  const triple = (op: "f64Add" | "f64Sub") =>
    loop(3, (w, [d, a, b]) => {
      const limbs = Array.from({ length: LIMBS }, () => w.local("v128"));
      const temporary = w.local("v128");
      return () => {
        for (let i = 0; i < LIMBS; i++) {
          at(w, a as Local)(i);
          w.tee(temporary);
          w.get(temporary);
          w.op("f64Add");
          w.get(temporary);
          w.op("f64Add");
          at(w, b as Local)(i);
          w.op(op);
          w.set(limbs[i] as Local);
        }
        emitNormal(w, pool, limbs, temporary);
        for (let i = 0; i < LIMBS; i++) to(w, d as Local)(i, () => w.get(limbs[i] as Local));
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

  const functions: (readonly [string, WrittenFunction])[] = [
    ["mul", mul()],
    ["mul2", sums([[1, 2]])],
    ["mad2", sums([[1, 2]], 3)],
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
    ["tripleAdd", triple("f64Add")],
    ["tripleSub", triple("f64Sub")],
    ["xi", xi()],
    ["probe", probe()],
  ];
  functions.push(["lines", lines()], ...extension(pool, partBytes));
  return { code: writeModule(functions), constants: pool.entries() };
}
