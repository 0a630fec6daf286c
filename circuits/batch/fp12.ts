/**
 * Fp12 on the vector machine: Σ fₖ·w^k with fₖ in Fp2 and w⁶ = ξ = 9 + i; as a tower, f₀ + f₂v + f₄v² and
 * f₁ + f₃v + f₅v² with v = w². Called by miller.ts and final.ts.
 *
 * An element is six elements of Fp2 in a row; all operations want and give normal ones.
 */

import type { Field, Register } from "./field.ts";
import type { Inverter } from "./powers.ts";

export type Fp12 = ReturnType<typeof createFp12>;

/** A line's coefficients, and ξ times each. */
type Line = { readonly b: Register; readonly c: Register; readonly xb: Register; readonly xc: Register };
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

  /**
   * The square of an element of order p⁴ − p² + 1; d may be a. With s = w³ and the elements A = a₀ + a₃s,
   * B = a₁ + a₄s, C = a₂ + a₅s of Fp4 it is 3A² − 2Ā, (3sC² + 2B̄)w, (3B² − 2C̄)w² (Granger, Scott, "Faster
   * squaring in the cyclotomic subgroup of sixth degree extensions", 2010).
   */
  const sqrCyclotomic = (d: Register, a: Register, n: number): void => {
    const { mac2, mad2, tripleAdd2, tripleSub2 } = field;
    /** x² + ξy² − z and 2xy + y, or 2xξy + z for the second pair, whose square is times s. */
    const part = (i: 0 | 1 | 2, x: Register, y: Register, less: Register, plus: Register): void => {
      xi(x1, y, n);
      sub2(x2, zero2, less, n);
      mac2(left[i], x, x, x1, y, x2, n);
      add2(x2, x, x, n);
      mad2(right[i], x2, i === 1 ? x1 : y, plus, n);
    };
    const [a0, a2, a4] = even(a);
    const [a1, a3, a5] = odd(a);
    part(0, a0, a3, a0, a3);
    part(1, a2, a5, a4, a1);
    part(2, a1, a4, a2, a5);
    tripleAdd2(at(d, 0), left[0], a0, n);
    tripleSub2(at(d, 3), right[0], a3, n);
    tripleAdd2(at(d, 4), left[1], a4, n);
    tripleSub2(at(d, 1), right[1], a1, n);
    tripleAdd2(at(d, 2), left[2], a2, n);
    tripleSub2(at(d, 5), right[2], a5, n);
  };

  const line = three();
  const lineOdd = three();
  /** f · (1 + b·w + c·w³), element by element; xb and xc are ξ·b and ξ·c. */
  const mulLine = (f: Register, { b, c, xb, xc }: Line, n: number): void => {
    const { mac2 } = field;
    const [f0, f2, f4] = even(f);
    const [f1, f3, f5] = odd(f);
    mac2(line[0], f5, xb, f3, xc, f0, n);
    mac2(line[1], f1, b, f5, xc, f2, n);
    mac2(line[2], f3, b, f1, c, f4, n);
    mac2(lineOdd[0], f0, b, f4, xc, f1, n);
    mac2(lineOdd[1], f2, b, f0, c, f3, n);
    mac2(lineOdd[2], f4, b, f2, c, f5, n);
    each((i) => {
      field.copy2(even(f)[i], line[i], n);
      field.copy2(odd(f)[i], lineOdd[i], n);
    });
  };

  /** 1/(c₀ + c₁v + c₂v²); d is not a. */
  const invert6 = (d: Three, [c0, c1, c2]: Three, { invert2 }: Inverter, n: number): void => {
    const { mul2, sqr2 } = field;
    mul2(x2, c1, c2, n);
    xi(x1, x2, n);
    sqr2(d[0], c0, n);
    sub2(d[0], d[0], x1, n);
    sqr2(x2, c2, n);
    xi(x1, x2, n);
    mul2(x2, c0, c1, n);
    sub2(d[1], x1, x2, n);
    sqr2(x1, c1, n);
    mul2(x2, c0, c2, n);
    sub2(d[2], x1, x2, n);
    each((i) => normal2(d[i], d[i], n));
    // c₀d₀ + ξ(c₂d₁ + c₁d₂)
    field.mac2(x2, c2, d[1], c1, d[2], zero2, n);
    xi(x1, x2, n);
    mul2(x2, c0, d[0], n);
    add2(x2, x2, x1, n);
    invert2(x2, x2, n);
    each((i) => mul2(d[i], d[i], x2, n));
  };

  /** d is not a; an inverse of 0 is anything. */
  const invert = (d: Register, a: Register, inverter: Inverter, n: number): void => {
    // (e − o·w)/(e² − v·o²)
    mul6(first, even(a), even(a), n);
    mul6(second, odd(a), odd(a), n);
    xi(x1, second[2], n);
    sub2(first[0], first[0], x1, n);
    sub2(first[1], first[1], second[0], n);
    sub2(first[2], first[2], second[1], n);
    each((i) => normal2(first[i], first[i], n));
    invert6(both, first, inverter, n);
    mul6(even(d), even(a), both, n);
    mul6(odd(d), odd(a), both, n);
    each((i) => sub2(odd(d)[i], zero2, odd(d)[i], n));
  };

  return {
    allocate,
    mulLine,
    invert,
    /** Whether this element is 1. */
    isOne: (f: Register, element: number): boolean => {
      for (let part = 0; part < 12; part++) {
        const register = f + part * field.partBytes;
        const one = part === 0 ? field.read(register, element) === 1n : field.isZero(register, element);
        if (!one) return false;
      }
      return true;
    },
    at,
    mul,
    sqr,
    sqrCyclotomic,
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
