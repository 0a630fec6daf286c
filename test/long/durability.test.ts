/**
 * What a validator must not do whatever happens to its process: vote twice, lose what was final, sign
 * below its floor. Real processes, killed, paused and given an old database.
 * ZKP_KILLS and ZKP_KILLS_SEED choose how many kills and which.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Devnet, DevnetEvent } from "../../devnet/devnet.ts";
import { createHalt } from "../../node/halt.ts";
import { silentLog } from "../../node/log.ts";
import { openStore } from "../../node/store/store.ts";
import { waitFor } from "../../pod/wait.ts";
import type { NodeStatus } from "../../rpc/node-status.ts";
import { START_MS, startSmallDevnet, statusOf, statusWhen } from "../e2e/helpers.ts";

const KILLS = Number(process.env.ZKP_KILLS ?? 50);
const SEED = Number(process.env.ZKP_KILLS_SEED ?? Date.now() % 1_000_000);
const PAUSE_MS = 10_000;
const RECOVERY_MS = 20_000;
/** Lines that no log may have: a second vote, a broken rule, a damaged disk. */
const ALARMS = /equivocation|contradict|DIVERGED|HALTED|node\/vote-conflict|node\/store-corrupt|"fatal"/;

let devnet: Devnet;
const events: DevnetEvent[] = [];
/** Every finalized hash that any node has told, by height. */
const told = new Map<number, string>();

/** Mulberry32: the kills of a run can be had again by its seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const nodeStatus = (node: number): Promise<NodeStatus> => devnet.client(node).call("node_status", {});
const nodeIndices = (): number[] => [...devnet.info.nodes.keys()];
const folderOf = (node: number): string => devnet.info.nodes[node]?.dir ?? "";

/** Compares a node's finalized tip with what was told of its height before, by anybody. */
async function hear(node: number): Promise<number> {
  const { finalizedHeight, finalizedHash } = await statusOf(devnet, node);
  const height = Number(finalizedHeight);
  assert.equal(told.get(height) ?? finalizedHash, finalizedHash, `node ${node} at height ${height}`);
  if (height > 0) told.set(height, finalizedHash); // genesis is no block that can be asked for
  return height;
}

/** Everything that was ever told to be final is final at every node, with the same hash. */
async function nothingIsLost(): Promise<void> {
  for (const node of nodeIndices()) {
    await statusWhen(devnet, `node ${node} at the tip`, isAtTip, node);
    for (const [height, hash] of told) {
      const block = await devnet.client(node).call("chain_block", { height: String(height) });
      assert.equal(block.hash, hash, `node ${node} at height ${height}`);
    }
  }
}

const isAtTip = ({ finalizedHeight }: { readonly finalizedHeight: string }): boolean =>
  Number(finalizedHeight) >= Math.max(0, ...told.keys());

async function noAlarm(): Promise<void> {
  for (const node of nodeIndices()) {
    const log = await readFile(join(folderOf(node), "node.log"), "utf8");
    assert.deepEqual(
      log.split("\n").filter((line) => ALARMS.test(line)),
      [],
      `node ${node}`,
    );
  }
  // Evidence in a block would have slashed somebody.
  const { validators } = await devnet.client().call("validator_list", {});
  assert.deepEqual(
    validators.map(({ slashes }) => slashes),
    validators.map(() => 0),
  );
  assert.deepEqual(
    events.filter(({ kind }) => kind === "crash"),
    [],
  );
}

before(
  async () => {
    devnet = await startSmallDevnet({
      runPods: false,
      params: { epochHeights: 96n },
      onEvent: (event) => events.push(event),
    });
  },
  { timeout: START_MS },
);

after(async () => {
  await devnet?.stop();
});

test(`${KILLS} kills at random moments lose nothing and double no vote (seed ${SEED})`, {
  timeout: 60_000 + KILLS * 30_000,
}, async () => {
  const random = randomFrom(SEED);
  const indices = nodeIndices();
  for (let kill = 0; kill < KILLS; kill++) {
    const victim = Math.floor(random() * indices.length);
    const floor = await hear(victim);
    await sleep(random() * 1_500); // the random moment
    await devnet.killNode(victim);
    await devnet.startNode(victim);
    assert.ok((await hear(victim)) >= floor, `kill ${kill}: node ${victim} fell behind height ${floor}`);
    const before = Math.max(...(await Promise.all(indices.map(hear))));
    await statusWhen(
      devnet,
      `finality after kill ${kill} of node ${victim}`,
      ({ finalizedHeight }) => Number(finalizedHeight) > before,
      victim,
    );
  }
  await nothingIsLost();
  await noAlarm();
});

