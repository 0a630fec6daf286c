/**
 * A node that joins at height 2,000 of a chain of real processes: once by a snapshot, once by executing
 * every block, with the same state; the first then takes a seat and votes. ZKP_JOIN_HEIGHT chooses another.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  agreesAt,
  beganWithSnapshot,
  heightOf,
  heightsIn,
  isAt,
  joinsAndProposes,
  leadsLightClients,
} from "../e2e/late-joiner.ts";
import { type PlainChain, startPlainChain } from "../e2e/plain-chain.ts";

const HEIGHT = Number(process.env.ZKP_JOIN_HEIGHT ?? 2_000);
const EPOCH_HEIGHTS = 40;
const REACHED_MS = 900_000;
let chain: PlainChain;

before(
  async () => {
    chain = await startPlainChain({
      chainId: "dev-late-long",
      params: {
        blockIntervalMs: "50",
        epochHeights: String(EPOCH_HEIGHTS),
        proposalTimeoutMs: "1000",
        notarizationTimeoutMs: "2000",
        // Nobody is jailed: on a busy machine whoever is away misses epochs by the dozen.
        presenceEpochs: "255",
      },
    });
    await isAt(chain, 0, HEIGHT, REACHED_MS);
  },
  { timeout: REACHED_MS + 60_000 },
);

after(async () => {
  await chain?.stop();
});

test(`a node that joins at height ${HEIGHT} begins with a snapshot`, { timeout: 180_000 }, async (t) => {
  await chain.cli("node", "init", "--dir", chain.dirOf(4), "--like", chain.dirOf(0));
  const startedMs = performance.now();
  chain.startNode(4);
  await isAt(chain, 4, HEIGHT);
  t.diagnostic(`at height ${HEIGHT} after ${Math.round(performance.now() - startedMs)} ms, by a snapshot`);
  await beganWithSnapshot(chain, 4, HEIGHT, EPOCH_HEIGHTS);
  await leadsLightClients(chain, 4);
});

test("a node that is told to executes every block, and has the same state", {
  timeout: 600_000,
}, async (t) => {
  await chain.cli("node", "init", "--dir", chain.dirOf(5), "--like", chain.dirOf(0));
  const file = join(chain.dirOf(5), "config.json");
  const config = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...config, snapshotSync: false }));
  const startedMs = performance.now();
  chain.startNode(5);
  const status = await isAt(chain, 5, HEIGHT, 300_000);
  t.diagnostic(`at height ${HEIGHT} after ${Math.round(performance.now() - startedMs)} ms, by executing`);
  assert.equal(status.lowestHeight, "1");
  const heights = await heightsIn(chain, 5);
  assert.deepEqual(
    heights.slice(0, HEIGHT),
    Array.from({ length: HEIGHT }, (_, i) => i + 1),
  );
  await agreesAt(chain, 5, Number(status.finalizedHeight));
});

test("the late joiner takes a seat, and the others can't do without its vote", {
  timeout: 240_000,
}, async () => {
  await joinsAndProposes(chain, 4);
  // Four of five are a quorum.
  await chain.killNode(3);
  await isAt(chain, 4, (await heightOf(chain, 4)) + 2 * EPOCH_HEIGHTS);
  assert.deepEqual(chain.crashes, []);
});
