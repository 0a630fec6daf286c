import assert from "node:assert/strict";
import { test } from "node:test";
import { aTurn, createPacer } from "../../../node/turns.ts";

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
