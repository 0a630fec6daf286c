/** What waits to be included: bounds, order, conflicts, and who leaves when. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { nullifierOf } from "../../../consensus/types/submission.ts";
import { addressOf, transactionId } from "../../../consensus/types/transaction.ts";
import { createMempool } from "../../../node/mempool.ts";
import {
  CLOSE,
  createChain,
  EPOCH,
  fieldBytes,
  genesisLink,
  nextBlock,
  sign,
  submissionOf,
  submissionsOf,
  toPlace,
  transferOf,
} from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";

const chain = createChain();
const genesis = genesisLink(chain);
const { state } = genesis;
const [alice, bob] = chain.accounts as [(typeof chain.accounts)[0], (typeof chain.accounts)[0]];
const to = addressOf(bob.publicKey);
const create = () => createMempool(chain.params, chain.chain);
const pay = (nonce: number, key = alice, amount = 1n) => sign(chain, key, nonce, transferOf(to, amount));
const none = { submissions: [], transactions: [] };
const idOf = (it: ReturnType<typeof pay>): string => toHex(transactionId(chain.chain, it));

describe("candidates", () => {
  test("of a sender come in the order of their nonces, whatever order they came in", () => {
    const pool = create();
    const other = pay(0, bob);
    const [zero, one, two] = [pay(0), pay(1), pay(2)];
    for (const it of [two, other, zero, one]) assert.equal(pool.addTransaction(it), undefined);
    assert.deepEqual(pool.candidates(state).transactions, [zero, one, two, other]);
  });

  test("stop at a gap and begin at the account's nonce", () => {
    const pool = create();
    for (const nonce of [0, 1, 3]) pool.addTransaction(pay(nonce));
    const link = nextBlock(chain, genesis, { transactions: [pay(0)] });
    assert.deepEqual(pool.candidates(link.state).transactions, [pay(1)]);
    assert.equal(pool.nextNonce(addressOf(alice.publicKey), 0), 2);
  });

  test("are submissions of the present epoch while its window is open", () => {
    const pool = create();
    const submissions = submissionsOf(chain, state);
    for (const it of submissions) assert.equal(pool.addSubmission(it), undefined);
    const before = toPlace(chain, genesis, CLOSE - 1);
    assert.deepEqual(pool.candidates(before.state).submissions, submissions);
    const close = nextBlock(chain, before);
    assert.deepEqual(pool.candidates(close.state).submissions, []);
    assert.deepEqual(pool.candidates(toPlace(chain, close, EPOCH).state).submissions, []);
  });

  test("are all that can be executed, so that refused ones take nobody's place", () => {
    const pool = create();
    for (let nonce = 0; nonce < 64; nonce++) pool.addTransaction(pay(nonce, alice, 2n ** 62n));
    pool.addTransaction(pay(0, bob));
    const built = nextBlock(chain, genesis, { ...pool.candidates(state) });
    assert.deepEqual(built.block?.body.transactions, [pay(0, bob)]);
  });
});

describe("bounds", () => {
  test("hold for one sender", () => {
    const pool = create();
    for (let nonce = 0; nonce < 64; nonce++) assert.equal(pool.addTransaction(pay(nonce)), undefined);
    assert.equal(pool.addTransaction(pay(64))?.code, "rpc/busy");
    assert.equal(pool.addTransaction(pay(0, bob)), undefined);
  });

  test("hold for all submissions", () => {
    const pool = create();
    const one = submissionOf(chain, state, 0, 0);
    for (let i = 0; i < 4_096; i++) pool.addSubmission({ ...one, outputs: fieldBytes(String(i)) });
    assert.equal(pool.addSubmission({ ...one, outputs: fieldBytes("more") })?.code, "rpc/busy");
    assert.equal(pool.counts().submissions, 4_096);
  });

  test("let one transaction a nonce wait", () => {
    const pool = create();
    pool.addTransaction(pay(0));
    assert.equal(pool.addTransaction(pay(0, alice, 2n))?.code, "transaction/nonce-low");
    assert.equal(pool.counts().transactions, 1);
  });
});

describe("a pooled submission", () => {
  const pool = create();
  const one = submissionOf(chain, state, 0, 0);
  pool.addSubmission(one);
  const [nullifier = to, tag = to, ...gradient] = split(one.outputs);

  test("forbids another of its nullifier or its slot, not of its data: the state knows whose that is", () => {
    assert.equal(pool.conflict(one)?.code, "submission/nullifier-spent");
    const other = submissionOf(chain, state, 0, 1, {
      outputs: joined([fieldBytes("n"), tag, ...gradient]),
    });
    assert.equal(pool.conflict(other), undefined);
    const slot = { ...one, outputs: joined([fieldBytes("n"), fieldBytes("t"), ...gradient]) };
    assert.equal(pool.conflict(slot)?.code, "submission/slot-filled");
    assert.equal(pool.conflict({ ...slot, task: nullifier }), undefined);
    assert.equal(pool.conflict(submissionOf(chain, state, 0, 1)), undefined);
  });

  test("is found by its nullifier", () => {
    assert.equal(pool.submission(nullifier), one);
    assert.equal(pool.submission(tag), undefined);
  });
});

describe("a final block", () => {
  test("takes what it includes out, and reports the overtaken", () => {
    const pool = create();
    const submissions = submissionsOf(chain, state);
    for (const it of submissions) pool.addSubmission(it);
    const replaced = pay(0, bob);
    pool.addTransaction(pay(0));
    pool.addTransaction(pay(1));
    pool.addTransaction(replaced);
    const transactions = [pay(0), pay(0, bob, 2n)];
    const link = nextBlock(chain, genesis, { transactions, submissions: submissions.slice(0, 1) });
    assert.ok(link.receipt !== undefined);
    const expired = pool.onFinalized(link.state, link.receipt);
    assert.deepEqual(expired, { submissions: [], transactions: [idOf(replaced)] });
    assert.deepEqual(pool.counts(), { submissions: 2, transactions: 1 });
    assert.equal(pool.addTransaction(pay(1, bob)), undefined);
  });

  test("at the close ends the wait of its epoch's submissions, not of later ones", () => {
    const pool = create();
    const [one, two] = submissionsOf(chain, state);
    assert.ok(one !== undefined && two !== undefined);
    pool.addSubmission(one);
    pool.addSubmission({ ...two, epoch: (two.epoch + 1) as typeof two.epoch });
    const before = toPlace(chain, genesis, CLOSE - 1);
    assert.deepEqual(pool.onFinalized(before.state, none).submissions, []);
    const close = nextBlock(chain, before);
    assert.deepEqual(pool.onFinalized(close.state, none).submissions, [toHex(nullifierOf(one))]);
    assert.equal(pool.counts().submissions, 1);
    const next = toPlace(chain, close, EPOCH);
    assert.deepEqual(pool.onFinalized(next.state, none).submissions, []);
  });

  test("an epoch later frees a nonce that a refused transaction held", () => {
    const pool = create();
    const unaffordable = pay(0, alice, 2n ** 62n);
    pool.addTransaction(unaffordable);
    let at = genesis;
    for (let i = 0; i < EPOCH; i++) {
      at = nextBlock(chain, at);
      assert.deepEqual(pool.onFinalized(at.state, none).transactions, []);
    }
    at = nextBlock(chain, at);
    assert.deepEqual(pool.onFinalized(at.state, none).transactions, [idOf(unaffordable)]);
    assert.equal(pool.addTransaction(pay(0)), undefined);
  });
});
