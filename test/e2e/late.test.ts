/**
 * A node that joins late takes a snapshot and not the blocks, then a seat, and is needed; one that lost its
 * disk comes back in the same way and signs nothing twice.
 */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { beganWithSnapshot, heightOf, isAt, joinsAndProposes, leadsLightClients } from "./late-joiner.ts";
import { type PlainChain, startPlainChain } from "./plain-chain.ts";

const HEIGHT = 200;
const EPOCH_HEIGHTS = 20;
let chain: PlainChain;

before(async () => {
  chain = await startPlainChain({
    chainId: "dev-late",
    params: {
      blockIntervalMs: "100",
      epochHeights: String(EPOCH_HEIGHTS),
      proposalTimeoutMs: "1000",
      notarizationTimeoutMs: "2000",
      // Nobody is jailed: on a busy machine whoever is away misses epochs by the dozen.
      presenceEpochs: "255",
    },
  });
});

after(async () => {
  await chain?.stop();
});

test(`a node that joins at height ${HEIGHT} begins with a snapshot, and leads light clients all the way`, {
  timeout: 240_000,
}, async () => {
  await isAt(chain, 0, HEIGHT);
  await chain.cli("node", "init", "--dir", chain.dirOf(4), "--like", chain.dirOf(0));
  chain.startNode(4);
  await beganWithSnapshot(chain, 4, HEIGHT, EPOCH_HEIGHTS);
  await leadsLightClients(chain, 4);
});

test("it takes a seat, proposes, and the others can't do without its vote", {
  timeout: 240_000,
}, async () => {
  await joinsAndProposes(chain, 4);
  // Four of five are a quorum.
  await chain.killNode(3);
  await isAt(chain, 4, (await heightOf(chain, 4)) + 2 * EPOCH_HEIGHTS);
});

test("the one that was away comes back without its database, and signs again", {
  timeout: 240_000,
}, async () => {
  await isAt(chain, 0, (await heightOf(chain, 0)) + 2 * EPOCH_HEIGHTS);
  await rm(join(chain.dirOf(3), "db"), { recursive: true });
  await rm(join(chain.dirOf(3), "node.log"));
  chain.startNode(3);
  const height = await heightOf(chain, 0);
  await beganWithSnapshot(chain, 3, height, EPOCH_HEIGHTS);
  await chain.when("its signing", async () => {
    const { signer } = await (await chain.clientOf(3)).call("node_status", {});
    return signer.state === "signing" ? true : undefined;
  });
  await isAt(chain, 3, (await heightOf(chain, 3)) + EPOCH_HEIGHTS);
  const { validators } = await (await chain.clientOf(0)).call("validator_list", {});
  assert.deepEqual(
    validators.map(({ slashes }) => slashes),
    validators.map(() => 0),
  );
  assert.deepEqual(chain.crashes, []);
});
