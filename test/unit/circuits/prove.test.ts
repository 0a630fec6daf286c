/** The prover's sums and transforms against ffjavascript's, on ordinary and on nasty values. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { bn254 } from "@noble/curves/bn254.js";
import { buildBn128 } from "ffjavascript";
import { balancedLimbs, LIMBS, P, valueOfLimbs } from "../../../circuits/batch/limbs.ts";
import { elementsBytes } from "../../../circuits/build/zkey.ts";
import type { Degree } from "../../../circuits/prove/kernels.ts";
import { digitBits, multiExp } from "../../../circuits/prove/multiexp.ts";
import { type Adder, type Coordinates, createAdder } from "../../../circuits/prove/points.ts";
import { createScalarField, createTransform } from "../../../circuits/prove/transform.ts";
import { limbsOfWords } from "../../../circuits/prove/words.ts";
import { coordinatesOf, type ProvingKey, SCALARS } from "../../../circuits/prove/zkey.ts";
import { FIELD_ORDER as r } from "../../../consensus/work/gradient.ts";
import { randomFrom } from "../../circuits/witnesses.ts";

const { G1, G2 } = bn254;
const random = randomFrom(11);
const curve = await buildBn128(true);
after(() => curve.terminate());
const found = await createAdder();
assert.ok(found !== undefined, "this machine has fused multiply-add");
const adder: Adder = found;

const randomBits = (bits: number): bigint => {
  let value = 0n;
  for (let i = 0; i < bits; i += 30) value = value * 2n ** 30n + BigInt(Math.floor(random() * 2 ** 30));
  return value % 2n ** BigInt(bits);
};
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

/** Scalars as witnesses have them: many of 0 and 1, small ones of either sign, the ends, and any. */
function randomScalar(): bigint {
  return pick([
    () => 0n,
    () => 1n,
    () => r - 1n,
    () => r - randomBits(12),
    () => randomBits(12),
    () => randomBits(51),
    () => 2n ** BigInt(Math.floor(random() * 254)) % r,
    () => (r - 1n) / 2n + BigInt(Math.floor(random() * 3)),
    ...Array.from({ length: 6 }, () => () => randomBits(256) % r),
  ])();
}

const KEY_FORM = 2n ** 256n % P;
const keyBytes = (coordinates: readonly bigint[]): Uint8Array =>
  elementsBytes(coordinates.map((value) => (value * KEY_FORM) % P));

/** Few different points, so that repeated and opposite ones meet, and infinity, as a key has them. */
function points(degree: Degree, count: number, kinds: number): Uint8Array {
  const pool = Array.from({ length: kinds }, (_, i) => {
    const factor = randomBits(250) + 1n;
    if (i === 0) return new Uint8Array(64 * degree);
    if (degree === 1) {
      const { x, y } = G1.Point.BASE.multiply(factor).toAffine();
      return keyBytes([x, random() < 0.5 ? y : P - y]);
    }
    const { x, y } = G2.Point.BASE.multiply(factor).toAffine();
    return keyBytes([x.c0, x.c1, y.c0, y.c1]);
  });
  const size = 64 * degree;
  const opposite = (bytes: Uint8Array): Uint8Array => {
    const coordinates = coordinatesOf(bytes);
    return keyBytes(coordinates.map((value, i) => (i >= degree ? (P - value) % P : value)));
  };
  const bytes = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    const point = pick(pool);
    bytes.set(random() < 0.3 ? opposite(point) : point, i * size);
  }
  return bytes;
}

function limbsOf(scalars: readonly bigint[], terms: Int32Array): Float64Array {
  const limbs = new Float64Array(LIMBS * terms.length);
  for (const [i, term] of terms.entries()) {
    const value = scalars[term] ?? 0n;
    limbs.set(balancedLimbs(value > r / 2n ? value - r : value, LIMBS), LIMBS * i);
  }
  return limbs;
}

