/**
 * Many Miller loops as one: Π f(Pᵢ, Qᵢ) for the optimal ate pairing, the squarings shared, and whether each Qᵢ
 * is in its group, which the same loop answers. Called by equation.ts.
 *
 * Lines. T = (x, y) on the twist with slope λ gives, over y_P, which the final exponentiation ignores,
 * 1 + λ·(−x_P/y_P)·w + (λx − y)/y_P·w³. Points stay affine: the inverses of a step are taken together. A pair
 * with 0 for −x_P/y_P and 1/y_P has lines that are 1, so it does not count.
 *
 * Subgroup. The loop computes [6x+2]Q + ψ(Q) − ψ²(Q), which for Q of order r is −ψ³(Q). The converse: with
 * ψ² − tψ + p = 0, the endomorphism 6x + 2 + ψ − ψ² + ψ³ has a degree whose greatest common divisor with the
 * order of the twist is r (test/circuits/batch.test.ts computes it), so within the twist it kills nothing
 * else. (Dai, Lin, Zhao, Zhou, "Fast subgroup membership testings", 2022/348; Vercauteren's vector, which
 * makes the pairing optimal, serves as theirs.) No denominator is 0 for a Q of order r: [k]Q = ±Q has
 * no solution for the k that occur. So a zero says that its Q is outside; it is replaced, and remembered.
 */

import { FROBENIUS, LOOP, type Pair, PSI_X, PSI_Y } from "./curve.ts";
import type { Field, Register } from "./field.ts";
import type { Fp12 } from "./fp12.ts";
import type { Inverter } from "./powers.ts";

/** Points of G1 as lines need them: −x/y and 1/y. */
export type LineFactors = { readonly byW: Register; readonly byW3: Register };
/** An affine point over Fp2. */
export type TwistPoint = { readonly x: Register; readonly y: Register };

export function createMiller(field: Field, fp12: Fp12, { invert2 }: Inverter) {
  const { mul2, sqr2, add2, sub2, normal2, scale2, xi } = field;
  const point = (): TwistPoint => ({ x: field.fp2(), y: field.fp2() });
  const t = point();
  const images = [point(), point(), point()] as const;
  const [slope, denominator, constant, fresh] = [field.fp2(), field.fp2(), field.fp2(), field.fp2()];
  const [b, c, xb, xc] = [field.fp2(), field.fp2(), field.fp2(), field.fp2()];
  const spare = fp12.allocate();
  const broadcast = (value: Pair): Register => field.constant2(value);
  const psiX = broadcast(PSI_X);
  const psiY = broadcast(PSI_Y);

  const psi = (d: TwistPoint, q: TwistPoint, n: number): void => {
    field.conjugate2(d.x, q.x, n);
    field.conjugate2(d.y, q.y, n);
    mul2(d.x, d.x, psiX, n);
    mul2(d.y, d.y, psiY, n);
  };

  /**
   * The product into f's first slot (two lanes: even and odd pairs), or each pair's own value into its own
   * element; and the numbers of pairs whose Q is not in its group. With any of them the product means nothing. Q must be on the twist.
   */
  return (
    f: Register,
    q: TwistPoint,
    p: LineFactors,
    n: number,
    mode: "one" | "each" = "one",
  ): ReadonlySet<number> => {
    const width = mode === "one" ? 1 : n;
    const outside = new Set<number>();
    /** From slope · denominator = `slope` and the other point's x: lines into f, T moved on. */
    const step = (otherX: Register): void => {
      for (const element of invert2(denominator, denominator, n)) outside.add(element);
      mul2(slope, slope, denominator, n);
      scale2(b, slope, p.byW, n);
      mul2(constant, slope, t.x, n);
      sub2(constant, constant, t.y, n);
      scale2(c, constant, p.byW3, n);
      xi(xb, b, n);
      xi(xc, c, n);
      if (mode === "one") {
        field.lines(f, spare, b, c, xb, xc, n);
        if (n % 2 === 1) fp12.copy(f, spare, 1);
      } else fp12.mulLine(f, { b, c, xb, xc }, n);
      sqr2(fresh, slope, n);
      sub2(fresh, fresh, t.x, n);
      sub2(fresh, fresh, otherX, n);
      normal2(t.x, fresh, n);
      mul2(fresh, slope, t.x, n);
      sub2(fresh, constant, fresh, n);
      normal2(t.y, fresh, n);
    };
    const double = (): void => {
      sqr2(slope, t.x, n);
      add2(fresh, slope, slope, n);
      add2(slope, fresh, slope, n);
      add2(denominator, t.y, t.y, n);
      step(t.x);
    };
    /** T ± Q. */
    const addPoint = ({ x, y }: TwistPoint, negative: boolean): void => {
      sub2(denominator, t.x, x, n);
      if (negative) add2(slope, t.y, y, n);
      else sub2(slope, t.y, y, n);
      step(x);
    };

    fp12.setOne(f, width);
    field.copy2(t.x, q.x, n);
    field.copy2(t.y, q.y, n);
    for (const digit of LOOP.slice(1)) {
      fp12.sqr(f, f, width);
      double();
      if (digit !== 0) addPoint(q, digit < 0);
    }
    const [once, twice, thrice] = images;
    psi(once, q, n);
    psi(twice, once, n);
    psi(thrice, twice, n);
    addPoint(once, false);
    addPoint(twice, true);

    sub2(fresh, t.x, thrice.x, n);
    normal2(fresh, fresh, n);
    add2(slope, t.y, thrice.y, n);
    normal2(slope, slope, n);
    for (let pair = 0; pair < 2 * n; pair++) {
      for (const register of [fresh, field.part1(fresh), slope, field.part1(slope)]) {
        if (!field.isZero(register, pair)) outside.add(pair);
      }
    }
    return outside;
  };
}

/** f^(p^k) for k = 1, 2, 3 on the first slots: conjugates where k is odd, times powers of ξ. */
export function createFrobenius(field: Field, fp12: Fp12) {
  const factors = FROBENIUS.map((value) => field.constant2(value));
  const once = (d: Register, a: Register, n: number): void => {
    for (const [k, factor] of factors.entries()) {
      field.conjugate2(fp12.at(d, k), fp12.at(a, k), n);
      field.mul2(fp12.at(d, k), fp12.at(d, k), factor, n);
    }
  };
  return (d: Register, a: Register, times: number, n: number): void => {
    once(d, a, n);
    for (let i = 1; i < times; i++) once(d, d, n);
  };
}
