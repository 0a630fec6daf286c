import assert from "node:assert/strict";
import { test } from "node:test";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { LIMBS, valueOfLimbs } from "../../../../circuits/batch/limbs.ts";
import { invariant } from "../../../../consensus/primitives/faults.ts";
import { D2, limbsOf, mod, P } from "../../../../node/ed25519/curve.ts";
import { AFFINE_BYTES, EXTENDED_BYTES, SINGLE_BYTES, SLOT_BYTES } from "../../../../node/ed25519/kernels.ts";
import { createMachine } from "../../../../node/ed25519/machine.ts";
import { TORSION } from "./cases.ts";

const { Point } = ed25519;
const machine = await createMachine(1 << 18);
invariant(machine !== undefined, "this machine has fused multiply-add");
const [a, b, d] = [machine.register(2), machine.register(2), machine.register(2)];
const TIGHT = 2 ** 50 + 2 ** 13;

const limbsAt = (register: number, element: number): number[] => {
  const at = register / 8 + (element >> 1) * (SLOT_BYTES / 8) + (element & 1);
  return [0, 2, 4, 6, 8].map((i) => machine.numbers[at + i] ?? Number.NaN);
};
const isTight = (limbs: readonly number[]): boolean =>
  limbs.every((limb) => Number.isInteger(limb) && Math.abs(limb) <= TIGHT);

/** Limbs at and near their bounds, of every sign. */
const extreme = fc.array(fc.constantFrom(TIGHT, TIGHT - 1, 2 ** 50, 1, 0, -1, -(2 ** 50), -TIGHT), {
  minLength: LIMBS,
  maxLength: LIMBS,
});

test("products of limbs at their bounds are right, and tight again", () => {
  fc.assert(
    fc.property(extreme, extreme, (x, y) => {
      const twice = y.map((limb) => 2 * limb);
      for (const [element, other] of [y, twice, y, twice].entries()) {
        machine.writeLimbs(a, element, x);
        machine.writeLimbs(b, element, other);
      }
      machine.mul(d, a, b, 2);
      for (let element = 0; element < 4; element++) {
        const factor = element % 2 === 0 ? 1n : 2n;
        assert.equal(machine.read(d, element), mod(valueOfLimbs(x) * valueOfLimbs(y) * factor));
        assert.ok(isTight(limbsAt(d, element)));
      }
      machine.squarings(a, 2, 3);
      assert.equal(machine.read(a, 3), mod(valueOfLimbs(x) ** 8n));
      assert.ok(isTight(limbsAt(a, 3)));
    }),
    { numRuns: 2000 },
  );
});

test("sums and differences of limbs at their bounds are right, and tight again", () => {
  fc.assert(
    fc.property(extreme, extreme, (x, y) => {
      machine.writeLimbs(a, 1, x);
      machine.writeLimbs(b, 1, y);
      for (const [kernel, sign] of [
        [machine.add, 1n],
        [machine.sub, -1n],
      ] as const) {
        kernel(d, a, b, 1);
        assert.equal(machine.read(d, 1), mod(valueOfLimbs(x) + sign * valueOfLimbs(y)));
        assert.ok(isTight(limbsAt(d, 1)));
      }
    }),
    { numRuns: 2000 },
  );
});

test("zero and odd numbers are told from tight limbs", () => {
  const tight = extreme.filter((limbs) => limbs.some((limb) => limb !== 0));
  fc.assert(
    fc.property(tight, (x) => {
      machine.writeLimbs(a, 0, x);
      assert.equal(machine.isZero(a, 0), mod(valueOfLimbs(x)) === 0n);
      assert.equal(machine.isOdd(a, 0), mod(valueOfLimbs(x)) % 2n === 1n);
    }),
  );
  for (const value of [0n, 1n, 2n, P - 1n, P - 2n, (P - 1n) / 2n, (P + 1n) / 2n]) {
    machine.writeLimbs(a, 0, limbsOf(value));
    assert.equal(machine.isZero(a, 0), value === 0n);
    assert.equal(machine.isOdd(a, 0), value % 2n === 1n);
    // As a difference, which is how a zero comes about.
    machine.writeLimbs(b, 0, limbsOf(value));
    machine.sub(d, a, b, 1);
    assert.ok(machine.isZero(d, 0));
  }
});

