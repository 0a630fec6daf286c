/**
 * Points of G1 on the vector machine: affine registers x, y, or Jacobian ones X, Y, Z for (X/Z², Y/Z³), one
 * point an element. Called by coefficients.ts, key.ts and equation.ts.
 *
 * The formulas have exceptions (a point plus itself, its negative, or infinity). Whoever calls says why they
 * do not occur.
 */

import { bn254 } from "@noble/curves/bn254.js";
import type { Field, Register } from "./field.ts";
import { mod } from "./limbs.ts";
import type { Inverter } from "./powers.ts";

export type Affine = { readonly x: Register; readonly y: Register };
export type Jacobian = Affine & { readonly z: Register };
export type NoblePoint = InstanceType<typeof bn254.G1.Point>;
export type G1 = ReturnType<typeof createG1>;

const { Point } = bn254.G1;

export function createG1(field: Field, { invert }: Inverter) {
  const { mul, add, sub, normal, copy } = field;
  const [a, b, c, d, e, f, g] = Array.from({ length: 7 }, () => field.fp()) as [
    Register,
    Register,
    Register,
    Register,
    Register,
    Register,
    Register,
  ];
  const affine = (): Affine => ({ x: field.fp(), y: field.fp() });
  const jacobian = (): Jacobian => ({ ...affine(), z: field.fp() });
  const addend = jacobian();

  /** R² − HHH − 2·V, R·(V − X₃) − Y·HHH and the new Z, of H in `a`, R in `b`, Y in `yFactor`, V's x in `x`. */
  const finishAddition = (t: Jacobian, x: Register, yFactor: Register, z: Register, n: number): void => {
    mul(c, a, a, n);
    mul(d, c, a, n);
    mul(c, c, x, n);
    mul(e, yFactor, d, n);
    mul(t.z, z, a, n);
    mul(f, b, b, n);
    sub(f, f, d, n);
    sub(f, f, c, n);
    sub(f, f, c, n);
    normal(t.x, f, n);
    sub(c, c, t.x, n);
    mul(f, b, c, n);
    sub(f, f, e, n);
    normal(t.y, f, n);
  };

  return {
    affine,
    jacobian,
    /** T ← 2T. */
    double: ({ x, y, z }: Jacobian, n: number): void => {
      mul(a, x, x, n);
      mul(b, y, y, n);
      mul(c, b, b, n);
      mul(d, x, b, n);
      add(e, y, y, n);
      mul(z, e, z, n);
      add(e, a, a, n);
      add(e, e, a, n);
      normal(e, e, n); // 3X²
      mul(f, e, e, n);
      add(d, d, d, n);
      add(d, d, d, n);
      normal(d, d, n); // 4XY²
      sub(f, f, d, n);
      sub(f, f, d, n);
      normal(x, f, n);
      sub(d, d, x, n);
      mul(f, e, d, n);
      add(c, c, c, n);
      add(c, c, c, n);
      normal(c, c, n); // 4Y⁴
      sub(f, f, c, n);
      sub(f, f, c, n);
      normal(y, f, n);
    },
    /** T ← T + Q, Q affine. */
    addAffine: (t: Jacobian, q: Affine, n: number): void => {
      mul(g, t.z, t.z, n);
      mul(a, q.x, g, n);
      sub(a, a, t.x, n);
      mul(g, t.z, g, n);
      mul(b, q.y, g, n);
      sub(b, b, t.y, n);
      finishAddition(t, t.x, t.y, t.z, n);
    },
    /** T ← T + Q, slots of Q from `from` on. */
    add: (t: Jacobian, q: Jacobian, from: number, n: number): void => {
      const [x, y, z] = [q.x, q.y, q.z].map((register) => field.slotAt(register, from)) as [
        Register,
        Register,
        Register,
      ];
      mul(g, z, z, n);
      mul(addend.x, t.x, g, n); // U₁
      mul(g, g, z, n);
      mul(addend.y, t.y, g, n); // S₁
      mul(g, t.z, t.z, n);
      mul(a, x, g, n);
      sub(a, a, addend.x, n);
      mul(g, g, t.z, n);
      mul(b, y, g, n);
      sub(b, b, addend.y, n);
      mul(addend.z, t.z, z, n);
      finishAddition(t, addend.x, addend.y, addend.z, n);
    },
    /** Affine coordinates; none of the points may be infinity. */
    toAffine: (to: Affine, { x, y, z }: Jacobian, n: number): void => {
      invert(g, z, n);
      mul(a, g, g, n);
      mul(to.x, x, a, n);
      mul(a, a, g, n);
      mul(to.y, y, a, n);
    },
    fromAffine: (to: Jacobian, { x, y }: Affine, n: number): void => {
      copy(to.x, x, n);
      copy(to.y, y, n);
      copy(to.z, field.one, n);
    },
    move: (to: Jacobian, at: number, from: Jacobian, element: number): void => {
      field.move(to.x, at, from.x, element);
      field.move(to.y, at, from.y, element);
      field.move(to.z, at, from.z, element);
    },
    /** Homogeneous, as noble has it. */
    read: ({ x, y, z }: Jacobian, element: number): NoblePoint => {
      const Z = field.read(z, element);
      return new Point(mod(field.read(x, element) * Z), field.read(y, element), mod(Z * Z * Z));
    },
  };
}

/** The sum of the first `count` points, which are overwritten. */
export function sumOf(g1: G1, t: Jacobian, count: number): NoblePoint {
  let sum = Point.ZERO;
  if (count % 2 === 1) sum = sum.add(g1.read(t, count - 1));
  let slots = Math.floor(count / 2);
  if (slots === 0) return sum;
  while (slots > 1) {
    const half = Math.floor(slots / 2);
    g1.add(t, t, slots - half, half);
    slots -= half;
  }
  return sum.add(g1.read(t, 0)).add(g1.read(t, 1));
}
