/**
 * The prover's inner loops, added to the vector machine's module (../batch/kernels.ts): additions of points
 * that lie anywhere in memory for the multi-exponentiations, and butterflies for the transforms. Called by
 * points.ts and transform.ts.
 *
 * Beside registers, whose slots hold two elements, there are *singles*: an element's five limbs one after the
 * other, 40 bytes. A stored point is its coordinates as singles. An *entry* is a stored point's address, plus
 * 1 if the point is meant negated.
 */

import { type FunctionWriter, type Local, type WrittenFunction, writeFunction } from "../batch/assembler.ts";
import { type Extension, SLOT_BYTES } from "../batch/kernels.ts";
import { LIMBS } from "../batch/limbs.ts";
import { type Dot, dot, dotLocals, emitNormal, type Operand, type Pool } from "../batch/reduction.ts";

export const SINGLE_BYTES = 8 * LIMBS;
/** 1 for G1, over Fp; 2 for G2, over Fp2. */
export type Degree = 1 | 2;
export const pointBytes = (degree: Degree): number => 2 * degree * SINGLE_BYTES;

const SIGN = 1n << 63n;

const at =
  (w: FunctionWriter, pointer: Local, offset = 0): Operand =>
  (limb) => {
    w.get(pointer);
    w.load(offset + 16 * limb);
  };
const to =
  (w: FunctionWriter, pointer: Local, offset = 0): Dot["store"] =>
  (limb, push) => {
    w.get(pointer);
    push();
    w.store(offset + 16 * limb);
  };
const advance = (w: FunctionWriter, pointer: Local, step: Local | number): void => {
  w.get(pointer);
  if (typeof step === "number") w.constant(step);
  else w.get(step);
  w.addI32();
  w.set(pointer);
};
const element = (w: FunctionWriter): readonly Local[] => Array.from({ length: LIMBS }, () => w.local("v128"));
const limbOf = (limbs: readonly Local[], i: number): Local => limbs[i] as Local;
/** What pushes an element's limbs. */
const of =
  (w: FunctionWriter, limbs: readonly Local[]): Operand =>
  (limb) =>
    w.get(limbOf(limbs, limb));
const into =
  (w: FunctionWriter, limbs: readonly Local[]): Dot["store"] =>
  (limb, push) => {
    push();
    w.set(limbOf(limbs, limb));
  };
const each = (run: (limb: number) => void): void => {
  for (let limb = 0; limb < LIMBS; limb++) run(limb);
};
const combined =
  (w: FunctionWriter, op: "f64Add" | "f64Sub", first: Operand, second: Operand): Operand =>
  (limb) => {
    first(limb);
    second(limb);
    w.op(op);
  };
/** A limb of two singles, the first in lane 0. */
const pair =
  (w: FunctionWriter, first: Local, second: Local, offset: number): Operand =>
  (limb) => {
    w.get(second);
    w.get(first);
    w.loadFirst(offset + 8 * limb);
    w.loadSecond(offset + 8 * limb);
  };

/** A function of pointers and a count, which runs once a slot; `steps` says how far each pointer moves then. */
function loop(
  steps: readonly number[],
  body: (w: FunctionWriter, pointers: readonly Local[]) => () => void,
): WrittenFunction {
  const w = writeFunction(steps.length + 1);
  const pointers = steps.map((_, i) => w.parameter(i));
  const step = body(w, pointers);
  w.repeat(w.parameter(steps.length), () => {
    step();
    for (const [i, pointer] of pointers.entries()) advance(w, pointer, steps[i] ?? 0);
  });
  return w.finish();
}

const parameters = (pointers: readonly Local[], i: number): Local => pointers[i] as Local;

/**
 * (entries, x₁, −y₁, −x₁ − x₂, y₂ − y₁, x₂ − x₁, n): four entries a slot, of points P₁ and P₂ of the addition
 * in lane 0, then of that in lane 1.
 */