function combine(degree: Degree, bits: readonly (Coordinates | undefined)[]): Coordinates {
  if (degree === 1) {
    let sum = G1.Point.ZERO;
    for (const point of bits.toReversed()) {
      sum = sum.double();
      if (point) sum = sum.add(G1.Point.fromAffine({ x: point[0] ?? 0n, y: point[1] ?? 0n }));
    }
    const { x, y } = sum.is0() ? { x: 0n, y: 0n } : sum.toAffine();
    return [x, y];
  }
  let sum = G2.Point.ZERO;
  for (const point of bits.toReversed()) {
    sum = sum.double();
    if (point === undefined) continue;
    const [x0 = 0n, x1 = 0n, y0 = 0n, y1 = 0n] = point;
    sum = sum.add(G2.Point.fromAffine({ x: { c0: x0, c1: x1 }, y: { c0: y0, c1: y1 } }));
  }
  if (sum.is0()) return [0n, 0n, 0n, 0n];
  const { x, y } = sum.toAffine();
  return [x.c0, x.c1, y.c0, y.c1];
}

async function compare(degree: Degree, bases: Uint8Array, scalars: readonly bigint[], bits?: number) {
  const group = degree === 1 ? curve.G1 : curve.G2;
  const expected = coordinatesOf(group.toAffine(await group.multiExpAffine(bases, elementsBytes(scalars))));
  const loaded = adder.load(degree, bases);
  const terms = { entries: loaded.entries, limbs: limbsOf(scalars, loaded.terms) };
  assert.deepEqual(combine(degree, multiExp(adder, degree, terms, { bits })), expected);
}

for (const degree of [1, 2] as const) {
  test(`sums in G${degree} are ffjavascript's, with repeated and opposite points and infinity`, async () => {
    for (const count of [1, 2, 3, 7, 64, 400]) {
      for (const kinds of [2, 4, 60]) {
        const scalars = Array.from({ length: count }, randomScalar);
        await compare(degree, points(degree, count, kinds), scalars);
      }
    }
  });

  test(`sums in G${degree} are ffjavascript's at every width of digits`, async () => {
    const bases = points(degree, 150, 40);
    for (let bits = 2; bits <= 14; bits++) {
      await compare(degree, bases, Array.from({ length: 150 }, randomScalar), bits);
    }
  });

  test(`sums in G${degree} of one point again and again, and of nothing`, async () => {
    const bases = points(degree, 300, 2);
    await compare(degree, bases, new Array<bigint>(300).fill(1n));
    await compare(degree, bases, new Array<bigint>(300).fill(r - 1n));
    await compare(degree, bases, new Array<bigint>(300).fill(0n));
  });
}

test("many points, more than one batch of windows and steps", async () => {
  const some = points(1, 2_000, 2_000);
  const bases = new Uint8Array(3 * some.length);
  for (const i of [0, 1, 2]) bases.set(some, i * some.length);
  await compare(
    1,
    bases,
    Array.from({ length: 6_000 }, () => randomBits(256) % r),
  );
});

test("wider digits for more scalars", () => {
  const widths = [1, 10, 100, 1_000, 10_000, 100_000].map(digitBits);
  assert.deepEqual(
    widths,
    widths.toSorted((a, b) => a - b),
  );
  assert.ok((widths[0] ?? 0) < (widths.at(-1) ?? 0));
});

test("words and limbs are the same number", () => {
  const limbs = new Float64Array(LIMBS);
  for (const value of [0n, 1n, r - 1n, P - 1n, 2n ** 254n - 1n, 2n ** 50n, 2n ** 51n - 1n, randomBits(254)]) {
    limbsOfWords(new Uint32Array(elementsBytes([value]).buffer), 0, limbs);
    assert.equal(valueOfLimbs([...limbs]), value);
    for (const limb of limbs.subarray(0, 4)) assert.ok(Math.abs(limb) <= 2 ** 50);
  }
});