type Coordinates = { readonly x: bigint; readonly y: bigint };
const [sums, extended, affine, list] = [
  machine.allocate(2 * EXTENDED_BYTES),
  machine.allocate(2 * EXTENDED_BYTES),
  machine.allocate(2 * AFFINE_BYTES),
  machine.allocate(32),
];
const write = (at: number, values: readonly bigint[]): void => {
  for (const [i, value] of values.entries()) machine.writeSingle(at + i * SINGLE_BYTES, value);
};
const writeExtended = (at: number, { x, y }: Coordinates, z = 1n): void =>
  write(at, [mod(x * z), mod(y * z), z, mod(x * y * z)]);
const writeAffine = (at: number, { x, y }: Coordinates): void =>
  write(at, [mod(y + x), mod(y - x), mod(D2 * x * y)]);
const readExtended = (at: number): Coordinates => {
  const [x = 0n, y = 0n, z = 0n, t = 0n] = [0, 1, 2, 3].map((i) => machine.readSingle(at + i * SINGLE_BYTES));
  assert.notEqual(z, 0n);
  assert.equal(mod(x * y), mod(z * t));
  for (let i = 0; i < 4; i++) {
    const from = (at + i * SINGLE_BYTES) / 8;
    assert.ok(isTight([...machine.numbers.subarray(from, from + LIMBS)]));
  }
  const inverse = Point.Fp.inv(z);
  return { x: mod(x * inverse), y: mod(y * inverse) };
};

test("no two points are exceptions: equal, opposite, neutral, of small order, and mixed", () => {
  const base = Point.BASE.multiply(3n ** 100n % Point.Fn.ORDER);
  const small = TORSION.map((bytes) => Point.fromBytes(bytes));
  const points = [...small, base, base.negate(), base.double(), ...small.map((it) => base.add(it))];
  for (const [i, p] of points.entries()) {
    const other = points[(i + 5) % points.length] ?? p;
    for (const q of points) {
      const [first, second] = [p.toAffine(), q.toAffine()];
      for (const negative of [0, 1] as const) {
        writeExtended(sums, first, 7n);
        writeExtended(sums + EXTENDED_BYTES, other.toAffine());
        writeAffine(affine, second);
        writeAffine(affine + AFFINE_BYTES, first);
        machine.words.set(
          [sums, affine + negative, sums + EXTENDED_BYTES, affine + AFFINE_BYTES + (1 - negative)],
          list / 4,
        );
        machine.addAffine(list, 1);
        assert.deepEqual(readExtended(sums), (negative === 1 ? p.subtract(q) : p.add(q)).toAffine());
        assert.deepEqual(
          readExtended(sums + EXTENDED_BYTES),
          (negative === 1 ? other.add(p) : other.subtract(p)).toAffine(),
        );
      }
      writeExtended(sums, first, P - 2n);
      writeExtended(sums + EXTENDED_BYTES, second, 5n);
      writeExtended(extended, second, 3n);
      writeExtended(extended + EXTENDED_BYTES, second);
      machine.words.set([sums, extended, sums + EXTENDED_BYTES, extended + EXTENDED_BYTES], list / 4);
      machine.addExtended(list, 1);
      assert.deepEqual(readExtended(sums), p.add(q).toAffine());
      assert.deepEqual(readExtended(sums + EXTENDED_BYTES), q.double().toAffine());
    }
    writeExtended(sums, p.toAffine(), 9n);
    writeExtended(sums + EXTENDED_BYTES, other.toAffine());
    machine.double(sums, 1, 3);
    assert.deepEqual(readExtended(sums), p.clearCofactor().toAffine());
    assert.equal(machine.isNeutral(sums), p.clearCofactor().is0());
    assert.deepEqual(readExtended(sums + EXTENDED_BYTES), other.clearCofactor().toAffine());
  }
});

test("what is no point is not the neutral element", () => {
  write(sums, [0n, 0n, 0n, 0n]);
  assert.ok(!machine.isNeutral(sums));
  machine.writeNeutral(sums);
  assert.ok(machine.isNeutral(sums));
  writeExtended(sums, { x: 0n, y: P - 1n });
  assert.ok(!machine.isNeutral(sums), "nor is (0, −1)");
});