function gather(pool: Pool, partBytes: number, degree: Degree): WrittenFunction {
  const S = SLOT_BYTES;
  return loop([16, S, S, S, S, S], (w, pointers) => {
    const [entries, x, ny, nxs, dy, dx] = [0, 1, 2, 3, 4, 5].map((i) => parameters(pointers, i)) as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const points = [0, 1, 2, 3].map(() => w.local("i32")) as [Local, Local, Local, Local];
    const signs = [w.local("v128"), w.local("v128")] as const;
    const [first, second, zero] = [w.local("v128"), w.local("v128"), w.local("v128")];
    const [plain, negative] = [pool.bits(0n), pool.bits(SIGN)];
    const signAddress = (i: number): void => {
      w.get(entries);
      w.loadI32(4 * i);
      w.constant(1);
      w.andI32();
      w.constant(negative - plain);
      w.mulI32();
    };
    w.constant(0);
    w.load(plain);
    w.set(zero);
    return () => {
      for (const [i, point] of points.entries()) {
        w.get(entries);
        w.loadI32(4 * i);
        w.constant(-2);
        w.andI32();
        w.set(point);
      }
      for (const i of [0, 1]) {
        signAddress(2 + i);
        signAddress(i);
        w.loadFirst(plain);
        w.loadSecond(plain);
        w.set(signs[i] as Local);
      }
      for (let part = 0; part < degree; part++) {
        const xAt = part * SINGLE_BYTES;
        const yAt = (degree + part) * SINGLE_BYTES;
        const offset = part * partBytes;
        each((limb) => {
          pair(w, points[0], points[2], xAt)(limb);
          w.set(first);
          pair(w, points[1], points[3], xAt)(limb);
          w.set(second);
          to(w, x, offset)(limb, () => w.get(first));
          to(
            w,
            nxs,
            offset,
          )(limb, () => {
            w.get(zero);
            w.get(first);
            w.op("f64Sub");
            w.get(second);
            w.op("f64Sub");
          });
          to(
            w,
            dx,
            offset,
          )(limb, () => {
            w.get(second);
            w.get(first);
            w.op("f64Sub");
          });
          pair(w, points[0], points[2], yAt)(limb);
          w.get(signs[0]);
          w.op("xor");
          w.set(first);
          pair(w, points[1], points[3], yAt)(limb);
          w.get(signs[1]);
          w.op("xor");
          w.set(second);
          to(
            w,
            ny,
            offset,
          )(limb, () => {
            w.get(zero);
            w.get(first);
            w.op("f64Sub");
          });
          to(
            w,
            dy,
            offset,
          )(limb, () => {
            w.get(second);
            w.get(first);
            w.op("f64Sub");
          });
        });
      }
    };
  });
}

/** An element's limbs, both lanes, into the two stored points at `out`. */
const scatter = (
  w: FunctionWriter,
  out: Local,
  limbs: readonly Local[],
  offset: number,
  size: number,
): void =>
  each((limb) => {
    for (const lane of [0, 1] as const) {
      w.get(out);
      w.get(limbOf(limbs, limb));
      w.storeLane(lane * size + offset + 8 * limb, lane);
    }
  });

