/** A submission's encoding and roots are SSZ's, however it is held here and however many are hashed together. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasher, setHasher } from "@chainsafe/persistent-merkle-tree";
import { hasher as native } from "@chainsafe/persistent-merkle-tree/hasher/hashtree";
import { ContainerType, ListCompositeType } from "@chainsafe/ssz";
import fc from "fast-check";
import { hash } from "../../../consensus/primitives/hash.ts";
import { Epoch } from "../../../consensus/primitives/units.ts";
import { OUTPUTS_MAX, outputAt } from "../../../consensus/types/outputs.ts";
import { Bytes32, Bytes64, Bytes128, decode, EpochType, uint16 } from "../../../consensus/types/ssz.ts";
import {
  dataTagOf,
  fieldsOf,
  fieldsToBytes,
  hashSubmissions,
  nullifierOf,
  type Submission,
  SubmissionType,
  submissionContentRoot,
  submissionRoot,
} from "../../../consensus/types/submission.ts";
import { rootsOfAll } from "../../../consensus/types/submission-roots.ts";
import { joined, split } from "../../helpers/outputs.ts";

/** As the protocol has it, in the library's own types. */
const unsigned = {
  task: Bytes32,
  epoch: EpochType,
  slot: uint16,
  podId: Bytes32,
  inputsHash: Bytes32,
  outputs: new ListCompositeType(Bytes32, OUTPUTS_MAX),
  proof: Bytes128,
};
const Unsigned = new ContainerType(unsigned);
const Signed = new ContainerType({ ...unsigned, signature: Bytes64 });
const plain = (it: Submission) => ({ ...it, outputs: split(it.outputs) });

const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const counts = fc.oneof(fc.constantFrom(0, 1, 2, 3, 13, 33, 64), fc.nat(40));
const submission: fc.Arbitrary<Submission> = fc.record({
  task: fixed(32),
  epoch: fc.oneof(fc.nat(), fc.maxSafeNat()).map(Epoch),
  slot: fc.nat(65_535),
  podId: fixed(32),
  inputsHash: fixed(32),
  outputs: counts.chain((count) => fc.array(fixed(32), { minLength: count, maxLength: count })).map(joined),
  proof: fixed(128),
  signature: fixed(64),
});
const CHAIN = new Uint8Array(32).fill(1);

test("a submission has the encoding of one whose outputs are a list of 32 bytes each", () => {
  fc.assert(
    fc.property(submission, (it) => {
      const bytes = SubmissionType.serialize(it);
      assert.deepEqual(bytes, Signed.serialize(plain(it)));
      assert.deepEqual(plain(decode(SubmissionType, bytes) as Submission), decode(Signed, bytes));
    }),
    { numRuns: 40 },
  );
});

test("its tree is that of the list too, and encodes back", () => {
  fc.assert(
    fc.property(submission, (it) => {
      const tree = SubmissionType.toView(it);
      assert.deepEqual(tree.hashTreeRoot(), Signed.hashTreeRoot(plain(it)));
      assert.deepEqual(tree.serialize(), Signed.serialize(plain(it)));
      assert.deepEqual(SubmissionType.hashTreeRoot(it), Signed.hashTreeRoot(plain(it)));
    }),
    { numRuns: 40 },
  );
});

test("outputs that are no whole number of 32 bytes, or too many, are not decoded and have no root", () => {
  const [some] = fc.sample(submission, { numRuns: 1, seed: 1 });
  assert.ok(some !== undefined);
  const ends = SubmissionType.serialize({ ...some, outputs: new Uint8Array() });
  for (const length of [1, 31, 33, 32 * OUTPUTS_MAX + 1, 32 * (OUTPUTS_MAX + 1)]) {
    const bytes = new Uint8Array(ends.length + length);
    bytes.set(ends);
    assert.equal(decode(SubmissionType, bytes), undefined, `${length} bytes of outputs`);
    assert.throws(() => rootsOfAll([{ ...some, outputs: new Uint8Array(length) }]), RangeError);
  }
  for (const length of [0, 32, 32 * OUTPUTS_MAX]) {
    const bytes = new Uint8Array(ends.length + length);
    bytes.set(ends);
    assert.equal(decode(SubmissionType, bytes)?.outputs.length, length);
  }
});

