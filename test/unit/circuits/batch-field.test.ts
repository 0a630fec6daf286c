/** The vector machine's arithmetic against bigints, extreme limbs included. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { CURVE_X } from "../../../circuits/batch/curve.ts";
import { createField, type Field } from "../../../circuits/batch/field.ts";
import { X_DIGITS } from "../../../circuits/batch/final.ts";
import { createFp12, type Fp12 } from "../../../circuits/batch/fp12.ts";
import { balancedLimbs, mod, P, power, valueOfLimbs } from "../../../circuits/batch/limbs.ts";
import { createFrobenius } from "../../../circuits/batch/miller.ts";
import { createInverter, createPower } from "../../../circuits/batch/powers.ts";
import { randomFrom } from "../../circuits/witnesses.ts";

const SLOTS = 9;
const random = randomFrom(7);
const found = await createField(SLOTS);
assert.ok(found !== undefined, "this machine has fused multiply-add");
const field: Field = found;
const d = field.fp2();

/** 0, 1, the ends, and numbers whose limbs sit at their bounds in Montgomery form. */
const EXTREME = [
  0n,
  1n,
  P - 1n,
  (P - 1n) / 2n,
  (P + 1n) / 2n,
  ...[1n, -1n].flatMap((sign) => {
    const corner = [0, 1, 2, 3].reduce((sum, i) => sum + 2n ** BigInt(50 + 51 * i), 0n);
    const inverse = power(2n ** 255n, P - 2n);
    return [mod(sign * corner * inverse), mod(sign * (corner + 2n ** 204n) * inverse)];
  }),
];

function randomElement(): bigint {
  if (random() < 0.4) return EXTREME[Math.floor(random() * EXTREME.length)] ?? 0n;
  let value = 0n;
  for (let i = 0; i < 9; i++) value = value * 2n ** 30n + BigInt(Math.floor(random() * 2 ** 30));
  return mod(value);
}

type Pair = readonly [bigint, bigint];
type Filled = { readonly register: number; readonly values: readonly Pair[] };

function filled(): Filled {
  const register = field.fp2();
  const values = Array.from({ length: 2 * SLOTS }, (_, i): Pair => {
    const pair: Pair = [randomElement(), randomElement()];
    field.write(register, i, pair[0]);
    field.write(field.part1(register), i, pair[1]);
    return pair;
  });
  return { register, values };
}

const pairAt = (register: number, i: number): Pair => [
  field.read(register, i),
  field.read(field.part1(register), i),
];
const plus = (a: Pair, b: Pair): Pair => [mod(a[0] + b[0]), mod(a[1] + b[1])];
const times = (a: Pair, b: Pair): Pair => [mod(a[0] * b[0] - a[1] * b[1]), mod(a[0] * b[1] + a[1] * b[0])];

/** Every product must leave normal limbs, or the next one may be wrong. */
function assertNormal(register: number): void {
  for (let i = 0; i < 2 * SLOTS; i++) {
    const limbs = field.readLimbs(register, i);
    for (const limb of limbs.slice(0, -1)) assert.ok(Number.isInteger(limb) && Math.abs(limb) <= 2 ** 50);
    const value = valueOfLimbs(limbs);
    const size = value < 0n ? -value : value;
    assert.ok(size <= P / 2n + P / 2n ** 40n, `|${value}| is little more than p/2`);
  }
}

function assertResult(expected: (i: number) => Pair): void {
  for (let i = 0; i < 2 * SLOTS; i++) assert.deepEqual(pairAt(d, i), expected(i));
  assertNormal(d);
  assertNormal(field.part1(d));
}

const at = ({ values }: Filled, i: number): Pair => values[i] ?? [0n, 0n];

