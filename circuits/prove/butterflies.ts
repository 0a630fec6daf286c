/**
 * The transforms' inner loops: sums of products of elements that lie anywhere, and butterflies. Called by
 * transform.ts. What *singles* are is said in kernels.ts.
 */

import { type FunctionWriter, type Local, type WrittenFunction, writeFunction } from "../batch/assembler.ts";
import { type Extension, SLOT_BYTES } from "../batch/kernels.ts";
import { dot, dotLocals, emitNormal, type Operand, type Pool } from "../batch/reduction.ts";
import { SINGLE_BYTES } from "./kernels.ts";
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
  parameters,
  to,
} from "./writing.ts";

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
