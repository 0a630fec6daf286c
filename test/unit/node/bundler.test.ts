/** Submissions on their way out: those of one turn together, never more than a message may hold, and its one encoding. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import { OUTPUTS_MAX } from "../../../consensus/types/outputs.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { createBundler } from "../../../node/network/bundler.ts";
import {
  BUNDLE_MAX,
  decodeGossip,
  encodeGossip,
  TOPIC_NAMES,
  TOPICS,
  topicId,
} from "../../../node/network/topics.ts";
import { bytes, submission } from "./samples.ts";

const many = (count: number, from = 0): Submission[] =>
  Array.from({ length: count }, (_, i) => submission(from + i));
const large = (slot: number, outputs = OUTPUTS_MAX): Submission => ({
  ...submission(slot),
  outputs: bytes(32 * outputs, 1),
});
const encoded = (value: readonly Submission[]): Uint8Array => encodeGossip({ topic: "submissions", value });
const slotsOf = (bundles: readonly (readonly Submission[])[]): number[][] =>
  bundles.map((bundle) => bundle.map(({ slot }) => slot));

function open() {
  const sent: (readonly Submission[])[] = [];
  const bundler = createBundler({ send: (bundle) => sent.push(bundle) });
  return { bundler, sent };
}

test("what is published in one turn leaves at its end, together and in order; the next turn's by itself", async () => {
  const { bundler, sent } = open();
  for (const it of many(20)) bundler.add(it);
  assert.deepEqual(sent, []);
  await immediate();
  assert.deepEqual(slotsOf(sent), [many(20).map(({ slot }) => slot)]);
  bundler.add(submission(99));
  await immediate();
  await immediate();
  assert.deepEqual(slotsOf(sent.slice(1)), [[99]]);
});

test("a burst leaves in bundles of 32, and nothing is sent twice", async () => {
  const { bundler, sent } = open();
  for (const it of many(80)) bundler.add(it);
  await immediate();
  await immediate();
  assert.deepEqual(
    sent.map(({ length }) => length),
    [BUNDLE_MAX, BUNDLE_MAX, 16],
  );
  assert.deepEqual(
    slotsOf(sent).flat(),
    many(80).map(({ slot }) => slot),
  );
});

test("bundles of large ones stay within a message, the largest travels alone", async () => {
  const { bundler, sent } = open();
  const sizes = [1_000, 1_000, 10, 10, OUTPUTS_MAX, OUTPUTS_MAX, 500, 400, 10, 1_000];
  for (const [slot, outputs] of sizes.entries()) bundler.add(large(slot, outputs));
  await immediate();
  assert.deepEqual(slotsOf(sent), [[0, 1, 2], [3, 4], [5, 6, 7, 8], [9]]);
  for (const bundle of sent) {
    const message = encoded(bundle);
    assert.ok(message.length <= TOPICS.submissions.bytesMax, `${message.length} bytes`);
    assert.deepEqual(decodeGossip("submissions", message)?.value, bundle);
  }
});

test("the same one twice in a turn is sent once", async () => {
  const { bundler, sent } = open();
  for (const it of [submission(1), submission(2), { ...submission(1) }]) bundler.add(it);
  await immediate();
  assert.deepEqual(slotsOf(sent), [[1, 2]]);
  for (const it of [large(3), large(3), large(3)]) bundler.add(it);
  await immediate();
  assert.deepEqual(slotsOf(sent.slice(1)), [[3]]);
});

test("what waits at the end is dropped, and nothing is sent later", async () => {
  const { bundler, sent } = open();
  for (const it of many(3)) bundler.add(it);
  bundler.stop();
  await immediate();
  assert.deepEqual(sent, []);
});

test("a message is one to 32 different submissions", () => {
  const [one] = many(1);
  assert.ok(one !== undefined);
  const decodes = (data: Uint8Array): boolean => decodeGossip("submissions", data) !== undefined;
  assert.ok(decodes(encoded([one])));
  assert.ok(decodes(encoded(many(BUNDLE_MAX))), "all of them have one signature: they differ elsewhere");
  assert.equal(decodes(encoded([])), false);
  assert.equal(decodes(encoded([one, submission(1), { ...one }])), false, "twice the same");
  const others = [8, 9, 10].map((fill) => ({ ...submission(fill), signature: bytes(64, fill) }));
  assert.ok(decodes(encoded(others)));
  assert.equal(decodes(encoded([...others, others[1] ?? one])), false, "twice the same among others");
  assert.ok(decodes(encoded([one, { ...one, signature: bytes(64, 8) }])), "the door tells copies apart");
  const bundle = encoded(many(BUNDLE_MAX));
  const size = encoded(many(1)).length - 4;
  const tooMany = new Uint8Array((BUNDLE_MAX + 1) * (4 + size));
  const view = new DataView(tooMany.buffer);
  for (let i = 0; i <= BUNDLE_MAX; i++) {
    view.setUint32(i * 4, (BUNDLE_MAX + 1) * 4 + i * size, true);
    tooMany.set(encoded([submission(i)]).subarray(4), (BUNDLE_MAX + 1) * 4 + i * size);
  }
  assert.equal(tooMany.length, bundle.length + 4 + size, "well-formed but for its length");
  assert.equal(decodes(tooMany), false);
  assert.equal(decodes(encoded([large(1), large(2)])), false, "more than 64 KiB");
  assert.equal(decodes(new Uint8Array([...bundle, 0])), false);
});

test("a submission that came in a bundle doesn't hold the others' memory", () => {
  const message = decodeGossip("submissions", encoded([...many(8), large(9, 500)]));
  assert.ok(message?.topic === "submissions");
  for (const it of message.value) {
    const own = encoded([it]).length - 4;
    for (const part of [it.task, it.proof, it.signature, it.outputs]) {
      assert.ok(part.buffer.byteLength <= own, `${part.buffer.byteLength} bytes for ${own}`);
    }
  }
});

test("the topic's id says that its messages are bundles; the others' is what it was", () => {
  assert.deepEqual(
    TOPIC_NAMES.map((topic) => topicId("test", topic)),
    ["/zkp/test/transactions/1", "/zkp/test/submissions/2", "/zkp/test/headers/1", "/zkp/test/evidence/1"],
  );
});