test("products and sums of products in Fp2 are those of bigints", () => {
  for (let round = 0; round < 40; round++) {
    const [a, b, c, e, g, h] = [filled(), filled(), filled(), filled(), filled(), filled()];
    const product = (x: Filled, y: Filled, i: number): Pair => times(at(x, i), at(y, i));
    field.mul2(d, a.register, b.register, SLOTS);
    assertResult((i) => product(a, b, i));
    field.sqr2(d, a.register, SLOTS);
    assertResult((i) => product(a, a, i));
    field.xi(d, a.register, SLOTS);
    assertResult((i) => times([9n, 1n], at(a, i)));
    field.mad2(d, a.register, b.register, c.register, SLOTS);
    assertResult((i) => plus(product(a, b, i), at(c, i)));
    field.tripleAdd2(d, a.register, b.register, SLOTS);
    assertResult((i) => plus(times([3n, 0n], at(a, i)), at(b, i)));
    field.tripleSub2(d, a.register, b.register, SLOTS);
    assertResult((i) => plus(times([3n, 0n], at(a, i)), times([P - 1n, 0n], at(b, i))));
    field.mac2(d, a.register, b.register, c.register, e.register, g.register, SLOTS);
    assertResult((i) => plus(plus(product(a, b, i), product(c, e, i)), at(g, i)));
    field.sum3(d, a.register, b.register, c.register, e.register, g.register, h.register, SLOTS);
    assertResult((i) => plus(plus(product(a, b, i), product(c, e, i)), product(g, h, i)));
  }
});

test("sums of two times sums of two are the most that a product takes, and right", () => {
  for (let round = 0; round < 40; round++) {
    const [a, b, c, e] = [filled(), filled(), filled(), filled()];
    const [left, right] = [field.fp2(), field.fp2()];
    field.add2(left, a.register, b.register, SLOTS);
    field.add2(right, c.register, e.register, SLOTS);
    field.mul2(d, left, right, SLOTS);
    assertResult((i) => times(plus(at(a, i), at(b, i)), plus(at(c, i), at(e, i))));
    field.add2(left, left, left, SLOTS);
    field.normal2(d, left, SLOTS);
    assertResult((i) => {
      const sum = plus(at(a, i), at(b, i));
      return plus(sum, sum);
    });
  }
});

test("limbs at their very bounds multiply right, whatever their signs", () => {
  const [a, b] = [field.fp(), field.fp()];
  const corners = Array.from({ length: 2 * SLOTS }, () =>
    Array.from({ length: 5 }, (_, i) => (random() < 0.5 ? 1 : -1) * (i === 4 ? 2 ** 48 : 2 ** 51)),
  );
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 2 * SLOTS; i++) {
      field.writeLimbs(a, i, corners[i] ?? []);
      field.writeLimbs(b, i, corners[(i + round) % corners.length] ?? []);
    }
    field.mul(d, a, b, SLOTS);
    for (let i = 0; i < 2 * SLOTS; i++) {
      assert.equal(field.read(d, i), mod(field.read(a, i) * field.read(b, i)));
    }
    assertNormal(d);
  }
});

test("a number enters and leaves Montgomery form unchanged", () => {
  const plain = field.fp();
  for (const [i, value] of EXTREME.entries()) field.writeLimbs(plain, i, balancedLimbs(value, 5));
  field.enterForm(d, plain, SLOTS);
  for (const [i, value] of EXTREME.entries()) assert.equal(field.read(d, i), value);
  field.leaveForm(d, d, SLOTS);
  for (const [i, value] of EXTREME.entries()) assert.equal(mod(valueOfLimbs(field.readLimbs(d, i))), value);
});

test("powers are powers, for every length of the last window", () => {
  for (const exponent of [1n, 2n, 3n, 6n, 8n, 15n, 16n, 240n, 12345678901234567890n, P - 2n]) {
    const a = filled();
    createPower(field, exponent)(d, a.register, SLOTS);
    for (let i = 0; i < 2 * SLOTS; i++) assert.equal(field.read(d, i), power(at(a, i)[0], exponent));
  }
});

test("inverses are taken together, zeros are told and do not spoil the others", () => {
  const { invert, invert2 } = createInverter(field);
  for (const zeros of [[], [0], [3, 4], [2 * SLOTS - 1], [0, 5, 11]]) {
    const a = field.fp();
    const values = Array.from({ length: 2 * SLOTS }, (_, i) => (zeros.includes(i) ? 0n : BigInt(i) + 3n));
    for (const [i, value] of values.entries()) field.write(a, i, value);
    assert.deepEqual(invert(d, a, SLOTS), zeros);
    for (const [i, value] of values.entries()) {
      assert.equal(mod(field.read(d, i) * (value === 0n ? 1n : value)), 1n);
    }
  }
  const a = filled();
  for (let i = 0; i < 2 * SLOTS; i++) field.write(a.register, i, BigInt(i) + 1n);
  invert2(d, a.register, SLOTS);
  for (let i = 0; i < 2 * SLOTS; i++) {
    assert.deepEqual(times(pairAt(d, i), [BigInt(i) + 1n, at(a, i)[1]]), [1n, 0n]);
  }
});

