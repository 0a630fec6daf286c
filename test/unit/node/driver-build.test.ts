/** A block that takes many turns to build, in a driver with a real chain, signer and disk: what may happen meanwhile. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Transaction } from "../../../consensus/types/transaction.ts";
import { openChain } from "../../../node/chain.ts";
import { createDriver } from "../../../node/driver.ts";
import { createHalt } from "../../../node/halt.ts";
import { blsSecretKey, devKey } from "../../../node/keys.ts";
import { silentLog } from "../../../node/log.ts";
import { createSigner } from "../../../node/signer.ts";
import { openStore } from "../../../node/store/store.ts";
import { aTurn } from "../../../node/turns.ts";
import { genesisLink } from "../../helpers/chain.ts";
import { createQuietChain, nullificationOf, proposerIn } from "../../helpers/lone-node.ts";
import { folder, transaction, until } from "./samples.ts";

const chain = createQuietChain();
const { set } = genesisLink(chain);
const self = proposerIn(set, 1);
const others = [0, 1, 2, 3].filter((it) => it !== self);
const CANDIDATES = 8;
/** More than any share of a turn. */
const CANDIDATE_MS = 40;

/** A driver that proposes in view 1, from candidates each of which takes a turn; `onCandidate` comes before each. */
async function open(t: TestContext, onCandidate: (index: number) => void) {
  const dir = await folder(t);
  const store = await openStore(join(dir, "db"), { chain: chain.chain });
  const it = await openChain(chain.genesis, {
    store,
    verification: { verifyChecks: async () => undefined },
    log: silentLog,
    onChecked: () => undefined,
    onFinalized: () => undefined,
  });
  const signer = await createSigner(
    {
      secretKey: blsSecretKey(devKey("bls", `validator-${self}`).seed),
      chain: chain.chain,
      floorFile: join(dir, "floor.json"),
    },
    { store },
  );
  const seen = { candidates: 0, builds: 0, proposals: [] as number[], fatal: [] as unknown[] };
  const slow = Object.assign(
    Array.from({ length: CANDIDATES }, (_, i) => transaction(i)),
    {
      *[Symbol.iterator](this: readonly Transaction[]): Generator<Transaction, undefined> {
        for (let i = 0; i < this.length; i++) {
          onCandidate(i);
          seen.candidates += 1;
          for (const endMs = performance.now() + CANDIDATE_MS; performance.now() < endMs; );
          const one = this[i];
          if (one !== undefined) yield one;
        }
      },
    },
  );
  const driver = createDriver({
    chain: it,
    store,
    network: {
      sendVote: () => undefined,
      sendCertificate: () => undefined,
      sendProposal: ({ block }) => void seen.proposals.push(block.header.view),
      sendTogether: (send) => send(),
      request: () => Promise.reject(new Error("nobody is there")),
      peers: () => [],
    },
    signer,
    mempool: {
      candidates() {
        seen.builds += 1;
        return { transactions: slow, submissions: [] };
      },
    },
    evidence: { candidates: () => [], add: () => ({ kind: "accept" }) },
    witness: { observe: () => undefined },
    halt: createHalt(dir, { store, log: silentLog }),
    lag: { worstSince: () => 0 },
    assembler: { assemble: () => undefined },
    log: silentLog,
    wasBehindSince: () => false,
    onBehind: () => undefined,
    onFatal: (error) => void seen.fatal.push(error),
  });
  t.after(async () => {
    driver.stop();
    it.stop();
    await store.close();
  });
  await driver.start();
  return { driver, chain: it, seen };
}

/** As a peer says it. */
const endOfView1 = (driver: Awaited<ReturnType<typeof open>>["driver"]): void =>
  driver.onCertificate(nullificationOf(chain, set, 1, others), {
    peerId: "peer",
    blsKey: devKey("bls", `validator-${others[0] ?? 0}`).publicKey,
  });

test("a block that takes many turns is built once and proposed once, and others have their turn", async (t) => {
  let turns = 0;
  let isBuilding = true;
  const count = (): void => {
    turns += 1;
    if (isBuilding) setImmediate(count);
  };
  setImmediate(count);
  const node = await open(t, () => undefined);
  const before = turns;
  await until(() => node.seen.proposals.length > 0, "the proposal");
  isBuilding = false;
  assert.ok(turns - before >= CANDIDATES, `${turns - before} turns`);
  assert.deepEqual(node.seen, { candidates: CANDIDATES, builds: 1, proposals: [1], fatal: [] });
  assert.equal(node.chain.pending().length, 1);
});

test("a view that ends while its block is being built has no block, and the rest of it is not built", async (t) => {
  const node = await open(t, (index) => {
    if (index === 2) setImmediate(() => endOfView1(node.driver));
  });
  await until(() => node.driver.view() === 2, "the next view");
  const { candidates } = node.seen;
  assert.ok(candidates >= 3 && candidates < CANDIDATES, `${candidates} candidates`);
  for (let i = 0; i < 20; i++) await aTurn();
  assert.equal(node.seen.candidates, candidates, "the build goes no further");
  assert.deepEqual(node.seen.proposals, []);
  assert.deepEqual(node.chain.pending(), [], "nothing of it is kept");
  assert.deepEqual(node.seen.fatal, []);
});

test("a stop while a block is being built leaves nothing behind", async (t) => {
  const node = await open(t, (index) => {
    if (index === 2) setImmediate(() => node.driver.stop());
  });
  await until(() => node.seen.candidates >= 3, "the build");
  for (let i = 0; i < 20; i++) await aTurn();
  assert.ok(node.seen.candidates < CANDIDATES);
  assert.deepEqual([node.seen.proposals, node.chain.pending(), node.seen.fatal], [[], [], []]);
});
