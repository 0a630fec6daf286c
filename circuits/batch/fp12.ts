/**
 * Fp12 on the vector machine: Σ fₖ·w^k with fₖ in Fp2 and w⁶ = ξ = 9 + i; as a tower, f₀ + f₂v + f₄v² and
 * f₁ + f₃v + f₅v² with v = w². Called by miller.ts and final.ts.
 *
 * An element is six elements of Fp2 in a row; all operations want and give normal ones.
 */

import type { Field, Register } from "./field.ts";

export type Fp12 = ReturnType<typeof createFp12>;

type Three = readonly [Register, Register, Register];

export function createFp12(field: Field) {
  const { add2, sub2, normal2, sum3, xi } = field;
  const allocate = (): Register => {
    const [first = 0] = Array.from({ length: 6 }, () => field.fp2());
    return first;
  };
  const at = (f: Register, k: number): Register => f + 2 * k * field.partBytes;
  const even = (f: Register): Three => [at(f, 0), at(f, 2), at(f, 4)];
  const odd = (f: Register): Three => [at(f, 1), at(f, 3), at(f, 5)];
  const three = (): Three => [field.fp2(), field.fp2(), field.fp2()];
  const zero2 = field.fp2();
  const [x1, x2] = [field.fp2(), field.fp2()];
  const [left, right, first, second, both] = [three(), three(), three(), three(), three()];

  /** Fp6; d is neither a nor b; a may have two units. */
  const mul6 = (d: Three, a: Three, b: Three, n: number): void => {
    xi(x1, b[1], n);
    xi(x2, b[2], n);
    sum3(d[0], a[0], b[0], a[1], x2, a[2], x1, n);
    sum3(d[1], a[0], b[1], a[1], b[0], a[2], x2, n);
    sum3(d[2], a[0], b[2], a[1], b[1], a[2], b[0], n);
  };
  const each = (operation: (i: 0 | 1 | 2) => void): void => {
    for (const i of [0, 1, 2] as const) operation(i);
  };
  /** a + v·b into d, normal; d may be a, not b. */
  const addShifted = (d: Three, a: Three, b: Three, n: number): void => {
    xi(x1, b[2], n);
    add2(d[0], a[0], x1, n);
    add2(d[1], a[1], b[0], n);
    add2(d[2], a[2], b[1], n);
    each((i) => normal2(d[i], d[i], n));
  };

  /** d may be a or b. */
  const mul = (d: Register, a: Register, b: Register, n: number): void => {
    mul6(first, even(a), even(b), n);
    mul6(second, odd(a), odd(b), n);
    each((i) => {
      add2(left[i], even(a)[i], odd(a)[i], n);
      add2(right[i], even(b)[i], odd(b)[i], n);
      normal2(right[i], right[i], n);
    });
    mul6(both, left, right, n);
    each((i) => {
      sub2(both[i], both[i], first[i], n);
      sub2(both[i], both[i], second[i], n);
      normal2(odd(d)[i], both[i], n);
    });
    addShifted(even(d), first, second, n);
  };

  /** d may be a. */
  const sqr = (d: Register, a: Register, n: number): void => {
    mul6(first, even(a), odd(a), n);
    each((i) => add2(left[i], even(a)[i], odd(a)[i], n));
    addShifted(right, even(a), odd(a), n);
    mul6(both, left, right, n);
    each((i) => sub2(both[i], both[i], first[i], n));
    // both − first − v·first, both having two units
    xi(x1, first[2], n);
    sub2(even(d)[0], both[0], x1, n);
    sub2(even(d)[1], both[1], first[0], n);
    sub2(even(d)[2], both[2], first[1], n);
    each((i) => {
      normal2(even(d)[i], even(d)[i], n);
      add2(odd(d)[i], first[i], first[i], n);
      normal2(odd(d)[i], odd(d)[i], n);
    });
  };

  return {
    allocate,
    at,
    mul,
    sqr,
    setOne: (f: Register, n: number): void => {
      for (let k = 0; k < 6; k++) field.copy2(at(f, k), zero2, n);
      field.copy(f, field.one, n);
    },
    copy: (d: Register, a: Register, n: number): void => {
      for (let k = 0; k < 6; k++) field.copy2(at(d, k), at(a, k), n);
    },
    /** f^(p⁶), the inverse of what has passed the easy part of the final exponentiation. */
    conjugate: (d: Register, a: Register, n: number): void => {
      for (let k = 0; k < 6; k++) {
        if (k % 2 === 0) field.copy2(at(d, k), at(a, k), n);
        else sub2(at(d, k), zero2, at(a, k), n);
      }
    },
  };
}
