/** Evidence on a node: pooled once, verified singly, found again after a restart and epochs later. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { fromHex, toHex } from "../../../consensus/primitives/bytes.ts";
import { Epoch, View } from "../../../consensus/primitives/units.ts";
import type { Evidence } from "../../../consensus/types/evidence.ts";
import { nullifySubject, type Vote, VoteKind } from "../../../consensus/types/vote.ts";
import { createEvidencePool } from "../../../node/evidence.ts";
import { createLogger } from "../../../node/log.ts";
import { decodeGossip, encodeGossip, type GossipMessage } from "../../../node/network/topics.ts";
import { openStore } from "../../../node/store/store.ts";
import { createWitness } from "../../../node/witness.ts";
import { CHAIN, createChain, hashOf, person, subject, type TestChain, voteOf } from "../state/chain.ts";
import { folder } from "./samples.ts";

const log = createLogger({ level: "silent", node: "test" });
const notarize = (i: number, fill: number, epoch = 0, view = 1): Vote =>
  voteOf(i, i, subject(VoteKind.notarize, Epoch(epoch), view, 0, hashOf(fill)));
const pair = (first: Vote, second: Vote): Evidence => ({ selector: 0, value: { first, second } });

/** A node's view of a test chain: what is final is its tip. */
function chainOf(chain: TestChain) {
  const executed = () => ({ ...chain.parent, height: chain.state.height, block: undefined });
  return { chain: CHAIN, params: chain.params, tip: executed, final: executed } as never;
}

function poolOf(chain: TestChain) {
  const sent: GossipMessage[] = [];
  const network = { publish: (message: GossipMessage): void => void sent.push(message) };
  return { pool: createEvidencePool({ chain: chainOf(chain), network, log }), sent };
}

test("a piece is taken once, gossiped if it was found here, and leaves when it was included", () => {
  const chain = createChain();
  const { pool, sent } = poolOf(chain);
  const evidence = pair(notarize(1, 1), notarize(1, 2));
  assert.equal(pool.add(evidence).kind, "accept");
  assert.equal(pool.add(evidence).kind, "accept");
  assert.deepEqual(sent, [{ topic: "evidence", value: evidence }]);
  const other = pair(notarize(2, 1), notarize(2, 2));
  assert.equal(poolOf(chain).pool.add(other, "somebody").kind, "accept");
  assert.equal(sent.length, 1, "what a peer gossiped is passed on by its verdict");
  assert.deepEqual(pool.candidates(chain.state), [evidence]);
  chain.block([], pool.candidates(chain.state));
  assert.deepEqual(pool.candidates(chain.state), []);
  pool.onFinalized(chain.state);
  assert.equal(pool.size(), 0);
  const late = pool.add(evidence);
  assert.ok(late.kind === "ignore" && late.fault.code === "evidence/known");
});

test("what is forged or honest is refused, and blamed on whoever relayed it", () => {
  const { pool, sent } = poolOf(createChain());
  const stolen = { ...notarize(1, 2), signature: notarize(2, 2).signature };
  const honest = voteOf(1, 1, nullifySubject(Epoch(0), View(1)));
  for (const [evidence, code] of [
    [pair(notarize(1, 1), stolen), "evidence/signature"],
    [pair(notarize(1, 1), honest), "evidence/no-conflict"],
  ] as const) {
    const verdict = pool.add(evidence, "somebody");
    assert.ok(verdict.kind === "reject" && verdict.fault.code === code);
  }
  assert.deepEqual(sent, []);
});

test("travels by gossip", () => {
  const value = pair(notarize(1, 1), notarize(1, 2));
  const bytes = encodeGossip({ topic: "evidence", value });
  assert.deepEqual(decodeGossip("evidence", bytes), { topic: "evidence", value });
  assert.equal(decodeGossip("transactions", bytes), undefined);
  assert.equal(decodeGossip("evidence", fromHex("0x0205")), undefined);
});

