/**
 * The module's functions: elements in registers, and points in memory. Called by machine.ts.
 *
 * A register has slots of 80 bytes, limb by limb, both lanes of a limb together. Points are *singles*: an
 * element's five limbs one after the other, 40 bytes. An *extended* point is X, Y, Z, T with x = X/Z, y = Y/Z,
 * xy = T/Z. A point to be added is affine: y + x, y − x, 2dxy; its address plus 1 means its negative.
 *
 * The formulas are those of Hisil, Wong, Carter, Dawson, "Twisted Edwards curves revisited" (2008), for a = −1.
 * They are complete on this curve, whose d is no square: no two points of it, of whatever order, are exceptions.
 */

import {
  type FunctionWriter,
  type Local,
  writeFunction,
  writeModule,
} from "../../circuits/batch/assembler.ts";
import { LIMBS } from "../../circuits/batch/limbs.ts";
import { type Constants, createConstants } from "../../circuits/batch/reduction.ts";
import {
  advance,
  at,
  combined,
  each,
  element,
  into,
  limbOf,
  loop,
  of,
  pair,
  to,
} from "../../circuits/prove/writing.ts";
import { type Arithmetic, type Columns, createArithmetic, type Limbs } from "./arithmetic.ts";
import { D2, limbsOf } from "./curve.ts";

export const SLOT_BYTES = 16 * LIMBS;
export const SINGLE_BYTES = 8 * LIMBS;
export const EXTENDED_BYTES = 4 * SINGLE_BYTES;
export const AFFINE_BYTES = 3 * SINGLE_BYTES;
/** Of a slot in a list of additions: twice the address of a sum and that of what is added to it. */
export const PAIR_BYTES = 16;

const S = SLOT_BYTES;
const SIGN = 1n << 63n;

/** (d, a, b, n): d = a·b. */
const mul = (pool: Constants) =>
  loop([S, S, S], (w, [d, a, b]) => {
    const field = createArithmetic(w, pool);
    return () => {
      const product = field.product(field.take(at(w, a as Local)), field.take(at(w, b as Local)));
      field.settle(product, to(w, d as Local));
    };
  });

/** (d, n, times): d = d^(2^times), slot after slot, so that one need not wait for the other. */
function squarings(pool: Constants) {
  const w = writeFunction(3);
  const [d, n, times] = [w.parameter(0), w.parameter(1), w.parameter(2)];
  const [pointer, left] = [w.local("i32"), w.local("i32")];
  const field = createArithmetic(w, pool);
  w.repeat(times, () => {
    w.get(d);
    w.set(pointer);
    w.get(n);
    w.set(left);
    w.repeat(left, () => {
      field.settle(field.square(field.take(at(w, pointer))), to(w, pointer));
      advance(w, pointer, S);
    });
  });
  return w.finish();
}

/** (d, a, b, n): a ± b. */
const linear = (pool: Constants, op: "f64Add" | "f64Sub") =>
  loop([S, S, S], (w, [d, a, b]) => {
    const field = createArithmetic(w, pool);
    return () =>
      field.tighten(field.take(combined(w, op, at(w, a as Local), at(w, b as Local))), to(w, d as Local));
  });

/** An element's limbs, both lanes, to two places. */
const scatter = (w: FunctionWriter, places: readonly [Local, Local], offset: number, limbs: Limbs): void =>
  each((limb) => {
    for (const lane of [0, 1] as const) {
      w.get(places[lane]);
      w.get(limbOf(limbs, limb));
      w.storeLane(offset + 8 * limb, lane);
    }
  });

/** (out, x, y, n): points to be added, one after the other, two a slot. */
const affine = (pool: Constants) =>
  loop([2 * AFFINE_BYTES, S, S], (w, [out, x, y]) => {
    const field = createArithmetic(w, pool);
    const second = w.local("i32");
    const result = element(w);
    return () => {
      w.get(out as Local);
      w.constant(AFFINE_BYTES);
      w.addI32();
      w.set(second);
      const [a, b] = [field.take(at(w, x as Local)), field.take(at(w, y as Local))];
      for (const [i, op] of (["f64Add", "f64Sub"] as const).entries()) {
        field.tighten(field.take(combined(w, op, of(w, b), of(w, a))), into(w, result));
        scatter(w, [out as Local, second], i * SINGLE_BYTES, result);
      }
      field.settle(field.product(a, b), into(w, result));
      field.settle(field.product(result, twoD(field)), into(w, result));
      scatter(w, [out as Local, second], 2 * SINGLE_BYTES, result);
    };
  });

