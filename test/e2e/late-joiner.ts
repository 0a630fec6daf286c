/**
 * A node that joins a running chain late, with real processes: what late.test.ts shows at a small height
 * and test/long/late-joiner.test.ts at a great one.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAddress } from "../../consensus/types/address.ts";
import { parseGenesis } from "../../genesis/document.ts";
import { genesisState } from "../../genesis/state.ts";
import { createLightClient } from "../../pod/light.ts";
import type { NodeStatus } from "../../rpc/node-status.ts";
import type { PlainChain } from "./plain-chain.ts";

const statusOf = async (chain: PlainChain, node: number): Promise<NodeStatus> =>
  (await chain.clientOf(node)).call("node_status", {});

export const isAt = (
  chain: PlainChain,
  node: number,
  height: number,
  timeoutMs?: number,
): Promise<NodeStatus> =>
  chain.when(
    `node ${node} at height ${height}`,
    async () => {
      const status = await statusOf(chain, node);
      return Number(status.finalizedHeight) >= height ? status : undefined;
    },
    timeoutMs,
  );

export const heightOf = async (chain: PlainChain, node: number): Promise<number> =>
  Number((await statusOf(chain, node)).finalizedHeight);

/** Heights that a node told to be final, from its log. */
export async function heightsIn(chain: PlainChain, node: number): Promise<number[]> {
  const log = await readFile(join(chain.dirOf(node), "node.log"), "utf8");
  return log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { msg: string; height?: number })
    .filter(({ msg }) => msg === "final")
    .map(({ height }) => height ?? 0);
}

/** The same block, so the same state, at both. */
export async function agreesAt(chain: PlainChain, node: number, height: number): Promise<void> {
  const ask = async (of: number) =>
    (await chain.clientOf(of)).call("chain_block", { height: String(height) });
  const [here, there] = await Promise.all([ask(node), ask(0)]);
  assert.equal(here.hash, there.hash);
  assert.equal(here.stateRoot, there.stateRoot);
}

/** The node began with a snapshot no more than three epochs below `height`, and executed nothing under it. */
export async function beganWithSnapshot(
  chain: PlainChain,
  node: number,
  height: number,
  epochHeights: number,
): Promise<void> {
  const status = await isAt(chain, node, height);
  const lowest = Number(status.lowestHeight);
  assert.equal(lowest % epochHeights, 0, "an epoch's last block");
  assert.ok(lowest > height - 3 * epochHeights, `it holds blocks from height ${lowest}`);
  assert.equal(Math.min(...(await heightsIn(chain, node))), lowest);
  await agreesAt(chain, node, lowest);
  await agreesAt(chain, node, Number(status.finalizedHeight));
  const client = await chain.clientOf(node);
  await assert.rejects(client.call("chain_block", { height: String(lowest - 1) }), /block\/pruned/);
}

/** A light client that trusts the genesis root alone is led to the newest set by this node. */
export async function leadsLightClients(chain: PlainChain, node: number): Promise<void> {
  const document = parseGenesis(await readFile(join(chain.dir, "genesis.json"), "utf8"));
  const client = await chain.clientOf(node);
  const genesisRoot = genesisState(document).root;
  const light = createLightClient({ client, chainId: document.chainId, genesisRoot });
  const [account] = document.accounts;
  assert.ok(account !== undefined);
  const { header } = await light.account(parseAddress(account.address));
  const { epoch } = await client.call("node_status", {});
  assert.ok(header.epoch + 2 >= Number(epoch));
}

/** Stakes for a seat and waits until it has proposed a final block. */
export async function joinsAndProposes(chain: PlainChain, node: number): Promise<void> {
  const joined = await chain.cli("validator", "join", "--dir", chain.dirOf(node), "--stake", "1000");
  assert.equal(joined.status, "active");
  const client = await chain.clientOf(0);
  let looked = await heightOf(chain, 0);
  await chain.when("a block of its own", async () => {
    for (const height = await heightOf(chain, 0); looked < height; looked++) {
      const { proposer } = await client.call("chain_block", { height: String(looked + 1) });
      if (proposer === node) return true;
    }
    return undefined;
  });
  assert.equal((await statusOf(chain, node)).signer.state, "signing");
}
