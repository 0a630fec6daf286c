import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { commitHoldout } from "../../../pod/holdout.ts";
import { runSponsor, type SponsorEvent } from "../../../pod/sponsor.ts";
import { waitFor } from "../../../pod/wait.ts";
import { account, createFakeChain, type FakeChain, SHAPE, someRows, TASK } from "./fake-chain.ts";

function start(chain: FakeChain) {
  const events: SponsorEvent[] = [];
  const stopping = new AbortController();
  const pool = commitHoldout(someRows(64), SHAPE.features);
  const onEvent = (event: SponsorEvent): void => {
    events.push(event);
    if (event.kind === "revealed") chain.revealed = true;
  };
  const done = runSponsor({
    client: chain.client,
    account,
    task: TASK,
    pool,
    signal: stopping.signal,
    onEvent,
    pollMs: 1,
  });
  const seen = (kind: SponsorEvent["kind"], count = 1): Promise<true> =>
    waitFor(kind, async () => (events.filter((it) => it.kind === kind).length >= count ? true : undefined), {
      everyMs: 1,
      timeoutMs: 5_000,
    });
  return { events, done, seen, stop: () => stopping.abort(new Error("enough")) };
}

const round = {
  epoch: "0",
  height: "10",
  lossBefore: "2",
  lossAfter: "1",
  stepped: true,
  quality: "5",
  paidToPods: "7",
  contributions: 1,
  paid: 1,
  model: ["0"],
};

test("nothing is opened before the close, and exactly the drawn slices after it", async () => {
  const chain = createFakeChain();
  const sponsor = start(chain);
  await waitFor("looks", async () => (chain.calls.length > 10 ? true : undefined), { everyMs: 1 });
  assert.deepEqual(chain.operations, []);
  chain.drawnSlices = [5, 2];
  chain.place = 7;
  await sponsor.seen("revealed");
  assert.deepEqual(chain.operations, ["holdout-reveal"]);
  sponsor.stop();
  await assert.rejects(sponsor.done, /enough/);
});

test("a reveal that came too early is sent again at the next block", async () => {
  const chain = createFakeChain();
  chain.drawnSlices = [1];
  chain.place = 7;
  chain.failures.set("tx_submit", [new FaultError("task/reveal-window")]);
  const sponsor = start(chain);
  await sponsor.seen("reveal-failed");
  chain.place = 8;
  await sponsor.seen("revealed");
  sponsor.stop();
  await assert.rejects(sponsor.done, /enough/);
});

test("each settled round is told once, and the sponsor ends with its task", async () => {
  const chain = createFakeChain();
  const sponsor = start(chain);
  chain.rounds = [round];
  chain.epoch = 1;
  await sponsor.seen("settled");
  chain.rounds = [round, { ...round, epoch: "1" }];
  chain.epoch = 4;
  await sponsor.done;
  assert.deepEqual(
    sponsor.events.map((event) => event.kind),
    ["settled", "settled", "over"],
  );
});
