import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { L } from "../../../../node/ed25519/curve.ts";
import {
  eachDigit,
  modL,
  numberOf,
  POSITIONS,
  REGULAR_DIGITS,
  randomCoefficient,
  regularDigits,
  TERMS,
} from "../../../../node/ed25519/scalars.ts";
import { littleEndian } from "./cases.ts";

const scalar = fc.oneof(
  fc.bigInt({ min: 0n, max: L - 1n }),
  fc.constantFrom(0n, 1n, 2n, L - 1n, L - 2n, 1n << 252n, (1n << 252n) - 1n, (1n << 250n) - 1n),
  fc.nat(252).map((shift) => (1n << BigInt(shift)) % L),
);

test("digits add up to their scalar, odd and far from each other", () => {
  fc.assert(
    fc.property(scalar, (value) => {
      let sum = 0n;
      let last = -5;
      eachDigit(value, (position, digit) => {
        assert.ok(digit % 2 !== 0 && Math.abs(digit) <= 15);
        assert.ok(position >= last + 5 && position < POSITIONS);
        last = position;
        sum += BigInt(digit) * (1n << BigInt(position));
      });
      assert.equal(sum, value);
    }),
    { numRuns: 2000 },
  );
});

test("regular digits add up to their scalar modulo L, all odd", () => {
  const digits = new Int8Array(REGULAR_DIGITS + 2);
  fc.assert(
    fc.property(scalar, (value) => {
      regularDigits(value, digits, 1);
      const own = digits.subarray(1, 1 + REGULAR_DIGITS);
      assert.ok(own.every((digit) => digit % 2 !== 0 && Math.abs(digit) <= 15));
      assert.equal(modL(own.reduceRight((sum, digit) => 16n * sum + BigInt(digit), 0n)), value);
    }),
    { numRuns: 2000 },
  );
});

test("numbers are read from 32 and 64 bytes, whatever was read before", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), (value) => {
      assert.equal(numberOf(new Uint8Array(64).fill(255)), (1n << 512n) - 1n);
      assert.equal(numberOf(littleEndian(value)), value);
    }),
  );
});

test("coefficients are sums of 24 powers of two, of either sign, none beside another, and never the same", () => {
  const seen = new Set<bigint>();
  const used = new Set<number>();
  for (let round = 0; round < 3000; round++) {
    const { value, terms } = randomCoefficient();
    const powers = [...terms].map((term) => term >> 1).sort((x, y) => x - y);
    assert.equal(powers.length, TERMS);
    for (const [i, power] of powers.entries()) {
      assert.ok(power >= 0 && power < 251);
      assert.ok(i === 0 || power > (powers[i - 1] ?? 0) + 1);
    }
    const sum = [...terms].reduce(
      (total, term) => total + (term & 1 ? -1n : 1n) * (1n << BigInt(term >> 1)),
      0n,
    );
    assert.equal(sum, value);
    // Within ±2^251 · 2/3, so that no two are the same modulo L.
    assert.ok(3n * (value < 0n ? -value : value) < 1n << 252n);
    seen.add(value);
    for (const term of terms) used.add(term);
  }
  assert.equal(seen.size, 3000);
  assert.equal(used.size, 2 * 251, "every term comes about");
});

test("the bound on a coefficient's chance is what the comment says", () => {
  let bits = TERMS;
  for (let i = 0; i < TERMS; i++) bits += Math.log2(251 - 3 * i) - Math.log2(i + 1);
  assert.ok(bits > 130.9);
});
