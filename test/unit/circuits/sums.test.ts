/** Sums of signals in limbs, and signals as bytes: exact at the ends too, where a column could leave the integers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIGITS, drawCoefficients, PART_BITS, PARTS } from "../../../circuits/batch/coefficients.ts";
import { LAMBDA } from "../../../circuits/batch/curve.ts";
import { sumSignals } from "../../../circuits/batch/sums.ts";
import { bytesToSignals, readSignals, signalsToBytes } from "../../../circuits/signals.ts";
import { FIELD_ORDER } from "../../../consensus/work/gradient.ts";

const PROOFS = 256;
const EDGES = [0n, 1n, 2n ** 22n - 1n, 2n ** 22n, 2n ** 44n, 2n ** 253n - 1n, FIELD_ORDER - 1n];

/** The largest and the smallest that a part of eleven digits can be. */
const LARGEST = Math.max(...DIGITS.map(({ a }) => a)) * ((4 ** 11 - 1) / 3);

function summandsOf(rows: readonly (readonly bigint[])[]) {
  return rows.map((signals, coefficient) => {
    const words = new Uint32Array(8 * signals.length);
    assert.ok(readSignals(words, 0, signalsToBytes(signals)));
    return { words, coefficient };
  });
}

/** By big integers. */
function expectedOf(parts: Float64Array, rows: readonly (readonly bigint[])[]): bigint[] {
  const numberOf = (own: Float64Array): bigint =>
    own.reduceRight((sum, part) => (sum << BigInt(PART_BITS)) + BigInt(part), 0n);
  return [0, ...(rows[0] ?? []).map((_, k) => k + 1)].map((k) => {
    const sum = rows.reduce((all, row, i) => {
      const own = parts.subarray(2 * PARTS * i, 2 * PARTS * (i + 1));
      const coefficient = numberOf(own.subarray(0, PARTS)) + numberOf(own.subarray(PARTS)) * LAMBDA;
      return all + coefficient * (k === 0 ? 1n : (row[k - 1] ?? 0n));
    }, 0n);
    return ((sum % FIELD_ORDER) + FIELD_ORDER) % FIELD_ORDER;
  });
}

test("sums of signals are those of big integers, for drawn coefficients", () => {
  const rows = Array.from({ length: PROOFS }, (_, i) => [
    EDGES[i % EDGES.length] ?? 0n,
    BigInt(i) ** 31n % FIELD_ORDER,
    FIELD_ORDER - BigInt(i + 1),
  ]);
  const { parts } = drawCoefficients(PROOFS);
  assert.deepEqual(sumSignals(parts, summandsOf(rows), 3), expectedOf(parts, rows));
});

test("sums stay exact where all coefficients and all signals are the largest, of either sign", () => {
  // All limbs of 22 bits but the highest are the largest there are.
  const largestLimbs = (1n << 253n) - 1n;
  const rows = Array.from({ length: PROOFS }, () => [largestLimbs, FIELD_ORDER - 1n]);
  for (const sign of [1, -1]) {
    const parts = new Float64Array(2 * PARTS * PROOFS).fill(sign * LARGEST);
    assert.deepEqual(sumSignals(parts, summandsOf(rows), 2), expectedOf(parts, rows));
  }
  // The products, and what is carried into a column.
  assert.ok(3 * PROOFS * LARGEST * (2 ** PART_BITS - 1) + 2 ** 31 < 2 ** 53);
});

test("more proofs than the columns are made for are refused", () => {
  const rows = Array.from({ length: PROOFS + 1 }, () => [1n]);
  const { parts } = drawCoefficients(rows.length);
  assert.throws(() => sumSignals(parts, summandsOf(rows), 1), /columns of products/);
});

test("signals are 32 bytes each, and what is not below r is no signal", () => {
  const bytes = signalsToBytes(EDGES);
  assert.equal(bytes.length, 32 * EDGES.length);
  assert.deepEqual(bytesToSignals(bytes), EDGES);
  const read = (signals: readonly bigint[]): boolean =>
    readSignals(new Uint32Array(8 * signals.length), 0, signalsToBytes(signals));
  assert.equal(read(EDGES), true);
  for (const wrong of [FIELD_ORDER, FIELD_ORDER + 1n, FIELD_ORDER + 2n ** 32n, 2n ** 256n - 1n]) {
    assert.equal(read([wrong]), false);
    assert.equal(read([0n, wrong, 0n]), false);
  }
  // A word above r's and a word below it: the highest that differs decides.
  assert.equal(read([FIELD_ORDER - 2n ** 224n + 2n ** 224n - 1n]), true);
  assert.equal(read([FIELD_ORDER - 2n ** 64n + 2n ** 32n - 1n]), true);
  assert.throws(() => signalsToBytes([2n ** 256n]), RangeError);
  assert.throws(() => signalsToBytes([-1n]), RangeError);
});

test("signals are read from a view at any place of a larger buffer", () => {
  const large = new Uint8Array(200);
  large.set(signalsToBytes([5n, FIELD_ORDER - 1n]), 33);
  const words = new Uint32Array(20);
  assert.equal(readSignals(words, 2, large.subarray(33, 97)), true);
  assert.deepEqual(bytesToSignals(new Uint8Array(words.slice(2, 18).buffer)), [5n, FIELD_ORDER - 1n]);
});
