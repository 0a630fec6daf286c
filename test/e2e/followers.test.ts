/**
 * Followers on a running chain of real processes: one that hangs on a single validator, and one that
 * hangs on the first. They follow finality by gossip, take transactions, and never vote.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Amount } from "../../consensus/primitives/units.ts";
import { parseAddress } from "../../consensus/types/address.ts";
import { type Child, createChild } from "../../devnet/child.ts";
import type { Devnet } from "../../devnet/devnet.ts";
import { devKey, libp2pKey, loadKey, peerIdOf } from "../../node/keys.ts";
import { accountFromSeed, sendTransaction } from "../../pod/account.ts";
import { type Client, createClient } from "../../pod/client.ts";
import { pause, waitFor } from "../../pod/wait.ts";
import { START_MS, type Status, startSmallDevnet, statusOf, statusWhen } from "./helpers.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const MAIN = fileURLToPath(new URL("../../node/main.ts", import.meta.url));
const run = promisify(execFile);

type Follower = {
  readonly dir: string;
  readonly child: Child;
  readonly url: string;
  readonly client: Client;
};
type Config = { readonly listen: string; peers: string[] };

let devnet: Devnet;
let near: Follower;
let far: Follower;
const crashes: string[] = [];

const addressOfNode = (i: number): string => {
  const node = devnet.info.nodes[i];
  assert.ok(node !== undefined);
  return `/ip4/127.0.0.1/tcp/${node.p2pPort}/p2p/${node.peerId}`;
};
const configOf = async (dir: string): Promise<Config> =>
  JSON.parse(await readFile(join(dir, "config.json"), "utf8")) as Config;
async function setPeers(dir: string, peers: string[]): Promise<void> {
  await writeFile(join(dir, "config.json"), JSON.stringify({ ...(await configOf(dir)), peers }));
}

async function startFollower(name: string, peers: string[]): Promise<Follower> {
  const dir = join(devnet.dir, name);
  const like = join(devnet.dir, "node-0");
  const { stdout } = await run(process.execPath, [
    CLI,
    ...["--json", "node", "init", "--dir", dir, "--like", like, "--follower"],
  ]);
  const made = JSON.parse(stdout) as { readonly role: string; readonly rpc: string };
  assert.equal(made.role, "follower");
  await setPeers(dir, peers);
  const child = createChild({
    name,
    args: [MAIN, "--dir", dir],
    onLine: () => undefined,
    onCrash: ({ how, errors }) => void crashes.push(`${name} ${how} ${errors}`),
  });
  child.start();
  return { dir, child, url: made.rpc, client: createClient({ rpc: made.rpc }) };
}

/** The first status of a follower that `ready` accepts. */
const followed = ({ client }: Follower, what: string, ready: (status: Status) => boolean): Promise<Status> =>
  waitFor(
    what,
    async () => {
      try {
        const status = await client.call("chain_status", {});
        return ready(status) ? status : undefined;
      } catch {
        return undefined; // it is not up yet
      }
    },
    { timeoutMs: 60_000, everyMs: 50 },
  );

before(
  async () => {
    devnet = await startSmallDevnet({ pods: 1, runPods: false });
    await statusWhen(devnet, "final blocks", ({ finalizedHeight }) => Number(finalizedHeight) > 3);
    near = await startFollower("near", [addressOfNode(0)]);
    const { listen } = await configOf(near.dir);
    const { seed } = await loadKey(join(near.dir, "network.json"), "network");
    far = await startFollower("far", [`${listen}/p2p/${peerIdOf(await libp2pKey(seed))}`]);
  },
  { timeout: START_MS },
);

after(async () => {
  await near?.child.stop();
  await far?.child.stop();
  await devnet?.stop();
});

test("two followers in a row catch up and keep up with the tip, on one peer each", {
  timeout: 120_000,
}, async (t) => {
  const height = Number((await statusOf(devnet, 1)).finalizedHeight);
  for (const it of [near, far]) {
    await followed(it, "its catching up", ({ finalizedHeight }) => Number(finalizedHeight) >= height);
  }
  const behind: number[] = [];
  for (let look = 0; look < 60; look++) {
    const tip = Number((await statusOf(devnet, 1)).finalizedHeight);
    behind.push(tip - Number((await far.client.call("chain_status", {})).finalizedHeight));
    await pause(100);
  }
  t.diagnostic(`blocks of 250 ms that the far one is behind: ${behind.join(" ")}`);
  const status = await far.client.call("node_status", {});
  assert.equal(status.role, "follower");
  assert.deepEqual(
    status.peers.map(({ role }) => role),
    ["follower"],
  );
  const peers = (await near.client.call("node_status", {})).peers.map(({ role }) => role);
  assert.deepEqual(peers.sort(), ["follower", "validator"]);
  const validator = await devnet.client(0).call("node_status", {});
  assert.equal(validator.role, "validator");
  // A follower that got votes would know views that are not final yet.
  assert.equal(status.height, status.finalizedHeight);
  const same = await devnet.client(2).call("chain_block", { height: status.finalizedHeight });
  assert.equal(status.finalizedHash, same.hash);
});

test("a transfer that the far follower is given is final everywhere", { timeout: 120_000 }, async () => {
  const account = accountFromSeed(devKey("account", "account-0").seed);
  const to = parseAddress(accountFromSeed(devKey("account", "account-1").seed).name);
  const sent = await sendTransaction(far.client, account, {
    selector: 0,
    value: { to, amount: Amount(1_000_000n) },
  });
  for (const client of [devnet.client(0), devnet.client(3), near.client]) {
    const found = await waitFor(
      "the transaction",
      async () => {
        const status = await client.call("tx_wait", { id: sent.id, timeoutMs: 5_000 });
        return status.stage === "final" ? status : undefined;
      },
      { timeoutMs: 30_000 },
    );
    assert.equal(found.height, String(sent.height));
  }
});

test("a pod that knows the far follower only has its proofs verified and finalized", {
  timeout: 180_000,
}, async (t) => {
  const [info] = devnet.info.pods;
  assert.ok(info !== undefined);
  const pod = createChild({
    name: info.name,
    args: [CLI, "pod", "run", "--dir", info.dir, "--rpc", far.url, "--json"],
    onLine: () => undefined,
    onCrash: ({ how, errors }) => void crashes.push(`pod ${how} ${errors}`),
  });
  t.after(() => pod.stop());
  const before = (await statusOf(devnet, 1)).proofs.verified;
  pod.start();
  await statusWhen(devnet, "a proof in a final block", ({ proofs }) => proofs.verified > before, 1);
  const at = Number((await statusOf(devnet, 1)).finalizedHeight);
  await followed(far, "the same block", ({ finalizedHeight }) => Number(finalizedHeight) >= at);
});

test("when the one validator is killed, a second address keeps both going", {
  timeout: 180_000,
}, async () => {
  await devnet.killNode(0);
  await near.child.stop();
  await setPeers(near.dir, [addressOfNode(0), addressOfNode(1)]);
  near.child.start();
  const tip = Number((await statusOf(devnet, 1)).finalizedHeight) + 8;
  await statusWhen(devnet, "the chain goes on", ({ finalizedHeight }) => Number(finalizedHeight) >= tip, 1);
  for (const it of [near, far]) {
    await followed(it, "following again", ({ finalizedHeight }) => Number(finalizedHeight) >= tip);
  }
  assert.deepEqual(crashes, []);
});
