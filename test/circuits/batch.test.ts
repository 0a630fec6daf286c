/** The batch verifier: against the slow one, against spoiled proofs, alone and in company. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { bn254 } from "@noble/curves/bn254.js";
import { concatBytes } from "@noble/curves/utils.js";
import { DIGITS, drawCoefficients } from "../../circuits/batch/coefficients.ts";
import { CURVE_X } from "../../circuits/batch/curve.ts";
import { createDecoder } from "../../circuits/batch/decode.ts";
import { createEquation } from "../../circuits/batch/equation.ts";
import { createField } from "../../circuits/batch/field.ts";
import { createFp12 } from "../../circuits/batch/fp12.ts";
import { oddDigits } from "../../circuits/batch/key.ts";
import { P } from "../../circuits/batch/limbs.ts";
import { createMiller } from "../../circuits/batch/miller.ts";
import { createInverter } from "../../circuits/batch/powers.ts";
import { sumSignals } from "../../circuits/batch/sums.ts";
import { createBatchVerifier } from "../../circuits/batch/verifier.ts";
import { developmentTrapdoor, keyScalars } from "../../circuits/build/qap.ts";
import { readR1cs } from "../../circuits/build/r1cs.ts";
import { encodeG1 } from "../../circuits/points.ts";
import { decodeProofPoints } from "../../circuits/proof.ts";
import { createReferenceVerifier } from "../../circuits/reference.ts";
import { readSignals, signalsToBytes } from "../../circuits/signals.ts";
import type { VerifyJob } from "../../circuits/verify.ts";
import { FIELD_ORDER } from "../../consensus/work/gradient.ts";
import { createForge } from "../helpers/forge.ts";
import { COFACTOR, multiple, pointOfOrder, SMALL_ORDERS, someMutants, twistPoint } from "./mutations.ts";
import { circuitFor, provedJob, rerandomized, withSignals } from "./proofs.ts";
import { randomFrom } from "./witnesses.ts";

const found = await createBatchVerifier();
assert.ok(found !== undefined, "this machine has fused multiply-add");
const verifier = found;
const reference = await createReferenceVerifier();
const [small, other, large] = [
  await provedJob("gradient-4x2", 1),
  await provedJob("gradient-4x2", 2),
  await provedJob("gradient-32x10", 1),
];
const many = (job: VerifyJob, count: number): VerifyJob[] =>
  rerandomized(job.vk, job.proof, count).map((proof) => ({ ...job, proof }));
const valid = many(small, 128);
const verdictOf = (job: VerifyJob): boolean => verifier.verify([job])[0] === true;

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

test("the Miller loop's vector kills the group of order r on the twist, and nothing else", () => {
  const x = CURVE_X;
  const t = 6n * x * x + 1n;
  assert.equal(P, 36n * x ** 4n + 36n * x ** 3n + 24n * x * x + 6n * x + 1n);
  // 6x + 2 + ψ − ψ² + ψ³ with ψ² = tψ − p is b + c·ψ, whose degree is b² + tbc + pc².
  const [b, c] = [6n * x + 2n + p2(t), 1n - t + t * t - P];
  const degree = b * b + t * b * c + P * c * c;
  assert.equal(gcd(degree, COFACTOR * FIELD_ORDER), FIELD_ORDER);
  function p2(trace: bigint): bigint {
    return P - trace * P; // from −ψ² and ψ³ = (t² − p)ψ − tp
  }
  assert.equal(COFACTOR % (SMALL_ORDERS[0] * SMALL_ORDERS[1]), 0n);
});

test("the final exponentiation's exponent is a multiple of the hard part by what r does not divide", () => {
  const x = CURVE_X;
  const r = FIELD_ORDER;
  // The steps of final.ts, on exponents: a product is a sum, a conjugate the negative, Frobenius times p.
  const y0 = -x;
  const y1 = 2n * y0;
  const y4 = -x * (3n * y1);
  const y6 = -x * (2n * y4);
  const y8 = -y6 + y4 - 3n * y1;
  const y9 = y8 + y1;
  const whole = (y9 - 1n) * P ** 3n + y8 * P ** 2n + y9 * P + (y8 + y4 + 1n);
  const cyclotomic = P ** 4n - P * P + 1n;
  const hard = cyclotomic / r;
  assert.equal(cyclotomic % r, 0n);
  const exponent = ((whole % cyclotomic) + cyclotomic) % cyclotomic;
  assert.equal(exponent % hard, 0n);
  assert.equal(gcd(exponent / hard, r), 1n);
});

test("the fast subgroup check agrees with the slow one, on every kind of point", async () => {
  const field = await createField(8);
  assert.ok(field !== undefined);
  const fp12 = createFp12(field);
  const miller = createMiller(field, fp12, createInverter(field));
  const q = { x: field.fp2(), y: field.fp2() };
  const random = randomFrom(5);
  const base = bn254.G2.Point.BASE;
  const smalls = SMALL_ORDERS.map((order) => pointOfOrder(order, random));
  for (let round = 0; round < 6; round++) {
    const points = Array.from({ length: 16 }, (_, i) => {
      const inside = base.multiplyUnsafe(BigInt(1 + Math.floor(random() * 2 ** 45)));
      const little = multiple(smalls[i % 2] ?? base, BigInt(1 + Math.floor(random() * 10_000)));
      return [inside, little, inside.add(little), twistPoint(random), inside.negate()][
        Math.floor(random() * 5)
      ] as typeof base;
    });
    for (const [i, point] of points.entries()) {
      const { x, y } = point.toAffine();
      field.write(q.x, i, x.c0);
      field.write(field.part1(q.x), i, x.c1);
      field.write(q.y, i, y.c0);
      field.write(field.part1(q.y), i, y.c1);
    }
    const outside = miller(fp12.allocate(), q, { byW: field.zero, byW3: field.zero }, 8);
    // r·Q = 0, by doublings and additions alone.
    for (const [i, point] of points.entries()) {
      assert.equal(outside.has(i), !multiple(point, FIELD_ORDER).is0(), `point ${i} of round ${round}`);
    }
  }
});

test("coefficients are distinct: their digits differ modulo 4 and from 0", () => {
  const residues = new Set(DIGITS.map(({ a, b }) => `${(a + 8) % 4},${(b + 8) % 4}`));
  assert.equal(DIGITS.length, 15);
  assert.equal(residues.size, 15);
  assert.ok(!residues.has("0,0"));
  const drawn = drawCoefficients(300);
  const words = new Uint32Array();
  const values = Array.from({ length: 300 }, (_, coefficient) =>
    sumSignals(drawn.parts, [{ words, coefficient }], 0).join(),
  );
  assert.equal(new Set(values).size, 300);
});

test("a scalar's odd digits add up to it", () => {
  for (const scalar of [1n, 2n, FIELD_ORDER - 1n, FIELD_ORDER - 2n, 12345678901234567890n ** 3n]) {
    const { digits, negative } = oddDigits(scalar);
    const sum = digits.reduce((total, digit, j) => total + BigInt(digit) * 64n ** BigInt(j), 0n);
    assert.equal(negative ? FIELD_ORDER - sum : sum, scalar);
    assert.ok(digits.every((digit) => digit % 2 !== 0 && Math.abs(digit) <= 63));
  }
});

test("valid proofs hold alone and in batches of every size, of one key and of several", () => {
  for (const count of [1, 2, 3, 16, 31, 127, 128]) {
    assert.deepEqual(verifier.verify(valid.slice(0, count)), new Array(count).fill(true));
  }
  const mixed = [small, large, other, large, ...valid.slice(0, 5), ...many(large, 6), other];
  assert.deepEqual(verifier.verify(mixed), new Array(mixed.length).fill(true));
  assert.deepEqual(verifier.verify([]), []);
  assert.deepEqual(verifier.verify([...valid, ...valid, small]), new Array(257).fill(true));
});

test("copies of one proof in a batch hold, and a wrong one among them is found", () => {
  const copies = new Array<VerifyJob>(40).fill(small);
  const wrong = { ...small, publicSignals: other.publicSignals };
  assert.deepEqual(verifier.verify(copies), new Array(40).fill(true));
  assert.deepEqual(verifier.verify(copies.with(13, wrong)), new Array(40).fill(true).with(13, false));
});

test("culprits are found wherever they are in a batch of 128, however many", () => {
  const wrong = (job: VerifyJob): VerifyJob => ({ ...job, publicSignals: other.publicSignals });
  const places = [[0], [127], [63, 64], [0, 1, 2, 127], [5, 40, 41, 90, 100, 120]];
  for (const at of [...places, ...[7, 31, 77, 101].map((i) => [i])]) {
    const jobs = valid.map((job, i) => (at.includes(i) ? wrong(job) : job));
    assert.deepEqual(
      verifier.verify(jobs).flatMap((verdict, i) => (verdict ? [] : [i])),
      at,
    );
  }
  assert.deepEqual(verifier.verify(valid.map(wrong)), new Array(128).fill(false));
});

test("two proofs whose errors cancel each other out are both refused", () => {
  const points = decodeProofPoints(small.proof);
  assert.ok(points !== undefined);
  const { Point } = bn254.G1;
  const shifted = (by: InstanceType<typeof Point>): VerifyJob => {
    const c = encodeG1(Point.fromAffine(points.c).add(by).toAffine());
    return { ...small, proof: concatBytes(small.proof.subarray(0, 96), c) };
  };
  const d = Point.BASE.multiplyUnsafe(77n);
  const jobs = [large, shifted(d), shifted(d.negate()), other];
  assert.deepEqual(verifier.verify(jobs), [true, false, false, true]);
});

test("300 spoiled proofs: none accepted, alone or in company, and snarkjs agrees where it can be asked", async () => {
  const random = randomFrom(11);
  const spoiled = someMutants([small, other, large], random, 300);
  for (const { label, job } of spoiled) assert.equal(verdictOf(job), false, label);
  for (let from = 0; from < spoiled.length; from += 12) {
    const part = spoiled.slice(from, from + 12);
    const jobs = part.flatMap(({ job }, i) => [job, valid[i] ?? small]);
    const expected = part.flatMap(() => [false, true]);
    assert.deepEqual(verifier.verify(jobs), expected, part.map(({ label }) => label).join("; "));
  }
  const sample = [
    ...spoiled.filter((_, i) => i % 6 === 0).map(({ job }) => job),
    ...valid.slice(0, 8),
    large,
  ];
  assert.deepEqual(await reference.verify(sample), verifier.verify(sample));
});

test("signals of 0, and every signal 0, are numbers like others", async () => {
  const zeros = withSignals(small, (signals) => signals.map(() => 0n));
  const ends = withSignals(small, (signals) => signals.map(() => FIELD_ORDER - 1n));
  const jobs = [zeros, small, ends];
  assert.deepEqual(verifier.verify(jobs), [false, true, false]);
  assert.deepEqual(await reference.verify(jobs), [false, true, false]);
});

/** Signals whose terms in Σ sₖ·ICₖ are multiples of each other, as everybody can choose them under these keys. */
async function relatedSignals(): Promise<bigint[][]> {
  const bytes = await readFile((await circuitFor("gradient-4x2")).r1csPath);
  const { ic } = keyScalars(readR1cs(bytes), developmentTrapdoor(bytes));
  const inverse = ic.map((exponent) => bn254.fields.Fr.inv(exponent));
  const of = (exponents: readonly bigint[]): bigint[] =>
    exponents.map((exponent, i) => bn254.fields.Fr.mul(exponent, inverse[i + 1] ?? 0n));
  const one = ic[0] ?? 0n;
  const places = ic.slice(1).map((_, i) => i);
  // The last addition of a scalar's digits would be a doubling.
  const unfit = (6n << 252n) - FIELD_ORDER;
  return [
    of(places.map(() => one)),
    of(places.map((i) => (i % 2 === 0 ? one : FIELD_ORDER - one))),
    of(places.map((i) => (i === 0 ? FIELD_ORDER - one : 0n))),
    ...places.map((only) => of(places.map((i) => (i === only ? one : BigInt(i) * 12345n)))),
    places.map(() => unfit),
    places.map(() => FIELD_ORDER - unfit),
    places.map((i) => (i === 3 ? unfit : 1n)),
  ];
}