/** Σ fₖw^k over Fp2 with w⁶ = 9 + i, by hand. */
function product12(a: readonly Pair[], b: readonly Pair[]): Pair[] {
  const result = Array.from({ length: 6 }, (): Pair => [0n, 0n]);
  for (const [i, x] of a.entries()) {
    for (const [j, y] of b.entries()) {
      const term = i + j < 6 ? times(x, y) : times([9n, 1n], times(x, y));
      result[(i + j) % 6] = plus(result[(i + j) % 6] ?? [0n, 0n], term);
    }
  }
  return result;
}

function random12(fp12: Fp12, register: number): Pair[] {
  return Array.from({ length: 6 }, (_, k): Pair => {
    const pair: Pair = [randomElement(), randomElement()];
    field.write(fp12.at(register, k), 0, pair[0]);
    field.write(field.part1(fp12.at(register, k)), 0, pair[1]);
    return pair;
  });
}

test("products, squares and lines in Fp12 are those of polynomials", () => {
  const fp12 = createFp12(field);
  const [a, b, t] = [fp12.allocate(), fp12.allocate(), fp12.allocate()];
  const read = (f: number): Pair[] => Array.from({ length: 6 }, (_, k) => pairAt(fp12.at(f, k), 0));
  for (let round = 0; round < 20; round++) {
    const [x, y] = [random12(fp12, a), random12(fp12, b)];
    fp12.mul(t, a, b, 1);
    assert.deepEqual(read(t), product12(x, y));
    fp12.sqr(t, a, 1);
    assert.deepEqual(read(t), product12(x, x));
    const [first, third] = [filled(), filled()];
    const [xb, xc] = [field.fp2(), field.fp2()];
    field.xi(xb, first.register, SLOTS);
    field.xi(xc, third.register, SLOTS);
    field.lines(a, t, first.register, third.register, xb, xc, 3);
    let expected = x;
    for (const i of [0, 2, 4]) {
      const line: Pair[] = [[1n, 0n], at(first, i), [0n, 0n], at(third, i), [0n, 0n], [0n, 0n]];
      expected = product12(expected, line);
    }
    assert.deepEqual(read(t), expected, "an odd number of lines leaves the product in the spare element");
  }
});

test("squares in the cyclotomic subgroup are squares, and x's digits are x", () => {
  const fp12 = createFp12(field);
  const inverter = createInverter(field);
  const frobenius = createFrobenius(field, fp12);
  const [a, b, t, u] = [fp12.allocate(), fp12.allocate(), fp12.allocate(), fp12.allocate()];
  const read = (f: number): Pair[] => Array.from({ length: 6 }, (_, k) => pairAt(fp12.at(f, k), 0));
  for (let round = 0; round < 20; round++) {
    random12(fp12, a);
    // a^((p⁶ − 1)(p² + 1))
    fp12.invert(b, a, inverter, 1);
    fp12.conjugate(a, a, 1);
    fp12.mul(a, a, b, 1);
    frobenius(b, a, 2, 1);
    fp12.mul(a, a, b, 1);
    fp12.sqr(t, a, 1);
    fp12.sqrCyclotomic(u, a, 1);
    assert.deepEqual(read(u), read(t));
    for (let k = 0; k < 6; k++)
      for (const part of [0, 1]) assertNormal(fp12.at(u, k) + part * field.partBytes);
    fp12.sqrCyclotomic(a, a, 1);
    assert.deepEqual(read(a), read(t), "the result may replace the operand");
  }
  const x = X_DIGITS.reduce((sum, digit) => 2n * sum + BigInt(digit), 0n);
  assert.equal(x, CURVE_X);
  assert.ok(X_DIGITS.every((digit) => [0, 1, 3, -1, -3].includes(digit)));
});