/** A key of random constraints: rows without terms, with one, and with many. */
function randomKey(domain: number, variables: number): ProvingKey & { readonly values: readonly bigint[] } {
  const entries: [matrix: number, row: number, signal: number, value: bigint][] = [];
  for (let row = 0; row < domain; row++) {
    for (const matrix of [0, 1]) {
      const terms = pick([0, 1, 1, 2, 3, 40]);
      for (let t = 0; t < terms; t++) {
        entries.push([matrix, row, Math.floor(random() * variables), pick([1n, r - 1n, randomScalar()])]);
      }
    }
  }
  const words = new Uint32Array(elementsBytes(entries.map(([, , , value]) => (value << 512n) % r)).buffer);
  const nothing = new Uint8Array();
  return {
    ...{ variables, publics: 0, domain, alpha1: nothing, beta1: nothing, beta2: nothing, gamma2: nothing },
    ...{ delta1: nothing, delta2: nothing, ic: nothing, a: nothing, b1: nothing, b2: nothing, c: nothing },
    h: nothing,
    coefficients: {
      count: entries.length,
      matrix: (t) => entries[t]?.[0] ?? 0,
      row: (t) => entries[t]?.[1] ?? 0,
      signal: (t) => entries[t]?.[2] ?? 0,
      words: (t) => words.subarray(8 * t, 8 * t + 8),
    },
    values: entries.map(([, , , value]) => value),
  };
}

for (const log of [2, 3, 6, 9]) {
  test(`H of 2^${log} random constraints is what ffjavascript's transforms give`, async () => {
    const domain = 2 ** log;
    const variables = domain + 3;
    const key = randomKey(domain, variables);
    const field = await createScalarField();
    assert.ok(field !== undefined);
    const transform = createTransform(field, key);
    for (const witness of [
      Array.from({ length: variables }, randomScalar),
      new Array<bigint>(variables).fill(r - 1n),
      new Array<bigint>(variables).fill(0n),
    ]) {
      const rows: [bigint[], bigint[]] = [
        new Array<bigint>(domain).fill(0n),
        new Array<bigint>(domain).fill(0n),
      ];
      const { coefficients, values } = key;
      for (let t = 0; t < coefficients.count; t++) {
        const sums = rows[coefficients.matrix(t) === 0 ? 0 : 1];
        const row = coefficients.row(t);
        sums[row] = SCALARS.mod(
          (sums[row] ?? 0n) + (values[t] ?? 0n) * (witness[coefficients.signal(t)] ?? 0n),
        );
      }
      const [a, b] = rows;
      const { Fr } = curve;
      const odd = async (even: readonly bigint[]): Promise<bigint[]> => {
        const bytes = new Uint8Array(32 * domain);
        for (const [i, value] of even.entries()) bytes.set(Fr.e(value), 32 * i);
        const step = Fr.w[log + 1];
        assert.ok(step !== undefined);
        const shifted = await Fr.batchApplyKey(await Fr.ifft(bytes), Fr.one, step);
        const out = await Fr.fft(shifted);
        return even.map((_, i) => Fr.toObject(out.slice(32 * i, 32 * i + 32)));
      };
      const [oddA, oddB, oddC] = [
        await odd(a),
        await odd(b),
        await odd(a.map((v, i) => (v * (b[i] ?? 0n)) % r)),
      ];
      const expected = oddA.map((v, i) => SCALARS.mod(v * (oddB[i] ?? 0n) - (oddC[i] ?? 0n)));

      const scalars = transform.enter(elementsBytes(witness));
      const number = (limbs: Float64Array, i: number) =>
        valueOfLimbs([...limbs.subarray(LIMBS * i, LIMBS * i + LIMBS)]);
      for (const [i, value] of witness.entries()) {
        const centred = number(scalars, i);
        assert.equal(SCALARS.mod(centred), value);
        assert.ok(centred < r / 2n + 2n ** 210n && centred > -r / 2n - 2n ** 210n);
      }
      transform.constraints();
      const h = transform.quotient();
      assert.deepEqual(
        expected.map((_, i) => SCALARS.mod(number(h, i))),
        expected,
      );
      transform.wipe();
    }
  });
}

test("the prover's core and all that it imports runs in a browser", () => {
  const seen = new Set<string>();
  const visit = (file: URL): void => {
    if (seen.has(file.href)) return;
    seen.add(file.href);
    for (const [line = "", from = ""] of readFileSync(file, "utf8").matchAll(
      /^(?:import|export|\}) [^;]*?from "([^"]+)";/gm,
    )) {
      assert.ok(!from.startsWith("node:"), `${file.href} imports ${from}`);
      if (from.startsWith(".") && !line.startsWith("import type")) visit(new URL(from, file));
    }
  };
  visit(new URL("../../../circuits/prove/engine.ts", import.meta.url));
  assert.ok(seen.size > 15, "the imports were followed");
});