test("signals whose sums have exceptional additions get the verdict of others, alone and in company", async () => {
  const forge = await createForge(await circuitFor("gradient-4x2"));
  const statements = await relatedSignals();
  const holding = forge(statements).map((proof, i) => ({
    ...small,
    proof,
    publicSignals: signalsToBytes(statements[i] ?? []),
  }));
  const failing = holding.map((job, i) => ({
    ...job,
    proof: (holding[(i + 1) % holding.length] ?? job).proof,
  }));
  for (const job of holding) assert.equal(verdictOf(job), true);
  for (const job of failing) assert.equal(verdictOf(job), false);
  const jobs = holding.flatMap((job, i) => [job, failing[i] ?? job, small]);
  // Culprits everywhere: each proof gets an equation of its own.
  assert.deepEqual(
    verifier.verify(jobs),
    holding.flatMap(() => [true, false, true]),
  );
  assert.deepEqual(await reference.verify(jobs), verifier.verify(jobs));
});

test("a key with more points than the machine has elements is taken in parts", async () => {
  const field = await createField(8);
  assert.ok(field !== undefined);
  const decode = createDecoder(field);
  const equation = createEquation(field);
  const registers = {
    a: { x: field.fp(), y: field.fp() },
    b: { x: field.fp2(), y: field.fp2() },
    c: { x: field.fp(), y: field.fp() },
  };
  const wrong = withSignals(large, (signals) => signals.with(28, 1n));
  const jobs = [large, wrong, large];
  assert.deepEqual(
    [
      ...decode(
        registers,
        jobs.map(({ proof }) => proof),
      ),
    ],
    [1, 1, 1],
  );
  const key = equation.prepareKey(large.vk);
  const claims = jobs.map(({ publicSignals }, element) => {
    const words = new Uint32Array(publicSignals.length / 4);
    assert.ok(readSignals(words, 0, publicSignals));
    return { element, key, words };
  });
  const kinds = claims.map((claim) => equation.check(registers, [claim]).kind);
  assert.deepEqual(kinds, ["hold", "fail", "hold"]);
  assert.deepEqual(equation.checkEach(registers, claims), [true, false, true]);
});
