/** Sends that leave in one piece: all of them, in their order, soon, and never more at once than the limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import { concatBytes } from "../../../consensus/primitives/bytes.ts";
import { gatherSends } from "../../../node/network/gathered.ts";

const KIB = 1024;
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

function open(fails = false) {
  const sent: Uint8Array[] = [];
  const refused: string[] = [];
  const stream = {
    send(data: { subarray(): Uint8Array }): boolean {
      if (fails) throw new Error("closed");
      sent.push(data.subarray());
      return true;
    },
  };
  gatherSends(stream, (error) => refused.push(String(error)));
  return { stream, sent, refused };
}

test("what is sent in one turn leaves in one piece at its end, in order; the next turn's by itself", async () => {
  const { stream, sent } = open();
  const parts = Array.from({ length: 20 }, (_, i) => filled(i, i));
  for (const part of parts) stream.send(part);
  assert.deepEqual(sent, []);
  await immediate();
  assert.deepEqual(sent, [concatBytes(...parts)]);
  stream.send(filled(3, 9));
  await immediate();
  assert.deepEqual(sent.slice(1), [filled(3, 9)]);
});

test("what is large doesn't wait: it leaves with all before it, and nothing is sent twice", async () => {
  const { stream, sent } = open();
  for (let i = 0; i < 100; i++) stream.send(filled(KIB, i));
  assert.deepEqual(
    sent.map(({ length }) => length),
    [64 * KIB],
  );
  stream.send(filled(200 * KIB, 1));
  await immediate();
  assert.deepEqual(
    sent.map(({ length }) => length),
    [64 * KIB, 236 * KIB],
  );
});

test("a stream that is gone refuses, and nobody is thrown at", async () => {
  const { stream, refused } = open(true);
  stream.send(filled(1, 1));
  await immediate();
  assert.deepEqual(refused, ["Error: closed"]);
});