test("any number of submissions hashed together have the roots that each has alone", () => {
  fc.assert(
    fc.property(fc.array(submission, { maxLength: 80 }), fc.nat(13), (mixed, count) => {
      const alike = mixed.map((it) => ({ ...it, outputs: new Uint8Array(32 * count).fill(count) }));
      for (const all of [mixed, alike, [...mixed, ...alike]]) {
        assert.deepEqual(
          rootsOfAll(all),
          all.map((it) => ({
            content: Signed.hashTreeRoot(plain(it)),
            unsigned: Unsigned.hashTreeRoot(plain(it)),
          })),
        );
      }
    }),
    { numRuns: 20 },
  );
});

test("the hasher of nodes, which works in place, gives the same roots", () => {
  const before = hasher;
  const all = fc.sample(submission, { numRuns: 70, seed: 5 });
  const expected = rootsOfAll(all);
  try {
    setHasher(native);
    assert.deepEqual(rootsOfAll(all), expected);
    assert.deepEqual(
      all.map((it) => SubmissionType.hashTreeRoot(it)),
      expected.map(({ content }) => content),
    );
  } finally {
    setHasher(before);
  }
});

test("the largest submissions, in company of small ones, have their roots too", () => {
  const [small] = fc.sample(submission, { numRuns: 1, seed: 2 });
  assert.ok(small !== undefined);
  const large = { ...small, outputs: new Uint8Array(32 * OUTPUTS_MAX).fill(3) };
  const all = [small, large, large, small, { ...large, outputs: large.outputs.slice(32 * 7) }, small];
  assert.deepEqual(
    rootsOfAll(all).map(({ content }) => content),
    all.map((it) => Signed.hashTreeRoot(plain(it))),
  );
});

test("a field of another length has no root", () => {
  const [good] = fc.sample(submission, { numRuns: 1, seed: 3 });
  assert.ok(good !== undefined);
  for (const field of ["task", "podId", "inputsHash", "proof", "signature"] as const)
    for (const length of [0, 31, 33, 65, 129])
      assert.throws(() => rootsOfAll([{ ...good, [field]: new Uint8Array(length) }]), RangeError, field);
});

test("roots are remembered of the object, and a changed copy has its own", () => {
  fc.assert(
    fc.property(submission, submission, (one, other) => {
      hashSubmissions([one, other, one]);
      assert.deepEqual(submissionContentRoot(one), Signed.hashTreeRoot(plain(one)));
      assert.equal(submissionContentRoot(one), submissionContentRoot(one), "the same array");
      assert.ok(Object.isFrozen(one));
      const copy = { ...one, signature: new Uint8Array(64).fill(5) };
      assert.deepEqual(submissionContentRoot(copy), Signed.hashTreeRoot(plain(copy)));
      // What the pod signs says nothing of the signature, and is another on another chain.
      assert.deepEqual(submissionRoot(CHAIN, copy), submissionRoot(CHAIN, one));
      const message = hash("submission", CHAIN, Unsigned.hashTreeRoot(plain(one)));
      const elsewhere = new Uint8Array(32).fill(2);
      assert.deepEqual(submissionRoot(CHAIN, one), message);
      assert.notDeepEqual(submissionRoot(elsewhere, one), message);
      assert.deepEqual(submissionRoot(CHAIN, one), message);
      const { signature: _, ...bare } = one;
      assert.deepEqual(submissionRoot(CHAIN, bare), message);
    }),
    { numRuns: 30 },
  );
});

test("an output is found at its place, and is zero where there is none", () => {
  const outputs = joined([1, 2, 3].map((it) => new Uint8Array(32).fill(it)));
  assert.deepEqual(
    [0, 1, 2, 3, 9].map((i) => outputAt(outputs, i)[31]),
    [1, 2, 3, 0, 0],
  );
  const [some] = fc.sample(submission, { numRuns: 1, seed: 4 });
  assert.ok(some !== undefined);
  assert.deepEqual([nullifierOf({ ...some, outputs })[0], dataTagOf({ ...some, outputs })[0]], [1, 2]);
  assert.deepEqual(nullifierOf({ ...some, outputs: new Uint8Array() }), new Uint8Array(32));
  assert.deepEqual(fieldsToBytes(fieldsOf(outputs)), outputs);
});
