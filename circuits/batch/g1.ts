/**
 * Points of G1 on the vector machine: affine registers x, y, or Jacobian ones X, Y, Z for (X/Z², Y/Z³), one
 * point an element. Called by coefficients.ts, key.ts and equation.ts.
 *
 * The formulas have exceptions (a point plus itself, its negative, or infinity), which leave 0 for Z. Whoever
 * calls says why they do not occur, or looks.
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
  const [addend, odd, lane] = [jacobian(), jacobian(), jacobian()];

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

  /** T ← T + Q, slots of Q from `from` on. */
  const addJacobian = (t: Jacobian, q: Jacobian, from: number, n: number): void => {
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
  };
  const move = (to: Jacobian, at: number, from: Jacobian, element: number, negative = false): void => {
    field.move(to.x, at, from.x, element);
    field.move(to.y, at, from.y, element, negative);
    field.move(to.z, at, from.z, element);
  };

  /** As (0, 1, 0). */
  const setInfinity = (to: Jacobian, element: number): void => {
    field.move(to.x, element, field.zero, 0);
    field.move(to.y, element, field.one, 0);
    field.move(to.z, element, field.zero, 0);
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
    move,
    /**
     * Sums the first points, at least one, into the first element, and overwrites the others. Answers whether
     * that is the sum: an exceptional addition makes Z zero, and Z stays zero.
     */
    sum: (t: Jacobian, count: number): boolean => {
      if (count % 2 === 1) move(odd, 0, t, count - 1);
      let slots = count >> 1;
      while (slots > 1) {
        const half = slots >> 1;
        addJacobian(t, t, slots - half, half);
        slots -= half;
      }
      // What the second lane adds from here on is of no use.
      if (slots === 1) {
        move(lane, 0, t, 1);
        addJacobian(t, lane, 0, 1);
      }
      if (count % 2 === 1 && count > 1) addJacobian(t, odd, 0, 1);
      return !field.isZero(t.z, 0);
    },
    /** Homogeneous, as noble has it. */
    read: ({ x, y, z }: Jacobian, element: number): NoblePoint => {
      const Z = field.read(z, element);
      return new Point(mod(field.read(x, element) * Z), field.read(y, element), mod(Z * Z * Z));
    },
    write: (to: Jacobian, element: number, point: NoblePoint): void => {
      setInfinity(to, element);
      if (point.is0()) return;
      const { x, y } = point.toAffine();
      field.write(to.x, element, x);
      field.write(to.y, element, y);
      field.move(to.z, element, field.one, 0);
    },
    setInfinity,
  };
}