/** An extended point in locals, and E, F, G, H, from which X = EF, Y = GH, Z = FG, T = EH. */
const pointLocals = (w: FunctionWriter) => {
  const [x, y, z, t] = [element(w), element(w), element(w), element(w)];
  const [e, f, g, h] = [element(w), element(w), element(w), element(w)];
  return { x, y, z, t, e, f, g, h };
};
type PointLocals = ReturnType<typeof pointLocals>;

function multiplyOut(w: FunctionWriter, field: Arithmetic, { x, y, z, e, f, g, h }: PointLocals): void {
  field.settle(field.product(e, f), into(w, x));
  field.settle(field.product(g, h), into(w, y));
  field.settle(field.product(f, g), into(w, z));
}
function storePoint(
  w: FunctionWriter,
  field: Arithmetic,
  places: readonly [Local, Local],
  point: PointLocals,
): void {
  field.settle(field.product(point.e, point.h), into(w, point.t));
  for (const [i, limbs] of [point.x, point.y, point.z, point.t].entries()) {
    scatter(w, places, i * SINGLE_BYTES, limbs);
  }
}

/** (first, n, times): doubles extended points that lie one after the other, two a slot, so many times each. */
const double = (pool: Constants) => {
  const w = writeFunction(3);
  const [first, n, times] = [w.parameter(0), w.parameter(1), w.parameter(2)];
  const [second, left] = [w.local("i32"), w.local("i32")];
  const field = createArithmetic(w, pool);
  const point = pointLocals(w);
  const { x, y, z, e, f, g, h } = point;
  w.repeat(n, () => {
    w.get(first);
    w.constant(EXTENDED_BYTES);
    w.addI32();
    w.set(second);
    for (const [i, limbs] of [x, y, z].entries()) {
      field.take(pair(w, first, second, i * SINGLE_BYTES), limbs);
    }
    w.get(times);
    w.set(left);
    w.repeat(left, () => {
      const [a, b, c] = [field.square(x), field.square(y), field.square(z)];
      field.settle(field.product(x, field.take(field.double(y))), into(w, e));
      const difference = field.combine("i64Sub", b, a);
      const sum = field.combine("i64Add", b, a);
      const twice = field.combine("i64Add", c, c);
      // F and H are the negatives of those of the paper: then so are X, Y, Z and T, which is the same point.
      field.settle(field.combine("i64Sub", twice, difference), into(w, f));
      field.settle(difference, into(w, g));
      field.settle(sum, into(w, h));
      multiplyOut(w, field, point);
    });
    storePoint(w, field, [first, second], point);
    advance(w, first, 2 * EXTENDED_BYTES);
  });
  return w.finish();
};

/** Adds to two sums at a time; `prepare` says what. */
function additions(
  pool: Constants,
  prepare: (w: FunctionWriter, field: Arithmetic, addends: readonly [Local, Local]) => Addition,
) {
  const w = writeFunction(2);
  const [list, n] = [w.parameter(0), w.parameter(1)];
  const field = createArithmetic(w, pool);
  const point = pointLocals(w);
  const { x, y, z, t, e, f, g, h } = point;
  const [sums, addends] = [
    [w.local("i32"), w.local("i32")],
    [w.local("i32"), w.local("i32")],
  ] as const;
  const addition = prepare(w, field, addends);
  w.repeat(n, () => {
    for (const lane of [0, 1] as const) {
      for (const [i, local] of [sums[lane], addends[lane]].entries()) {
        w.get(list);
        w.loadI32(8 * lane + 4 * i);
        w.set(local);
      }
    }
    for (const [i, limbs] of [x, y, z, t].entries()) {
      field.take(pair(w, sums[0], sums[1], i * SINGLE_BYTES), limbs);
    }
    addition.begin();
    const a = field.product(field.take(combined(w, "f64Sub", of(w, y), of(w, x))), addition.minus());
    const b = field.product(field.take(combined(w, "f64Add", of(w, y), of(w, x))), addition.plus());
    const [c, d] = [addition.c(t), addition.d(z)];
    for (const [op, columns, limbs] of [
      ["i64Sub", [b, a], e],
      ["i64Sub", [d, c], f],
      ["i64Add", [d, c], g],
      ["i64Add", [b, a], h],
    ] as const) {
      field.settle(field.combine(op, columns[0], columns[1]), into(w, limbs));
    }
    multiplyOut(w, field, point);
    storePoint(w, field, sums, point);
    advance(w, list, PAIR_BYTES);
  });
  return w.finish();
}
type Addition = {
  readonly begin: () => void;
  /** y − x and y + x of what is added. */
  readonly minus: () => Limbs;
  readonly plus: () => Limbs;
  readonly c: (t: Limbs) => Columns;
  readonly d: (z: Limbs) => Columns;
};

