import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createTally, type Signatures } from "../../../consensus/engine/tally.ts";
import { signersOf, verifyCertificate } from "../../../consensus/types/certificate.ts";
import { CHAIN, certificate, crypto, finalize, notarize, nullify, SET, setOf, vote } from "./harness.ts";

const A = notarize(1, 0, new Uint8Array(32).fill(1));
const B = notarize(1, 0, new Uint8Array(32).fill(2));
const wrong = (signer: number) => ({ ...vote(signer, A), signature: new Uint8Array(96).fill(9) });

/** Counts the calls of the expensive functions. */
function counting(): { signatures: Signatures; calls: { aggregate: number; single: number } } {
  const calls = { aggregate: 0, single: 0 };
  const signatures: Signatures = {
    aggregateSignatures: crypto.aggregateSignatures,
    verifyAggregate: (...args) => {
      calls.aggregate++;
      return crypto.verifyAggregate(...args);
    },
    verifySignature: (...args) => {
      calls.single++;
      return crypto.verifySignature(...args);
    },
  };
  return { signatures, calls };
}

test("a second vote from one validator does not count twice", () => {
  const tally = createTally(CHAIN, SET, crypto);
  assert.deepEqual(tally.add(vote(0, A), false), { kind: "counted", weight: 1n });
  assert.deepEqual(tally.add(vote(0, A), false), { kind: "ignored" });
  assert.deepEqual(tally.add(vote(1, A), false), { kind: "counted", weight: 2n });
});

test("a quorum costs one verification", () => {
  const { signatures, calls } = counting();
  const tally = createTally(CHAIN, SET, signatures);
  for (const signer of [0, 1, 2]) tally.add(vote(signer, A), false);
  const { certificate: made, wrong: culprits } = tally.assemble(A);
  assert.ok(made !== undefined && verifyCertificate(CHAIN, SET, made, crypto.verifyAggregate));
  assert.deepEqual(culprits, []);
  assert.deepEqual(calls, { aggregate: 1, single: 0 });
});

test("less than a quorum makes no certificate", () => {
  const tally = createTally(CHAIN, SET, crypto);
  for (const signer of [0, 1]) tally.add(vote(signer, A), false);
  assert.equal(tally.assemble(A).certificate, undefined);
});

test("a wrong signature is found, its signer banned, and the others still make a certificate", () => {
  const tally = createTally(CHAIN, SET, crypto);
  for (const signer of [0, 1, 3]) tally.add(vote(signer, A), false);
  tally.add(wrong(2), false);
  const { certificate: made, wrong: culprits } = tally.assemble(A);
  assert.deepEqual(culprits, [2]);
  assert.ok(made !== undefined && verifyCertificate(CHAIN, SET, made, crypto.verifyAggregate));
  assert.deepEqual(signersOf(made), [0, 1, 3]);
  assert.deepEqual(tally.add(vote(2, nullify(2)), false), { kind: "ignored" });
});

test("wrong signatures are found with bounded effort, whoever sends them", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 31 }), (liars) => {
      const set = setOf(Array.from({ length: 31 }, () => 1));
      const { signatures, calls } = counting();
      const tally = createTally(CHAIN, set, signatures);
      for (let signer = 0; signer < 31; signer++) {
        tally.add(liars.includes(signer) ? wrong(signer) : vote(signer, A), false);
      }
      const { certificate: made, wrong: culprits } = tally.assemble(A);
      assert.deepEqual(
        [...culprits].sort((a, b) => a - b),
        [...liars].sort((a, b) => a - b),
      );
      assert.equal(made !== undefined, 31 - liars.length >= 21);
      assert.ok(calls.aggregate + calls.single <= 2 + 3 * 31, `${calls.aggregate} + ${calls.single} checks`);
      assert.ok(tally.banned.size <= 10);
    }),
    { numRuns: 60 },
  );
});

test("beyond a third of the weight nobody is banned, but verified one by one", () => {
  const tally = createTally(CHAIN, SET, crypto);
  for (const signer of [0, 1]) tally.add(vote(signer, A), false);
  for (const signer of [2, 3]) tally.add(wrong(signer), false);
  tally.assemble(A);
  assert.equal(tally.banned.size, 1);
  const suspect = tally.banned.has(2) ? 3 : 2;
  assert.deepEqual(tally.add(wrong(suspect), false), { kind: "wrong" });
  assert.deepEqual(tally.add(vote(suspect, A), false), { kind: "counted", weight: 3n });
});

test("two swapped signatures leave the aggregate valid, and neither vote is evidence", () => {
  const tally = createTally(CHAIN, SET, crypto);
  tally.add({ ...vote(0, A), signature: vote(1, A).signature }, false);
  tally.add({ ...vote(1, A), signature: vote(0, A).signature }, false);
  tally.add(vote(2, A), false);
  assert.ok(tally.assemble(A).certificate !== undefined);
  // The first vote turns out wrong as soon as it is looked at alone; the second one counts instead.
  assert.deepEqual(tally.add(vote(0, B), false), { kind: "counted", weight: 1n });
});

test("Evidence: a second, different vote is reported once, with both votes, and not counted", () => {
  const tally = createTally(CHAIN, SET, crypto);
  tally.add(vote(0, A), false);
  assert.deepEqual(tally.add(vote(0, B), false), { kind: "conflict", first: vote(0, A), second: vote(0, B) });
  assert.deepEqual(tally.add(vote(0, B), false), { kind: "ignored" });
  assert.deepEqual(tally.add(vote(1, B), false), { kind: "counted", weight: 1n });
});

test("Evidence: nullify and finalize in one view conflict; notarize and nullify do not", () => {
  const tally = createTally(CHAIN, SET, crypto);
  assert.equal(tally.add(vote(0, A), false).kind, "counted");
  assert.equal(tally.add(vote(0, nullify(1)), false).kind, "counted");
  assert.equal(tally.add(vote(0, finalize(A)), false).kind, "conflict");
  assert.equal(tally.add(vote(1, finalize(A)), false).kind, "counted");
  assert.equal(tally.add(vote(1, nullify(1)), false).kind, "conflict");
});

test("Evidence: a conflicting vote with a wrong signature is no evidence", () => {
  const tally = createTally(CHAIN, SET, crypto);
  tally.add(vote(0, A), false);
  assert.equal(tally.add({ ...vote(0, B), signature: new Uint8Array(96) }, false).kind, "wrong");
});

test("Late certificates: late votes extend a certificate, and wrong ones stay out", () => {
  const tally = createTally(CHAIN, setOf([1, 1, 1, 1, 1, 1, 1]), crypto);
  const first = certificate(A);
  assert.equal(tally.extend(first), first);
  tally.add(vote(3, A), false);
  const both = tally.extend(first);
  assert.deepEqual(signersOf(both), [0, 1, 2, 3]);
  tally.add({ ...vote(4, A), signature: new Uint8Array(96) }, false);
  assert.deepEqual(signersOf(tally.extend(first)), [0, 1, 2, 3]);
});
