/** Messages that wait for their verdict: who is next, and how many there may be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createGossipQueue } from "../../../node/network/gossip-queue.ts";
import { BUNDLE_MAX } from "../../../node/network/topics.ts";
import { aTurn } from "../../../node/turns.ts";

const MIB = 1024 * 1024;

/** A queue whose verdicts come when the test says so; what is being judged, by peer. */
function gated() {
  const queue = createGossipQueue();
  const open: { readonly peer: string; readonly weight: number; readonly end: () => void }[] = [];
  const add = (peer: string, bytes = 1, weight = 1): boolean =>
    queue.add(peer, {
      bytes,
      weight,
      judge: () => new Promise<void>((resolve) => void open.push({ peer, weight, end: () => resolve() })),
    });
  const addMany = (peer: string, count: number, bytes = 1): number =>
    Array.from({ length: count }, () => add(peer, bytes)).filter(Boolean).length;
  const endAll = async (): Promise<void> => {
    for (const { end } of open.splice(0)) end();
    await aTurn();
  };
  const judged = (peer: string): number => open.filter((it) => it.peer === peer).length;
  /** Ends what the peer has had in judgment the longest. */
  const endOne = async (peer: string): Promise<void> => {
    const [it] = open.splice(
      open.findIndex((some) => some.peer === peer),
      1,
    );
    it?.end();
    await aTurn();
  };
  const weighed = (peer?: string): number =>
    open.reduce((sum, it) => sum + (peer === undefined || it.peer === peer ? it.weight : 0), 0);
  return { queue, open, add, addMany, endAll, endOne, judged, weighed };
}

test("of one peer 96 are judged at once, of all 288", () => {
  const { open, addMany, judged } = gated();
  addMany("a", 200);
  assert.equal(judged("a"), 96);
  for (const peer of ["b", "c", "d"]) addMany(peer, 100);
  assert.deepEqual(["b", "c", "d"].map(judged), [96, 96, 0]);
  assert.equal(open.length, 288);
});

test("when places are free the peers take turns, however much one of them has sent", async () => {
  const { addMany, endAll, judged } = gated();
  for (const peer of ["a", "b", "c", "d", "e", "f"]) addMany(peer, 400);
  assert.equal(judged("f"), 0);
  await endAll();
  assert.ok(
    ["d", "e", "f"].every((peer) => judged(peer) >= 48),
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
  addMany("a", 200);
  queue.stop();
  assert.equal(queue.size(), 96);
  await endAll();
  assert.deepEqual([queue.size(), open.length], [0, 0]);
});

test("a message counts for as many as it holds: of one peer 96, of all 288", async () => {
  const { queue, add, endAll, judged, weighed } = gated();
  for (let i = 0; i < 20; i++) add("a", 1, 10);
  assert.equal(weighed("a"), 90, "a tenth of ten would be a hundred");
  for (const peer of ["b", "c", "d"]) for (let i = 0; i < 5; i++) add(peer, 1, BUNDLE_MAX);
  assert.deepEqual(["b", "c", "d"].map(judged), [3, 3, 0], "there is room for six of the other peers");
  for (let turn = 0; queue.size() > 0; turn++) {
    assert.ok(turn < 20);
    assert.ok(weighed() <= 288 && weighed("a") <= 96 && weighed("b") <= 96);
    await endAll();
  }
});

test("a full bundle is judged when there are places for all of it, and nothing behind it before", async () => {
  const { add, addMany, endOne, judged, weighed } = gated();
  const most = 96 - BUNDLE_MAX;
  addMany("a", most + 2);
  add("a", 1, BUNDLE_MAX);
  addMany("a", 1);
  assert.equal(weighed("a"), most + 2);
  await endOne("a");
  assert.equal(weighed("a"), most + 1, "what came after it doesn't overtake it");
  await endOne("a");
  assert.deepEqual([judged("a"), weighed("a")], [most + 1, 96]);
});

test("even one that is heavier than all places together has its turn, alone", async () => {
  const { add, endOne, weighed } = gated();
  add("a", 1, 1);
  add("b", 1, 1_000);
  add("c", 1, 1);
  assert.equal(weighed(), 1);
  await endOne("a");
  assert.equal(weighed(), 1_000);
  await endOne("b");
  assert.equal(weighed(), 1);
});

test("light messages of many peers don't keep a heavy one waiting for ever", async () => {
  const { add, addMany, endOne, judged } = gated();
  const crowd = ["b", "c", "d", "e", "f"];
  for (const peer of crowd) addMany(peer, 400);
  add("a", 1, BUNDLE_MAX);
  for (let ended = 0; judged("a") === 0; ended++) {
    assert.ok(ended < 200, "its turn comes");
    await endOne(crowd[ended % crowd.length] ?? "");
  }
});
