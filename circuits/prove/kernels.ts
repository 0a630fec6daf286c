/**
 * The multi-exponentiations' inner loops, added to the vector machine's module (../batch/kernels.ts): additions
 * of points that lie anywhere in memory. Called by points.ts.
 *
 * Beside registers, whose slots hold two elements, there are *singles*: an element's five limbs one after the
 * other, 40 bytes. A stored point is its coordinates as singles. An *entry* is a stored point's address, plus
 * 1 if the point is meant negated.
 */

import type { FunctionWriter, Local, WrittenFunction } from "../batch/assembler.ts";
import { type Extension, SLOT_BYTES } from "../batch/kernels.ts";
import { LIMBS } from "../batch/limbs.ts";
import { dot, dotLocals, type Operand, type Pool } from "../batch/reduction.ts";
import { at, combined, each, element, into, limbOf, loop, of, pair, parameters, to } from "./writing.ts";

export const SINGLE_BYTES = 8 * LIMBS;
/** 1 for G1, over Fp; 2 for G2, over Fp2. */
export type Degree = 1 | 2;
export const pointBytes = (degree: Degree): number => 2 * degree * SINGLE_BYTES;

const SIGN = 1n << 63n;

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
