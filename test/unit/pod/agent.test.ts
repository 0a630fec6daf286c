import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { type RunPodOptions, runPod } from "../../../pod/agent.ts";
import type { PodEvent } from "../../../pod/events.ts";
import { waitFor } from "../../../pod/wait.ts";
import {
  account,
  createFakeChain,
  createFakeProver,
  dataset,
  drawn,
  type FakeChain,
  honestSignals,
  SECRET,
  slotOf,
  TASK,
} from "./fake-chain.ts";

const stagesOf = (events: readonly PodEvent[]): string[] =>
  events.flatMap((event) => ("stage" in event ? [event.stage] : []));

function start(chain: FakeChain, more: Partial<RunPodOptions> = {}) {
  const events: PodEvent[] = [];
  const stopping = new AbortController();
  const prover = createFakeProver(() =>
    honestSignals({ ...drawn, epoch: chain.epoch, batchIndex: chain.slots[0]?.batchIndex ?? 0 }),
  );
  const done = runPod({
    client: chain.client,
    account,
    secret: SECRET,
    dataset,
    task: TASK,
    prover,
    onEvent: (event) => events.push(event),
    signal: stopping.signal,
    pollMs: 1,
    ...more,
  });
  const seen = (stage: string): Promise<true> =>
    waitFor(stage, async () => (stagesOf(events).includes(stage) ? true : undefined), {
      everyMs: 1,
      timeoutMs: 5_000,
    });
  const stop = async (): Promise<void> => {
    stopping.abort(new Error("enough"));
    await assert.rejects(done, /enough/);
  };
  return { events, prover, done, seen, stop };
}

test("a proof goes from drawn to rewarded, each stage told once", async () => {
  const chain = createFakeChain();
  const pod = start(chain);
  await pod.seen("rewarded");
  await pod.stop();
  assert.deepEqual(stagesOf(pod.events), [
    "drawn",
    "proving",
    "proving",
    "proved",
    "pooled",
    "included",
    "final",
    "scored",
    "rewarded",
  ]);
  assert.equal(chain.submissions.length, 1);
});

test("each epoch's slot is proved while the last proof is still followed", async () => {
  const chain = createFakeChain();
  chain.stages = ["included"];
  const pod = start(chain);
  await pod.seen("included");
  chain.slots = [slotOf(2)];
  chain.epoch = 1;
  await waitFor("second proof", async () => (chain.submissions.length === 2 ? true : undefined), {
    everyMs: 1,
  });
  await pod.stop();
  assert.deepEqual(
    chain.submissions.map(({ epoch }) => epoch),
    [0, 1],
  );
});

test("a proof that ends after the close is not sent, and the prover is left to end it", async () => {
  const chain = createFakeChain();
  const pod = start(chain);
  pod.prover.hold = true;
  await pod.seen("proving");
  chain.place = 7;
  await waitFor("a look", async () => (chain.calls.length > 20 ? true : undefined), { everyMs: 1 });
  assert.ok(!stagesOf(pod.events).includes("skipped"));
  pod.prover.release();
  await pod.seen("skipped");
  await pod.stop();
  const skipped = pod.events.find((event) => "stage" in event && event.stage === "skipped");
  assert.equal(skipped?.code, "submission/window-closed");
  assert.equal(chain.submissions.length, 0);
});

test("a slot whose window is closed already is skipped without proving", async () => {
  const chain = createFakeChain();
  chain.place = 7;
  const pod = start(chain);
  await pod.seen("skipped");
  await pod.stop();
  assert.deepEqual([stagesOf(pod.events), pod.prover.started], [["drawn", "skipped"], 0]);
});

test("a proof that runs into the next epoch is ended for the next slot", async () => {
  const chain = createFakeChain();
  const pod = start(chain);
  pod.prover.hold = true;
  await pod.seen("proving");
  chain.slots = [slotOf(2)];
  chain.epoch = 1;
  await pod.seen("skipped");
  await waitFor("next proof", async () => (pod.prover.started === 2 ? true : undefined), { everyMs: 1 });
  await pod.stop();
});

test("slots drawn for other pods are left alone", async () => {
  const chain = createFakeChain();
  chain.slots = [slotOf(0, `0x${"22".repeat(32)}`)];
  chain.lastRound = -1;
  const pod = start(chain);
  await pod.done;
  assert.deepEqual(stagesOf(pod.events), []);
});

test("the pod waits through an outage of its node", async () => {
  const chain = createFakeChain();
  const away = (): FaultError => new FaultError("node/unreachable", { url: "fake:" });
  chain.failures.set("task_get", [away()]);
  chain.failures.set("proof_submit", [away()]);
  chain.failures.set("proof_wait", [away()]);
  const pod = start(chain);
  await pod.seen("rewarded");
  await pod.stop();
  assert.equal(chain.submissions.length, 1);
});

test("stages that pass within one long poll are told in their order", async () => {
  const chain = createFakeChain();
  chain.stages = ["final", "rewarded"];
  const pod = start(chain);
  await pod.seen("rewarded");
  await pod.stop();
  assert.deepEqual(stagesOf(pod.events).slice(-5), ["pooled", "included", "final", "scored", "rewarded"]);
});

test("a refused proof ends as rejected with the chain's code, and the pod goes on", async () => {
  const chain = createFakeChain();
  chain.failures.set("proof_submit", [new FaultError("submission/data-tag-seen")]);
  const pod = start(chain);
  await pod.seen("rejected");
  const rejected = pod.events.find((event) => "stage" in event && event.stage === "rejected");
  assert.equal(rejected?.code, "submission/data-tag-seen");
  chain.slots = [slotOf(3)];
  chain.epoch = 1;
  await pod.seen("rewarded");
  await pod.stop();
});

test("a node that lost its pool gets the same submission again", async () => {
  const chain = createFakeChain();
  chain.failures.set("proof_wait", [new FaultError("rpc/not-found")]);
  const pod = start(chain);
  await pod.seen("rewarded");
  await pod.stop();
  assert.equal(chain.submissions.length, 2);
  assert.deepEqual(chain.submissions[0], chain.submissions[1]);
});

test("an unknown pod is funded, registered, committed and enrolled", async () => {
  const chain = createFakeChain();
  chain.known = false;
  chain.slots = [];
  const pod = start(chain);
  await waitFor("enrolled", async () => (chain.operations.length === 3 ? true : undefined), { everyMs: 1 });
  await waitFor(
    "told",
    async () => (pod.events.some((it) => "notice" in it && it.notice === "enrolled") ? true : undefined),
    { everyMs: 1 },
  );
  await pod.stop();
  assert.deepEqual(chain.operations, ["pod-register", "dataset-register", "pod-enroll"]);
  assert.ok(chain.balance >= 1_000n);
});

test("a witness that disagrees with the native twin is not sent", async () => {
  const chain = createFakeChain();
  const prover = createFakeProver(() => {
    const signals = honestSignals({ ...drawn, batchIndex: 0 });
    signals[3] = (signals[3] ?? 0n) + 1n;
    return signals;
  });
  const pod = start(chain, { prover });
  await pod.seen("skipped");
  await pod.stop();
  const skipped = pod.events.find((event) => "stage" in event && event.stage === "skipped");
  assert.equal(skipped?.code, "circuit/witness-failed");
  assert.equal(chain.submissions.length, 0);
});

test("the agent ends by itself when the task is over", async () => {
  const chain = createFakeChain();
  const pod = start(chain);
  await pod.seen("rewarded");
  chain.epoch = 4;
  await pod.done;
});
