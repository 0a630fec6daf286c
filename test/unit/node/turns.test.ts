import assert from "node:assert/strict";
import { test } from "node:test";
import { allAtOnce, type Steps } from "../../../consensus/primitives/steps.ts";
import { aTurn, createPacer, inTurns, UNWANTED } from "../../../node/turns.ts";

const work = (ms: number): void => {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
};

test("much work that comes at once leaves other events their turn, and keeps its order", async () => {
  const pace = createPacer(4);
  const order: number[] = [];
  let turns = 0;
  let working = true;
  const others = (): void => {
    turns += 1;
    if (working) setImmediate(others);
  };
  setImmediate(others);
  await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      await pace();
      order.push(i);
      work(2);
    }),
  );
  working = false;
  assert.deepEqual(order, [...order.keys()]);
  assert.ok(turns >= 10, `${turns} turns in sixty milliseconds of work`);
});

test("little work waits for nobody", async () => {
  const pace = createPacer(1_000);
  let isTurned = false;
  setImmediate(() => {
    isTurned = true;
  });
  for (let i = 0; i < 100; i++) await pace();
  assert.equal(isTurned, false);
  await aTurn();
});

function* busy(count: number, ms: number, done: number[]): Steps<string> {
  for (let i = 0; i < count; i++) {
    work(ms);
    done.push(i);
    yield;
  }
  return "done";
}

test("long work leaves others their turn, gives what it gives all at once, and none is left out", async () => {
  const [one, two]: [number[], number[]] = [[], []];
  let turns = 0;
  let isDone = false;
  const others = (): void => {
    turns += 1;
    if (!isDone) setImmediate(others);
  };
  setImmediate(others);
  // The second has no share left in any turn that the first has begun, and still gets a step of it.
  const results = await Promise.all([inTurns(busy(40, 2, one), 8), inTurns(busy(12, 1, two), 0)]);
  isDone = true;
  assert.deepEqual(results, ["done", "done"]);
  assert.equal(allAtOnce(busy(3, 0, [])), "done");
  assert.deepEqual([one.length, two.length], [40, 12]);
  assert.ok(turns >= 10, `${turns} turns in ninety milliseconds of work`);
});

test("work that is wanted no more ends where it is", async () => {
  const done: number[] = [];
  let turns = 0;
  assert.equal(await inTurns(busy(40, 2, done), 4, () => ++turns < 3), UNWANTED);
  assert.ok(done.length < 40);
  assert.equal(turns, 3);
});

test("work that throws says so to whoever waits for it", async () => {
  function* failing(): Steps<never> {
    yield;
    throw new Error("a bug");
  }
  await assert.rejects(inTurns(failing(), 4), /a bug/);
});