/** (sums, x₁, −y₁, −x₁ − x₂, y₂ − y₁, 1/(x₂ − x₁), n): the sums of `gather`'s points, two stored points a slot. */
function finish(pool: Pool): WrittenFunction {
  const S = SLOT_BYTES;
  const size = pointBytes(1);
  return loop([2 * size, S, S, S, S, S], (w, pointers) => {
    const pointer = (i: number): Local => parameters(pointers, i);
    const locals = dotLocals(w, pool);
    const [slope, x3, y3, back] = [element(w), element(w), element(w), element(w)];
    return () => {
      dot(w, pool, locals, (writer) => ({
        products: [{ a: at(writer, pointer(4)), b: at(writer, pointer(5)) }],
        store: into(writer, slope),
      }));
      dot(w, pool, locals, (writer) => ({
        products: [{ a: of(writer, slope), b: of(writer, slope) }],
        addend: at(writer, pointer(3)),
        store: into(writer, x3),
      }));
      each((limb) => {
        combined(w, "f64Sub", at(w, pointer(1)), of(w, x3))(limb);
        w.set(limbOf(back, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [{ a: of(writer, slope), b: of(writer, back) }],
        addend: at(writer, pointer(2)),
        store: into(writer, y3),
      }));
      scatter(w, pointer(0), x3, 0, size);
      scatter(w, pointer(0), y3, SINGLE_BYTES, size);
    };
  });
}

/** As `finish` in Fp2, with x₂ − x₁ and the inverse of its norm: (…, y₂ − y₁, x₂ − x₁, 1/norm, n). */
function finish2(pool: Pool, partBytes: number): WrittenFunction {
  const S = SLOT_BYTES;
  const size = pointBytes(2);
  return loop([2 * size, S, S, S, S, S, S], (w, pointers) => {
    const [out, x, ny, nxs, dy, dx, inverse] = pointers as readonly Local[] as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const locals = dotLocals(w, pool);
    const two = () => [element(w), element(w)] as const;
    const [slope, x3, y3, back] = [two(), two(), two(), two()];
    const factor = element(w);
    const part = (writer: FunctionWriter, pointer: Local, i: number): Operand =>
      at(writer, pointer, i * partBytes);
    return () => {
      // dy · conjugate(dx), then by 1/norm
      for (const i of [0, 1] as const) {
        dot(w, pool, locals, (writer) => ({
          products: [
            { a: part(writer, dy, i), b: part(writer, dx, 0) },
            { a: part(writer, dy, 1 - i), b: part(writer, dx, 1), negative: i === 1 },
          ],
          store: into(writer, slope[i]),
        }));
        dot(w, pool, locals, (writer) => ({
          products: [{ a: of(writer, slope[i]), b: part(writer, inverse, 0) }],
          store: into(writer, slope[i]),
        }));
      }
      each((limb) => {
        combined(w, "f64Add", of(w, slope[0]), of(w, slope[1]))(limb);
        w.set(limbOf(factor, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [
          {
            a: combined(writer, "f64Sub", of(writer, slope[0]), of(writer, slope[1])),
            b: of(writer, factor),
          },
        ],
        addend: part(writer, nxs, 0),
        store: into(writer, x3[0]),
      }));
      each((limb) => {
        combined(w, "f64Add", of(w, slope[1]), of(w, slope[1]))(limb);
        w.set(limbOf(factor, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [{ a: of(writer, slope[0]), b: of(writer, factor) }],
        addend: part(writer, nxs, 1),
        store: into(writer, x3[1]),
      }));
      for (const i of [0, 1] as const) {
        each((limb) => {
          combined(w, "f64Sub", part(w, x, i), of(w, x3[i]))(limb);
          w.set(limbOf(back[i], limb));
        });
      }
      for (const i of [0, 1] as const) {
        dot(w, pool, locals, (writer) => ({
          products: [
            { a: of(writer, slope[0]), b: of(writer, back[i]) },
            { a: of(writer, slope[1]), b: of(writer, back[1 - i] as readonly Local[]), negative: i === 0 },
          ],
          addend: part(writer, ny, i),
          store: into(writer, y3[i]),
        }));
      }
      for (const i of [0, 1] as const) {
        scatter(w, out, x3[i], i * SINGLE_BYTES, size);
        scatter(w, out, y3[i], (2 + i) * SINGLE_BYTES, size);
      }
    };
  });
}

/** What the multi-exponentiations add to the machine of the base field. */
export const pointKernels: Extension = (pool, partBytes) => [
  ["gather1", gather(pool, partBytes, 1)],
  ["gather2", gather(pool, partBytes, 2)],
  ["finish1", finish(pool)],
  ["finish2", finish2(pool, partBytes)],
];

/** (sums, addresses, n): sums + c·w; four addresses a slot, of c and w for lane 0, then for lane 1. */
const multiplyAdd = (pool: Pool): WrittenFunction =>
  loop([SLOT_BYTES, 16], (w, pointers) => {
    const [sums, addresses] = [parameters(pointers, 0), parameters(pointers, 1)];
    const places = [0, 1, 2, 3].map(() => w.local("i32")) as [Local, Local, Local, Local];
    const locals = dotLocals(w, pool);
    const factor = element(w);
    return () => {
      for (const [i, place] of places.entries()) {
        w.get(addresses);
        w.loadI32(4 * i);
        w.set(place);
      }
      each((limb) => {
        pair(w, places[1], places[3], 0)(limb);
        w.set(limbOf(factor, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [{ a: pair(writer, places[0], places[2], 0), b: of(writer, factor) }],
        addend: at(writer, sums),
        store: to(writer, sums),
      }));
    };
  });

/** (d, addresses, n): two elements of registers, by the addresses of their first limbs, beside each other. */
const collect = (): WrittenFunction =>
  loop([SLOT_BYTES, 8], (w, pointers) => {
    const [d, addresses] = [parameters(pointers, 0), parameters(pointers, 1)];
    const [first, second] = [w.local("i32"), w.local("i32")];
    return () => {
      for (const [i, place] of [first, second].entries()) {
        w.get(addresses);
        w.loadI32(4 * i);
        w.set(place);
      }
      each((limb) => to(w, d)(limb, () => pair(w, first, second, 8 * limb)(limb)));
    };
  });

/** (d, a, b, n): the product of a's lanes, less b, in both lanes; up to two units in a. */
const lanesProduct = (pool: Pool): WrittenFunction =>
  loop([SLOT_BYTES, SLOT_BYTES, SLOT_BYTES], (w, pointers) => {
    const [d, a, b] = [0, 1, 2].map((i) => parameters(pointers, i)) as [Local, Local, Local];
    const locals = dotLocals(w, pool);
    const [swapped, negative] = [element(w), element(w)];
    const temporary = w.local("v128");
    return () => {
      each((limb) => {
        at(w, a)(limb);
        w.swapLanes(temporary);
        w.set(limbOf(swapped, limb));
        w.constant(0);
        w.load(pool.bits(0n));
        at(w, b)(limb);
        w.op("f64Sub");
        w.set(limbOf(negative, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [{ a: at(writer, a), b: of(writer, swapped) }],
        addend: of(writer, negative),
        store: to(writer, d),
      }));
    };
  });

/** (d, a, w, n): slots of a times singles. */
const bySingles = (pool: Pool): WrittenFunction =>
  loop([SLOT_BYTES, SLOT_BYTES, SINGLE_BYTES], (w, pointers) => {
    const [d, a, singles] = [0, 1, 2].map((i) => parameters(pointers, i)) as [Local, Local, Local];
    const locals = dotLocals(w, pool);
    return () =>
      dot(w, pool, locals, (writer) => ({
        products: [{ a: at(writer, a), b: splat(writer, singles) }],
        store: to(writer, d),
      }));
  });

const splat =
  (w: FunctionWriter, single: Local): Operand =>
  (limb) => {
    w.get(single);
    w.loadSplat(8 * limb);
  };

/**
 * (a, b, w, n, step of a and b, step of w): n butterflies of registers a and b with singles w. `before`: a + wb
 * and a − wb; else a + b and w(a − b).
 */
function butterfly(pool: Pool, before: boolean): WrittenFunction {
  const w = writeFunction(6);
  const [a, b, single, count, step, singleStep] = [0, 1, 2, 3, 4, 5].map((i) => w.parameter(i)) as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const locals = dotLocals(w, pool);
  const [sum, difference] = [element(w), element(w)];
  const temporary = w.local("v128");
  w.repeat(count, () => {
    if (before) {
      const product = difference;
      dot(w, pool, locals, (writer) => ({
        products: [{ a: at(writer, b), b: splat(writer, single) }],
        store: into(writer, product),
      }));
      each((limb) => {
        combined(w, "f64Add", at(w, a), of(w, product))(limb);
        w.set(limbOf(sum, limb));
        combined(w, "f64Sub", at(w, a), of(w, product))(limb);
        w.set(limbOf(difference, limb));
      });
      emitNormal(w, pool, difference, temporary);
      each((limb) => to(w, b)(limb, () => w.get(limbOf(difference, limb))));
    } else {
      each((limb) => {
        combined(w, "f64Add", at(w, a), at(w, b))(limb);
        w.set(limbOf(sum, limb));
        combined(w, "f64Sub", at(w, a), at(w, b))(limb);
        w.set(limbOf(difference, limb));
      });
      dot(w, pool, locals, (writer) => ({
        products: [{ a: of(writer, difference), b: splat(writer, single) }],
        store: to(writer, b),
      }));
    }
    emitNormal(w, pool, sum, temporary);
    each((limb) => to(w, a)(limb, () => w.get(limbOf(sum, limb))));
    for (const pointer of [a, b]) advance(w, pointer, step);
    advance(w, single, singleStep);
  });
  return w.finish();
}

/** What the transforms add to the machine of the scalar field. */
export const transformKernels: Extension = (pool) => [
  ["multiplyAdd", multiplyAdd(pool)],
  ["collect", collect()],
  ["lanesProduct", lanesProduct(pool)],
  ["bySingles", bySingles(pool)],
  ["sumFirst", butterfly(pool, false)],
  ["productFirst", butterfly(pool, true)],
];