async function witnessOf(t: TestContext, chain: TestChain, dir?: string) {
  let writes = 0;
  const at = dir ?? (await folder(t));
  const store = await openStore(at, { chain: CHAIN });
  const { pool } = poolOf(chain);
  const witness = createWitness({
    chain: chainOf(chain),
    store,
    evidence: pool,
    log,
    nowMs: () => 1_000 * writes++, // time enough between two writes
  });
  return { at, store, pool, witness };
}

test("a second vote is found after a restart, and epochs later", async (t) => {
  const chain = createChain();
  const before = await witnessOf(t, chain);
  before.witness.observe(notarize(1, 1), person(1).blsKey, View(1));
  before.witness.observe(notarize(2, 1), person(2).blsKey, View(1));
  await before.witness.onFinalized();
  await before.store.close();

  const after = await witnessOf(t, chain, before.at);
  after.witness.observe(notarize(1, 1), person(1).blsKey, View(1));
  assert.equal(after.pool.size(), 0);
  after.witness.observe(notarize(1, 2), person(1).blsKey, View(1));
  assert.equal(after.pool.size(), 1);
  chain.toEpoch(2);
  after.witness.observe(notarize(2, 2), person(2).blsKey, View(1));
  assert.equal(after.pool.size(), 2);
  chain.toEpoch(3);
  after.witness.observe(notarize(3, 1, 3), person(3).blsKey, View(1));
  await after.witness.onFinalized();
  assert.equal(after.store.seenVote(Epoch(0), 1, VoteKind.notarize, 1), undefined);
  assert.notEqual(after.store.seenVote(Epoch(3), 1, VoteKind.notarize, 3), undefined);
  await after.store.close();
});

test("what is heard is written four times a second at most, and nothing is left out", async (t) => {
  const chain = createChain();
  const dir = await folder(t);
  const store = await openStore(dir, { chain: CHAIN });
  let now = 0;
  let writes = 0;
  const witness = createWitness({
    chain: chainOf(chain),
    store: {
      seenVote: store.seenVote,
      pruneSeen: store.pruneSeen,
      write(ops) {
        writes++;
        return store.write(ops);
      },
    },
    evidence: poolOf(chain).pool,
    log,
    nowMs: () => now,
  });
  for (const [ms, fill] of [
    [0, 1],
    [100, 2],
    [200, 3],
    [250, 4],
  ] as const) {
    now = ms;
    witness.observe(notarize(1, fill, 0, fill), person(1).blsKey, View(fill));
    await witness.onFinalized();
  }
  assert.equal(writes, 2);
  for (const view of [1, 2, 3, 4])
    assert.notEqual(store.seenVote(Epoch(0), view, VoteKind.notarize, 1), undefined);
  await store.close();
});

test("nobody votes in another's name, and a wrong signature does not stand in evidence's way", async (t) => {
  const chain = createChain();
  const { store, pool, witness } = await witnessOf(t, chain);
  witness.observe(notarize(1, 1), person(2).blsKey, View(1));
  witness.observe(notarize(1, 2), person(1).blsKey, View(1));
  assert.equal(pool.size(), 0);
  witness.observe({ ...notarize(3, 1), signature: new Uint8Array(96) }, person(3).blsKey, View(1));
  witness.observe(notarize(3, 2), person(3).blsKey, View(1));
  assert.equal(pool.size(), 0);
  witness.observe(notarize(3, 3), person(3).blsKey, View(1));
  assert.equal(pool.size(), 1);
  // Views to come and epochs gone are not remembered: a peer could fill the disk with them.
  witness.observe(notarize(2, 1, 0, 900), person(2).blsKey, View(1));
  await witness.onFinalized();
  assert.equal(store.seenVote(Epoch(0), 900, VoteKind.notarize, 2), undefined);
  const kept = store.seenVote(Epoch(0), 1, VoteKind.notarize, 3);
  assert.equal(toHex(kept?.subject.blockHash ?? new Uint8Array()), toHex(hashOf(2)));
  await store.close();
});
