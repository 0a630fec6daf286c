/** How long proofs wait for company. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPatience, type Patient } from "../../../circuits/patience.ts";

function create() {
  const patience = createPatience();
  const waiting: Patient[] = [];
  return {
    waiting,
    arrive: (nowMs: number, waitMs: number) => {
      waiting.push({ lastMs: patience.arrive(nowMs, waitMs, waiting) });
    },
    leftMs: (nowMs: number) => patience.leftMs(nowMs, waiting),
  };
}

test("what waits alone waits as long as it may, and what does not wait not at all", () => {
  const { arrive, leftMs } = create();
  arrive(1000, 60);
  assert.equal(leftMs(1000), 60);
  assert.equal(leftMs(1060), 0);
  const hurried = create();
  hurried.arrive(1000, 0);
  assert.equal(hurried.leftMs(1000), 0);
});

test("while company keeps coming it waits longer, until none has come for a whole wait", () => {
  const { arrive, leftMs } = create();
  arrive(1000, 60);
  arrive(1010, 20);
  assert.equal(leftMs(1010), 50, "who waits less does not make the wait of others shorter");
  for (let nowMs = 1040; nowMs <= 1080; nowMs += 20) arrive(nowMs, 60);
  assert.equal(leftMs(1080), 10, "but waits no longer than four times its own");
  const others = create();
  for (let nowMs = 1000; nowMs <= 1160; nowMs += 40) others.arrive(nowMs, 60);
  assert.equal(others.leftMs(1160), 60);
});

test("whatever comes, nothing waits longer than four times its wait", () => {
  const { arrive, leftMs, waiting } = create();
  for (let nowMs = 1000; nowMs < 1240; nowMs += 5) arrive(nowMs, 60);
  assert.equal(leftMs(1235), 5);
  arrive(1240, 60);
  assert.equal(leftMs(1240), 0);
  // The first batch has gone: those left have waited less.
  waiting.splice(0, 40);
  assert.equal(leftMs(1240), 60);
});

test("what comes in a hurry takes along what waits, also if it has nothing of its own", () => {
  const { arrive, leftMs, waiting } = create();
  arrive(1000, 60);
  arrive(1001, 60);
  arrive(1002, 0);
  waiting.pop();
  arrive(1003, 60);
  assert.ok(leftMs(1003) < 0);
});
