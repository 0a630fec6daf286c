/** Messages that wait for their verdict: who is next, and how many there may be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGossipQueue } from "../../../node/network/gossip-queue.ts";
import { aTurn } from "../../../node/turns.ts";

const MIB = 1024 * 1024;

/** A queue whose verdicts come when the test says so; what is being judged, by peer. */
function gated() {
  const queue = createGossipQueue();
  const open: { readonly peer: string; readonly end: () => void }[] = [];
  const add = (peer: string, bytes = 1): boolean =>
    queue.add(
      peer,
      bytes,
      () => new Promise<void>((resolve) => void open.push({ peer, end: () => resolve() })),
    );
  const addMany = (peer: string, count: number, bytes = 1): number =>
    Array.from({ length: count }, () => add(peer, bytes)).filter(Boolean).length;
  const endAll = async (): Promise<void> => {
    for (const { end } of open.splice(0)) end();
    await aTurn();
  };
  const judged = (peer: string): number => open.filter((it) => it.peer === peer).length;
  return { queue, open, addMany, endAll, judged };
}

test("of one peer 32 are judged at once, of all 128", () => {
  const { open, addMany, judged } = gated();
  addMany("a", 100);
  assert.equal(judged("a"), 32);
  for (const peer of ["b", "c", "d", "e"]) addMany(peer, 40);
  assert.deepEqual(["b", "c", "d", "e"].map(judged), [32, 32, 32, 0]);
  assert.equal(open.length, 128);
});

test("when places are free the peers take turns, however much one of them has sent", async () => {
  const { addMany, endAll, judged } = gated();
  for (const peer of ["a", "b", "c", "d", "e", "f", "g", "h"]) addMany(peer, 200);
  assert.equal(judged("h"), 0);
  await endAll();
  assert.ok(
    ["e", "f", "g", "h"].every((peer) => judged(peer) >= 16),
    "those that waited are judged next",
  );
});

test("everything has its verdict in the end, and nothing is left behind", async () => {
  const { queue, addMany, endAll } = gated();
  for (const peer of ["a", "b", "c"]) assert.equal(addMany(peer, 300), 300);
  assert.equal(queue.size(), 900);
  for (let turn = 0; turn < 20 && queue.size() > 0; turn++) await endAll();
  assert.equal(queue.size(), 0);
  assert.equal(addMany("a", 1_024), 1_024, "all of its room is there again");
});

test("of one peer 1,024 may wait, of all 4,096, and then there is no room until a verdict is in", async () => {
  const { addMany, endAll } = gated();
  assert.equal(addMany("a", 1_100), 1_024);
  for (const peer of ["b", "c", "d"]) assert.equal(addMany(peer, 1_024), 1_024);
  assert.equal(addMany("e", 1), 0);
  await endAll();
  assert.equal(addMany("e", 1), 1);
});

test("of one peer 4 MiB may wait, of all 16", () => {
  const { addMany } = gated();
  assert.equal(addMany("a", 10, MIB), 4);
  for (const peer of ["b", "c", "d"]) assert.equal(addMany(peer, 10, MIB), 4);
  assert.equal(addMany("e", 1), 0);
});

test("what waits is forgotten at the end, what is under way ends by itself", async () => {
  const { queue, addMany, endAll, open } = gated();
  addMany("a", 100);
  queue.stop();
  assert.equal(queue.size(), 32);
  await endAll();
  assert.deepEqual([queue.size(), open.length], [0, 0]);
});
