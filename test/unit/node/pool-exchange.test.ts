/** Pools are exchanged by question: who was away learns what waits, once, and only what it lacks. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Stream } from "@libp2p/interface";
import { equalBytes } from "../../../consensus/primitives/bytes.ts";
import { fault, type Verdict } from "../../../consensus/primitives/faults.ts";
import type { Transaction } from "../../../consensus/types/transaction.ts";
import { devKey } from "../../../node/keys.ts";
import { silentLog } from "../../../node/log.ts";
import { createMempool } from "../../../node/mempool.ts";
import { askPool, type PoolObject } from "../../../node/network/pool.ts";
import { createPoolExchange, poolView } from "../../../node/pool-exchange.ts";
import { createChain, genesisLink, sign, submissionOf, transferOf } from "../../helpers/chain.ts";
import { createNode } from "./hosts.ts";
import { notarize, until, vote } from "./samples.ts";

const chain = createChain();
const { state } = genesisLink(chain);
const [alice] = chain.accounts;
assert.ok(alice !== undefined);
const pay = (nonce: number): Transaction => sign(chain, alice, nonce, transferOf(new Uint8Array(20), 1n));
const submissions = [submissionOf(chain, state, 0, 0), submissionOf(chain, state, 0, 1)];
const evidence = {
  selector: 0,
  value: { first: vote(notarize(1, 1)), second: vote(notarize(1, 2)) },
} as const;

/** Two connected nodes: one has a pool, the other learns. */
async function pair(t: TestContext, judge: (object: PoolObject) => Verdict = () => ({ kind: "accept" })) {
  const mempool = createMempool(chain.params, chain.chain);
  let sent = 0;
  const shown = poolView(mempool, { all: () => [evidence] });
  const pool = {
    ids: shown.ids,
    object: (id: Uint8Array) => {
      const object = shown.object(id);
      if (object !== undefined) sent += 1;
      return object;
    },
  };
  const giver = await createNode(`${t.name} giver`, { port: 0, peers: [], handlers: { pool } });
  await giver.network.start();
  t.after(() => giver.network.stop());
  const taker = await createNode(`${t.name} taker`, { port: 0, peers: giver.network.addresses() });
  await taker.network.start();
  t.after(() => taker.network.stop());
  await until(() => taker.network.peers().length === 1, "a connection");
  const own = createMempool(chain.params, chain.chain);
  const got: PoolObject[] = [];
  const exchange = createPoolExchange({
    chain: chain.chain,
    pool: poolView(own, { all: () => [] }),
    network: taker.network,
    async admit(object, peerId) {
      assert.equal(peerId, giver.network.peerId);
      got.push(object);
      const verdict = judge(object);
      if (verdict.kind === "accept") {
        if (object.topic === "transactions") own.addTransaction(object.value);
        if (object.topic === "submissions") own.addSubmission(object.value);
      }
      return verdict;
    },
    log: silentLog,
  });
  t.after(exchange.stop);
  return { mempool, own, got, exchange, peerId: giver.network.peerId, sent: () => sent };
}

test("a peer that connects learns every kind of object, more than one answer holds", async (t) => {
  const { mempool, own, got, exchange, peerId } = await pair(t);
  for (let payer = 0; payer < 5; payer++) {
    const key = devKey("account", `payer ${payer}`);
    const to = transferOf(new Uint8Array(20), 1n);
    for (let nonce = 0; nonce < 60; nonce++) mempool.addTransaction(sign(chain, key, nonce, to));
  }
  for (const it of submissions) mempool.addSubmission(it);
  mempool.addTransaction(pay(7));
  own.addTransaction(pay(7));
  exchange.ask(peerId);
  await until(() => got.length === 303, "all that is lacking");
  assert.deepEqual(own.counts(), { transactions: 301, submissions: 2 });
  assert.deepEqual(
    got.find(({ topic }) => topic === "evidence"),
    { topic: "evidence", value: evidence },
  );
  const ofAlice = got.filter(
    (it) => it.topic === "transactions" && equalBytes(it.value.publicKey, alice.publicKey),
  );
  assert.deepEqual(ofAlice, [], "what is here is not asked for");
});

test("what is refused for the moment is tried again later, three times; what is false never again", async (t) => {
  const { mempool, got, exchange, peerId } = await pair(t, ({ topic }) =>
    topic === "transactions"
      ? { kind: "ignore", fault: fault("transaction/nonce-high") }
      : { kind: "reject", fault: fault("evidence/signature") },
  );
  mempool.addTransaction(pay(0));
  const timer = setInterval(() => exchange.ask(peerId), 20);
  t.after(() => clearInterval(timer));
  const of = (topic: string): number => got.filter((it) => it.topic === topic).length;
  await until(() => of("transactions") === 3, "three tries");
  mempool.addTransaction(pay(1));
  await until(() => of("transactions") === 6, "three of another");
  assert.equal(of("evidence"), 1);
});

test("a peer that gives what was not asked for is not believed", async (t) => {
  const { mempool, got, exchange, peerId, sent } = await pair(t);
  const lie = pay(5);
  mempool.addTransaction(pay(0));
  // Shown under an id that is not its own.
  const shown = mempool.transaction;
  Object.assign(mempool, { transaction: (id: string) => (shown(id) === undefined ? undefined : lie) });
  exchange.ask(peerId);
  await until(() => sent() > 0 && got.length > 0, "an answer");
  assert.deepEqual(
    got.map(({ topic }) => topic),
    ["evidence"],
  );
});

test("a question that cannot be sent fails for who asks, and for nobody else", async () => {
  const unheard: unknown[] = [];
  const note = (reason: unknown): void => void unheard.push(reason);
  process.on("unhandledRejection", note);
  try {
    // A stream of a connection that was cut meanwhile.
    const cut = Object.assign(new EventTarget(), {
      status: "open",
      send: (): boolean => {
        throw new Error("the stream is closed");
      },
      abort: (): void => void cut.dispatchEvent(new Event("close")),
    });
    const asked = askPool("peer", { kind: "ids" }, () => Promise.resolve(cut as unknown as Stream));
    await assert.rejects(asked, /the stream is closed/);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(unheard, []);
  } finally {
    process.off("unhandledRejection", note);
  }
});
