/** Inverses of single elements against bigints, and what is done where Euclid's algorithm gives up. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createField } from "../../../circuits/batch/field.ts";
import { createInverse } from "../../../circuits/batch/inverse.ts";
import { BASE, balancedLimbs, createModulus, LIMBS, valueOfLimbs } from "../../../circuits/batch/limbs.ts";
import { createSlotInverter } from "../../../circuits/batch/powers.ts";
import { FIELD_ORDER } from "../../../consensus/work/gradient.ts";
import { randomFrom } from "../../circuits/witnesses.ts";

const random = randomFrom(23);
const MODULI = [BASE, createModulus(FIELD_ORDER)];

function randomBelow(order: bigint): bigint {
  let value = 0n;
  for (let i = 0; i < 9; i++) value = value * 2n ** 30n + BigInt(Math.floor(random() * 2 ** 30));
  return value % order;
}

/** Within ±order/2, as limbs of a normal element are. */
function balanced(value: bigint, order: bigint): bigint {
  const reduced = ((value % order) + order) % order;
  return reduced > order / 2n ? reduced - order : reduced;
}

/** Limbs at their ends and next to them, all signs; powers of two; neighbours of 0, order/2, order/3, … */
function corners(order: bigint): bigint[] {
  const found: bigint[] = [];
  for (let signs = 0; signs < 32; signs++) {
    for (const size of [2n ** 50n, 2n ** 50n - 1n, 2n ** 26n, 2n ** 25n]) {
      const limb = (i: number): bigint =>
        (signs & (1 << i) ? -1n : 1n) * (i === LIMBS - 1 ? 2n ** 47n : size) * 2n ** BigInt(51 * i);
      found.push([0, 1, 2, 3, 4].reduce((sum, i) => sum + limb(i), 0n));
    }
  }
  for (let i = 0n; i < 253n; i++) found.push(2n ** i, 2n ** i - 1n, -(2n ** i) - 1n);
  for (let k = 1n; k < 40n; k++) for (let by = -3n; by <= 3n; by++) found.push(order / k + by);
  return found.map((value) => balanced(value, order)).filter((value) => value !== 0n);
}

test("an inverse is the inverse, or there is none said: random numbers, and all kinds of corners", () => {
  for (const modulus of MODULI) {
    const { order, mod } = modulus;
    const { invert } = createInverse(modulus);
    const to = new Float64Array(LIMBS);
    let refused = 0;
    const tryOne = (value: bigint): void => {
      if (!invert(to, balancedLimbs(value, LIMBS))) {
        refused++;
        return;
      }
      for (const limb of to.subarray(0, -1)) assert.ok(Number.isInteger(limb) && Math.abs(limb) <= 2 ** 51);
      const found = valueOfLimbs([...to]);
      assert.ok(found <= order && -found <= order);
      assert.equal(mod(found * value), 1n, `${value}`);
    };
    for (let i = 0; i < 20_000; i++) tryOne(balanced(randomBelow(order), order));
    assert.ok(refused <= 2, `${refused} of 20000 refused`);
    for (const value of corners(order)) tryOne(value);
    assert.ok(!invert(to, new Float64Array(LIMBS)), "0 has no inverse");
  }
});

test("both elements of a slot are inverted, whichever way, and 0 gives 0", async () => {
  for (const modulus of MODULI) {
    const { order, mod, form, formInverse } = modulus;
    const field = await createField(2, { modulus });
    assert.ok(field !== undefined);
    const slotInverter = createSlotInverter(field);
    const [a, d] = [field.fp(), field.fp()];
    // In Montgomery form, 1 to 9 and their negatives: quotients are too large, and the power has to do.
    const small = [1n, 2n, 9n, -1n, -3n].map((value) => mod(value * formInverse));
    const values = [0n, 1n, order - 1n, (order - 1n) / 2n, (order + 1n) / 2n, form, ...small];
    for (let i = 0; i < 40; i++) values.push(randomBelow(order));
    const refusing = createInverse(modulus);
    field.write(a, 0, small[0] ?? 0n);
    assert.ok(!refusing.invert(new Float64Array(LIMBS), field.readLimbs(a, 0)));
    const tryPair = (pair: readonly bigint[]): void => {
      for (const [lane, value] of pair.entries()) field.write(a, lane, value);
      slotInverter.invert(d, a);
      for (const [lane, value] of pair.entries()) {
        assert.equal(mod(field.read(d, lane) * value), value === 0n ? 0n : 1n);
        assert.ok(value !== 0n || field.isZero(d, lane));
      }
    };
    for (const first of values) for (const second of values) tryPair([first, second]);
    for (const corner of corners(order)) {
      const value = mod(corner * formInverse);
      tryPair([value, 1n]);
      tryPair([randomBelow(order), value]);
      tryPair([value, value]);
    }
  }
});

test("random elements are inverted without a power, and the inverses are normal", async () => {
  const field = await createField(1);
  assert.ok(field !== undefined);
  const { invert } = createSlotInverter(field);
  const [a, d] = [field.fp(), field.fp()];
  for (let i = 0; i < 300; i++) {
    for (const lane of [0, 1]) field.write(a, lane, randomBelow(BASE.order));
    assert.ok(invert(d, a), "without the power");
    for (const lane of [0, 1]) {
      const limbs = field.readLimbs(d, lane);
      for (const limb of limbs.slice(0, -1)) assert.ok(Math.abs(limb) <= 2 ** 50);
      const value = valueOfLimbs(limbs);
      assert.ok(value <= BASE.order / 2n + BASE.order / 2n ** 40n);
      assert.ok(-value <= BASE.order / 2n + BASE.order / 2n ** 40n);
    }
  }
});
