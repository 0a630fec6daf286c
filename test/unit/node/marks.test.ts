/** What is known to be on disk without asking it: never more than is there, and bounded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keys } from "../../../node/store/keys.ts";
import { createMarks } from "../../../node/store/marks.ts";
import type { BatchOp } from "../../../node/store/ops.ts";

const hash = (n: number): Uint8Array => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};
const put = (key: string): BatchOp => ({ type: "put", key, value: new Uint8Array(0) });
const del = (key: string): BatchOp => ({ type: "del", key });
const markOf = (height: number, n: number): string => keys.speculative(height, hash(n));

test("marks come and go with the batches that write them", () => {
  const marks = createMarks([markOf(3, 1), markOf(4, 2)]);
  assert.deepEqual(marks.at(3), [markOf(3, 1)]);
  assert.deepEqual(marks.at(5), []);
  marks.note([put(markOf(3, 9)), del(markOf(4, 2)), put(keys.finalHash(3)), put(keys.meta("head"))]);
  assert.deepEqual(marks.at(3), [markOf(3, 1), markOf(3, 9)]);
  assert.deepEqual(marks.at(4), []);
  marks.note([put(markOf(3, 9)), del(markOf(3, 1)), del(markOf(3, 1))]);
  assert.deepEqual(marks.at(3), [markOf(3, 9)]);
});

test("where there are too many marks they are read instead, whenever that comes", () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, n) => markOf(n, n));
  assert.equal(createMarks(undefined).at(3), undefined);
  assert.equal(createMarks(many(4_097)).at(3), undefined);
  const marks = createMarks(many(4_096));
  assert.deepEqual(marks.at(3), [markOf(3, 3)]);
  marks.note([put(markOf(5_000, 5_000))]);
  assert.equal(marks.at(3), undefined);
  marks.note([del(markOf(5_000, 5_000))]);
  assert.equal(marks.at(3), undefined, "those that were not noted are still there");
});

test("a block is held from its batch on until it is deleted, or 512 newer ones have come", () => {
  const marks = createMarks([]);
  const keyOf = (n: number): string => keys.block(hash(n));
  marks.note([put(keyOf(0)), put(keyOf(1))]);
  assert.ok(marks.holds(keyOf(0)) && marks.holds(keyOf(1)));
  marks.note([del(keyOf(0))]);
  assert.ok(!marks.holds(keyOf(0)) && marks.holds(keyOf(1)));
  for (let n = 2; n < 512 + 1; n++) marks.note([put(keyOf(n))]);
  assert.ok(marks.holds(keyOf(1)));
  marks.note([put(keyOf(1_000))]);
  assert.ok(!marks.holds(keyOf(1)) && marks.holds(keyOf(1_000)));
});
