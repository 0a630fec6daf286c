/** Proofs and points on the wire: one encoding each, and nothing else decodes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bn254 } from "@noble/curves/bn254.js";
import fc from "fast-check";
import {
  decodeG1,
  decodeG2,
  encodeG1,
  encodeG2,
  type G1Point,
  type G2Point,
  g1Valid,
  g2Valid,
} from "../../../circuits/points.ts";
import {
  decodeProof,
  decodeProofPoints,
  encodeProof,
  PROOF_BYTES,
  snarkjsProof,
} from "../../../circuits/proof.ts";

const { Fp, Fp2 } = bn254.fields;
const P = Fp.ORDER;

function g1(scalar: bigint): G1Point {
  const { x, y } = bn254.G1.Point.BASE.multiply(scalar).toAffine();
  return { x, y };
}

function g2(scalar: bigint): G2Point {
  const { x, y } = bn254.G2.Point.BASE.multiply(scalar).toAffine();
  return { x: { c0: x.c0, c1: x.c1 }, y: { c0: y.c0, c1: y.c1 } };
}

const points = { a: g1(12345n), b: g2(678n), c: g1(91011n) };
const proof = encodeProof(snarkjsProof(points));

/** The 254-bit number in big-endian bytes, under two flag bits. */
function flagged(flags: number, value: bigint): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex"));
  bytes[0] = (bytes[0] ?? 0) | (flags << 6);
  return bytes;
}

test("points of both groups survive the way through bytes, and so do their negatives", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 250n }), (scalar) => {
      const [one, two] = [g1(scalar), g2(scalar)];
      assert.deepEqual(decodeG1(encodeG1(one)), one);
      assert.deepEqual(decodeG2(encodeG2(two)), two);
      const minusOne = { x: one.x, y: P - one.y };
      const minusTwo = { x: two.x, y: { c0: Fp.neg(two.y.c0), c1: Fp.neg(two.y.c1) } };
      assert.deepEqual(decodeG1(encodeG1(minusOne)), minusOne);
      assert.deepEqual(decodeG2(encodeG2(minusTwo)), minusTwo);
    }),
    { numRuns: 20 },
  );
});

test("the generator has gnark's bytes", () => {
  assert.equal(Buffer.from(encodeG1(g1(1n))).toString("hex"), `80${"00".repeat(30)}01`);
  assert.equal(encodeG1({ x: 1n, y: P - 2n })[0], 0xc0);
});

test("a proof survives the way through bytes and snarkjs' form", () => {
  assert.equal(proof.length, PROOF_BYTES);
  assert.deepEqual(decodeProofPoints(proof), points);
  assert.deepEqual(encodeProof(decodeProof(proof)), proof);
});

test("a G1 point decodes with the flags 10 and 11 only", () => {
  const { x } = g1(12345n);
  assert.equal(decodeG1(flagged(0b00, x)), undefined);
  assert.equal(decodeG1(flagged(0b01, x)), undefined);
  assert.notEqual(decodeG1(flagged(0b10, x)), undefined);
  assert.notEqual(decodeG1(flagged(0b11, x)), undefined);
});

test("infinity is refused in every form", () => {
  for (const flags of [0b00, 0b01, 0b10, 0b11]) {
    assert.equal(decodeG1(flagged(flags, 0n)), undefined);
    assert.equal(decodeG2(Buffer.concat([flagged(flags, 0n), flagged(0, 0n)])), undefined);
  }
  assert.equal(g1Valid({ x: 0n, y: 0n }), false);
  assert.equal(g2Valid({ x: { c0: 0n, c1: 0n }, y: { c0: 0n, c1: 0n } }), false);
});

test("coordinates at and above p are refused", () => {
  assert.equal(decodeG1(flagged(0b10, P)), undefined);
  assert.equal(decodeG1(flagged(0b10, P + 1n)), undefined, "x = 1 is on the curve, its alias is nothing");
  const { x } = g2(678n);
  const high = flagged(0b10, x.c1);
  assert.equal(decodeG2(Buffer.concat([high, flagged(0, x.c0 + P)])), undefined);
  // x.c1 + p passes 254 bits for most points: find one that does not.
  for (let scalar = 1n; ; scalar++) {
    const { x: found } = g2(scalar);
    if (found.c1 + P >= 2n ** 254n) continue;
    assert.equal(decodeG2(Buffer.concat([flagged(0b10, found.c1 + P), flagged(0, found.c0)])), undefined);
    break;
  }
  assert.equal(g1Valid({ x: 1n + P, y: 2n }), false);
  assert.equal(g1Valid({ x: 1n, y: 2n + P }), false);
});

test("x without a point on the curve is refused", () => {
  let refused = 0;
  for (let x = 1n; x <= 40n; x++) if (decodeG1(flagged(0b10, x)) === undefined) refused++;
  assert.ok(refused > 5 && refused < 35);
  assert.equal(g1Valid({ x: 1n, y: 3n }), false);
});

test("points of the twist outside the subgroup are refused", () => {
  const b = bn254.G2.Point.CURVE().b;
  let outside = 0;
  for (let c0 = 1n; outside < 3; c0++) {
    const x = { c0, c1: 1n };
    let y: { c0: bigint; c1: bigint };
    try {
      y = Fp2.sqrt(Fp2.add(Fp2.mul(Fp2.sqr(x), x), b));
    } catch {
      continue;
    }
    outside++;
    assert.equal(g2Valid({ x, y }), false);
    assert.equal(decodeG2(encodeG2({ x, y: { c0: y.c0, c1: y.c1 } })), undefined);
  }
});

test("no other length than 128 bytes is a proof", () => {
  assert.equal(decodeProofPoints(proof.subarray(1)), undefined);
  assert.equal(decodeProofPoints(Buffer.concat([proof, Buffer.of(0)])), undefined);
  assert.throws(() => decodeProof(new Uint8Array(127)), { code: "submission/proof-malformed" });
});

test("whatever decodes has exactly the bytes that it was decoded from", () => {
  fc.assert(
    fc.property(fc.nat(127), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Uint8Array.from(proof);
      changed[at] = (changed[at] ?? 0) ^ change;
      const decoded = decodeProofPoints(changed);
      if (decoded !== undefined) assert.deepEqual(encodeProof(snarkjsProof(decoded)), changed);
    }),
  );
});