const twoD = (field: Arithmetic): Limbs => {
  const limbs = limbsOf(D2);
  return field.take((i) => field.pushDouble(limbs[i] ?? 0));
};

/** (list, n): affine points to extended ones. */
const addAffine = (pool: Constants) =>
  additions(pool, (w, field, addends) => {
    const places = addends.map(() => ({ plus: w.local("i32"), minus: w.local("i32"), t: w.local("i32") }));
    const [first, second] = places as [(typeof places)[0], (typeof places)[0]];
    const negated = w.local("i32");
    const signs = w.local("v128");
    const [plain, negative] = [pool.bits(0n), pool.bits(SIGN)];
    return {
      begin: () => {
        // The negative's y + x is y − x, and its 2dxy has the other sign.
        for (const [lane, addend] of addends.entries()) {
          const { plus, minus, t } = places[lane] as (typeof places)[0];
          w.get(addend);
          w.constant(-2);
          w.andI32();
          w.set(t);
          w.get(addend);
          w.constant(1);
          w.andI32();
          w.set(negated);
          for (const [to, start, step] of [
            [plus, 0, SINGLE_BYTES],
            [minus, SINGLE_BYTES, -SINGLE_BYTES],
            [addend, 0, negative - plain],
          ] as const) {
            w.get(negated);
            w.constant(step);
            w.mulI32();
            if (to !== addend) {
              w.get(t);
              w.addI32();
            }
            w.constant(start);
            w.addI32();
            w.set(to);
          }
        }
        w.get(addends[1]);
        w.get(addends[0]);
        w.loadFirst(plain);
        w.loadSecond(plain);
        w.set(signs);
      },
      minus: () => field.take(pair(w, first.minus, second.minus, 0)),
      plus: () => field.take(pair(w, first.plus, second.plus, 0)),
      c: (t) => {
        const limb = pair(w, first.t, second.t, 2 * SINGLE_BYTES);
        return field.product(
          t,
          field.take((i) => {
            limb(i);
            w.get(signs);
            w.op("xor");
          }),
        );
      },
      d: (z) => field.columnsOf(field.double(z)),
    };
  });

/** (list, n): extended points to extended ones. */
const addExtended = (pool: Constants) =>
  additions(pool, (w, field, addends) => {
    const [x, y, scaled, minus, plus] = [element(w), element(w), element(w), element(w), element(w)];
    const coordinate = (i: number) => pair(w, addends[0], addends[1], i * SINGLE_BYTES);
    return {
      begin: () => {
        field.take(coordinate(0), x);
        field.take(coordinate(1), y);
        field.settle(field.product(field.take(coordinate(3)), twoD(field)), into(w, scaled));
        // A product of two sums would be too large.
        for (const [op, to] of [
          ["f64Sub", minus],
          ["f64Add", plus],
        ] as const) {
          field.tighten(field.take(combined(w, op, of(w, y), of(w, x))), into(w, to));
        }
      },
      minus: () => minus,
      plus: () => plus,
      c: (t) => field.product(t, scaled),
      d: (z) => field.product(field.take(field.double(z)), field.take(coordinate(2))),
    };
  });

/** The module, and what has to be in its memory. */
export function writeKernels(constantsAt: number) {
  const pool = createConstants(constantsAt);
  const code = writeModule([
    ["mul", mul(pool)],
    ["squarings", squarings(pool)],
    ["add", linear(pool, "f64Add")],
    ["sub", linear(pool, "f64Sub")],
    ["affine", affine(pool)],
    ["double", double(pool)],
    ["addAffine", addAffine(pool)],
    ["addExtended", addExtended(pool)],
  ]);
  return { code, constants: pool.entries() };
}
