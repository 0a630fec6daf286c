/** The whole path with real processes: proofs are paid, a node dies and comes back, nothing is lost. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Devnet, DevnetEvent } from "../../devnet/devnet.ts";
import { readDevnet } from "../../devnet/folder.ts";
import { sameRoots, supplyGap } from "../../devnet/monitor.ts";
import { waitFor } from "../../pod/wait.ts";
import { blockAt, rewardsIn, START_MS, startSmallDevnet, statusOf, statusWhen } from "./helpers.ts";

const events: DevnetEvent[] = [];
let devnet: Devnet;

before(
  async () => {
    devnet = await startSmallDevnet({
      params: { epochHeights: 48n },
      onEvent: (event) => events.push(event),
    });
  },
  { timeout: START_MS },
);

after(async () => {
  await devnet?.stop();
});

test("every pod is paid for its proofs", { timeout: 180_000 }, async () => {
  await waitFor("rewards of all pods", async () => (rewardsIn(events).size === 3 ? true : undefined), {
    timeoutMs: 170_000,
  });
  const { supply } = await statusOf(devnet);
  assert.ok(BigInt(supply.minted) > 0n);
});

test("what a pod was told of its reward is what the chain holds for it", { timeout: 60_000 }, async () => {
  const clinic = devnet.info.pods[0];
  assert.ok(clinic !== undefined);
  const { locked, balance } = await devnet.client().call("chain_account", { address: clinic.account });
  assert.ok(BigInt(locked) + BigInt(balance) >= (rewardsIn(events).get(clinic.name) ?? 0n));
});

test("no proof of an honest pod is rejected", () => {
  const refused = events.filter(
    (event) => event.kind === "pod" && "stage" in event.event && event.event.stage === "rejected",
  );
  assert.deepEqual(refused, []);
});

test("every nzkp is accounted for, whichever node is asked", async () => {
  for (const node of devnet.info.nodes.keys()) assert.equal(supplyGap(await statusOf(devnet, node)), 0n);
});

test("three nodes go on finalizing when the fourth is killed, and it catches up to the same root", {
  timeout: 180_000,
}, async () => {
  const { position } = await devnet.client(3).call("node_status", {});
  await devnet.killNode(3);
  const before = Number((await statusOf(devnet, 0)).finalizedHeight);
  const on = await statusWhen(
    devnet,
    "finality without node-3",
    (it) => Number(it.finalizedHeight) >= before + 10,
    0,
  );
  const { missed, signer } = await devnet.client(0).call("node_status", {});
  assert.equal(signer.state, "signing");
  assert.ok(
    missed.some(
      ({ proposer, reason }) =>
        proposer === position && (reason === "no proposal" || reason === "skipped as inactive"),
    ),
    "the killed node's views are missed for want of a proposal",
  );
  await devnet.startNode(3);
  const reached = Number(on.finalizedHeight);
  const caught = await statusWhen(
    devnet,
    "node-3 caught up",
    (it) => Number(it.finalizedHeight) >= reached + 4,
    3,
  );
  const common = Math.min(
    Number(caught.finalizedHeight),
    Number((await statusOf(devnet, 0)).finalizedHeight),
  );
  assert.equal((await blockAt(devnet, 3, common)).stateRoot, (await blockAt(devnet, 0, common)).stateRoot);
});

test("the summary has one state root for all nodes, and counts no restart that was asked for", {
  timeout: 60_000,
}, async () => {
  const summary = await devnet.summary();
  assert.equal(Object.keys(summary.stateRoots).length, 4);
  assert.ok(sameRoots(summary.stateRoots));
  assert.equal(summary.restarts, 0);
  assert.ok(summary.accuracy.length > 0 && summary.accuracy.every((value) => value > 0 && value <= 1));
});

test("a process that dies by itself is started again and counted", { timeout: 60_000 }, async () => {
  assert.deepEqual(
    events.filter(({ kind }) => kind === "ended" || kind === "crash"),
    [],
  );
  const pid = await pidOf("clinic-1");
  process.kill(pid, "SIGKILL");
  await waitFor("restart", async () => (devnet.restarts() === 1 ? true : undefined), { timeoutMs: 30_000 });
  assert.ok(events.some((event) => event.kind === "crash" && event.name === "clinic-1" && event.again));
});

async function pidOf(pod: string): Promise<number> {
  const pid = (await readDevnet(devnet.dir))?.pods.find(({ name }) => name === pod)?.pid;
  assert.ok(pid !== undefined);
  return pid;
}
