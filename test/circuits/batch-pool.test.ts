/** The verifier's threads: gathering, sharing, bounds, and what happens when a thread dies. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { createVerifier, type VerifyJob } from "../../circuits/verify.ts";
import { provedJob, rerandomized, withSignals } from "./proofs.ts";

const [small, large] = [await provedJob("gradient-4x2"), await provedJob("gradient-32x10")];
const wrong: VerifyJob = withSignals(small, (signals) => signals.map(() => 1n));
const many = rerandomized(small.vk, small.proof, 60).map((proof) => ({ ...small, proof }));
const verifier = createVerifier({ workers: 2 });
after(() => verifier.stop());

/** The threads that start while `run` runs. */
async function threadsOf<T>(run: (started: Worker[]) => Promise<T>): Promise<T> {
  const started: Worker[] = [];
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function post(this: Worker, ...args: Parameters<typeof postMessage>) {
    if (!started.includes(this)) started.push(this);
    postMessage.apply(this, args);
  };
  try {
    return await run(started);
  } finally {
    Worker.prototype.postMessage = postMessage;
  }
}

test("calls at the same time get their own answers, in order, from whatever batch they end in", async () => {
  const calls = many.map((job, i) => verifier.verify(i % 7 === 3 ? [job, wrong, large] : [job]));
  for (const [i, answer] of (await Promise.all(calls)).entries()) {
    assert.deepEqual(answer, i % 7 === 3 ? [true, false, true] : [true]);
  }
});

test("calls within a moment are one message to a thread", async () => {
  const own = createVerifier({ workers: 1, gatherMs: 30 });
  let messages = 0;
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function post(this: Worker, ...args: Parameters<typeof postMessage>) {
    messages++;
    postMessage.apply(this, args);
  };
  try {
    const answers = await Promise.all(many.slice(0, 20).map((job) => own.verify([job])));
    assert.ok(answers.flat().every((verdict) => verdict));
    assert.equal(messages, 1);
  } finally {
    Worker.prototype.postMessage = postMessage;
    await own.stop();
  }
});

test("a full batch does not wait, and what is in a hurry takes along what waits", async () => {
  const own = createVerifier({ workers: 1, gatherMs: 3_600_000 });
  const full = await own.verify(Array.from({ length: 128 }, (_, i) => many[i % many.length] ?? small));
  assert.ok(full.every((verdict) => verdict));
  const over = Array.from({ length: 300 }, (_, i) =>
    i % 9 === 0 ? wrong : (many[i % many.length] ?? small),
  );
  const answers = own.verify(over.slice(0, 270));
  const rest = own.verify(over.slice(270), 0);
  assert.deepEqual(
    [...(await answers), ...(await rest)],
    over.map((_, i) => i % 9 !== 0),
    "and a batch larger than a full one has the verdicts of any other",
  );
  const patient = own.verify([small, wrong]);
  assert.deepEqual(await own.verify([wrong, small], 0), [false, true]);
  assert.deepEqual(await patient, [true, false]);
  const waited = own.verify([small]);
  assert.deepEqual(await own.verify([], 0), []);
  assert.deepEqual(await waited, [true]);
  await own.stop();
});

test("more than a batch is shared among the threads", async () => {
  const own = createVerifier({ workers: 2 });
  await threadsOf(async (started) => {
    assert.ok((await own.verify(many)).every((verdict) => verdict));
    assert.equal(started.length, 2);
  });
  await own.stop();
});

test("a thread that dies is replaced, and its jobs are tried again", async () => {
  const own = createVerifier({ workers: 1 });
  await threadsOf(async (started) => {
    const answers = own.verify([small, wrong, small]);
    while (started.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await started[0]?.terminate();
    assert.deepEqual(await answers, [true, false, true]);
    assert.equal(started.length, 2);
  });
  await own.stop();
});

test("jobs that two threads died of end with an error, and the next ones are served", async () => {
  const own = createVerifier({ workers: 1 });
  await threadsOf(async (started) => {
    const answers = assert.rejects(own.verify([small]), /the thread ended/);
    for (const i of [0, 1]) {
      while (started.length <= i) await new Promise((resolve) => setImmediate(resolve));
      await started[i]?.terminate();
    }
    await answers;
    assert.deepEqual(await own.verify([small]), [true]);
  });
  await own.stop();
});

test("the bound counts what waits and what is in hand, and room comes back", async () => {
  const own = createVerifier({ workers: 1, jobsMax: 3 });
  const waiting = own.verify([small, wrong]);
  await assert.rejects(own.verify([small, small]), { code: "prover/busy" });
  assert.deepEqual(await own.verify([small]), [true]);
  assert.deepEqual(await waiting, [true, false]);
  assert.deepEqual(await own.verify([small, small, small]), [true, true, true]);
  await own.stop();
  await assert.rejects(own.verify([small]), /stopped/);
});

test("a proof that is a view of a larger buffer, and one of another length, are read right", async () => {
  const block = new Uint8Array(5_000);
  block.set(small.proof, 1_234);
  const view = { ...small, proof: block.subarray(1_234, 1_234 + 128) };
  const short = { ...small, proof: small.proof.subarray(1) };
  assert.deepEqual(await verifier.verify([view, short, view]), [true, false, true]);
});

test("on Linux its threads step back behind the one that asks, and only they", async () => {
  const own = createVerifier({ workers: 2 });
  const niceness = (): number[] =>
    process.platform !== "linux"
      ? []
      : readdirSync("/proc/self/task").map((thread) => {
          const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
          return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
        });
  const asked = getPriority();
  try {
    const before = niceness();
    assert.ok((await own.verify(many)).every((verdict) => verdict));
    const lower = (of: readonly number[]): number => of.filter((it) => it === Math.max(10, asked)).length;
    const started = process.platform === "linux" ? 2 : 0;
    assert.equal(lower(niceness()) - lower(before), started);
    assert.equal(getPriority(), asked);
  } finally {
    await own.stop();
  }
});