test("a node that was paused for ten seconds is back at the tip within twenty", {
  timeout: 120_000,
}, async () => {
  const pid = devnet.nodePid(1);
  assert.ok(pid !== undefined);
  process.kill(pid, "SIGSTOP");
  try {
    await sleep(PAUSE_MS);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const resumedMs = Date.now();
  const others = await hear(0);
  await statusWhen(devnet, "the tip", ({ finalizedHeight }) => Number(finalizedHeight) > others, 1);
  assert.ok(Date.now() - resumedMs < RECOVERY_MS, `it took ${Date.now() - resumedMs} ms`);
  const { missed } = await nodeStatus(1);
  assert.ok(missed.some(({ reason }) => reason === "event loop lag" || reason === "this node behind"));
  await nothingIsLost();
  await noAlarm();
});

test("a database from before does not sign below the floor, and signs again beyond it", {
  timeout: 240_000,
}, async () => {
  const node = 2;
  const db = join(folderOf(node), "db");
  const copy = join(folderOf(node), "db-before");
  await devnet.killNode(node);
  await cp(db, copy, { recursive: true });
  await devnet.startNode(node);
  const { finalizedHeight } = await statusOf(devnet, node);
  await statusWhen(
    devnet,
    "its signing on",
    (status) => Number(status.finalizedHeight) > Number(finalizedHeight) + 20,
    node,
  );
  assert.equal((await nodeStatus(node)).signer.state, "signing");

  await devnet.killNode(node);
  await rm(db, { recursive: true });
  await cp(copy, db, { recursive: true });
  await devnet.startNode(node);
  const blocked = await nodeStatus(node);
  assert.equal(blocked.signer.state, "blocked by floor lease");
  const { lease } = blocked.signer;
  assert.ok(lease !== undefined);

  const free = await waitFor(
    "finality beyond the lease",
    async () => {
      const status = await nodeStatus(node);
      return status.signer.state === "signing" ? status : undefined;
    },
    { timeoutMs: 180_000, everyMs: 250 },
  );
  const beyond =
    free.epoch === lease.epoch
      ? Number(free.finalizedView) > Number(lease.view)
      : Number(free.epoch) > Number(lease.epoch);
  assert.ok(beyond, `${free.epoch}/${free.finalizedView} is not beyond ${lease.epoch}/${lease.view}`);
  await nothingIsLost();
  await noAlarm();
});

/** A stopped node's database. */
async function withStore<T>(node: number, use: (store: Awaited<ReturnType<typeof openStore>>) => Promise<T>) {
  const store = await openStore(join(folderOf(node), "db"));
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

test("a node that halted signs nothing after a restart, until its operator clears it", {
  timeout: 120_000,
}, async () => {
  const node = 3;
  await devnet.killNode(node);
  const votesBefore = await withStore(node, async (store) => {
    await createHalt(folderOf(node), { store, log: silentLog }).halt({ kind: "diverged", certificates: [] });
    return ownVotes(store);
  });
  await devnet.startNode(node);
  const { finalizedHeight } = await statusOf(devnet, 0);
  await statusWhen(
    devnet,
    "its following",
    (status) => Number(status.finalizedHeight) > Number(finalizedHeight) + 8,
    node,
  );
  assert.equal((await nodeStatus(node)).signer.state, "halted");
  await devnet.killNode(node);
  assert.equal(await withStore(node, ownVotes), votesBefore);

  const cli = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
  await promisify(execFile)(process.execPath, [cli, "node", "clear-halt", "--dir", folderOf(node), "--yes"]);
  await devnet.startNode(node);
  assert.equal((await nodeStatus(node)).signer.state, "signing");
});

/** How many votes of its own a node has on disk, of the epoch in which it voted last. */
async function ownVotes(store: Awaited<ReturnType<typeof openStore>>): Promise<number> {
  return (await store.ownVotes(store.voteEpoch())).length;
}
