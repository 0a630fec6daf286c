/** Properties over random histories and random blocks: money, totality, isolation, order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BitArray } from "@chainsafe/ssz";
import fc from "fast-check";
import { Amount, Epoch, ValidatorIndex } from "../../../consensus/primitives/units.ts";
import { applySubmission } from "../../../consensus/state/apply-submission.ts";
import { applyTransaction } from "../../../consensus/state/apply-transaction.ts";
import { collectChecks } from "../../../consensus/state/checks.ts";
import { closeSubmissions } from "../../../consensus/state/draws.ts";
import { settleEpoch } from "../../../consensus/state/settle-epoch.ts";
import { fork, type State, StateType, stateRoot } from "../../../consensus/state/state.ts";
import { circulating } from "../../../consensus/state/supply.ts";
import { applyBlock, contextOf } from "../../../consensus/state/transition.ts";
import { type Block, type Body, bodyRoot } from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { addressOf, type Operation, type Transaction } from "../../../consensus/types/transaction.ts";
import {
  assertConserved,
  CLOSE,
  createChain,
  EPOCH,
  fieldBytes,
  genesisLink,
  type Link,
  NORMALIZATION,
  nextBlock,
  nonceOf,
  placeOf,
  playEpoch,
  revealOf,
  sign,
  submissionsOf,
  sumAccounts,
  toPlace,
} from "../../helpers/chain.ts";
import { joined } from "../../helpers/outputs.ts";
import { contextAt } from "../../helpers/refusals.ts";

const chain = createChain({ tasks: 2 });
const genesis = genesisLink(chain);
const keys = [...chain.accounts, chain.sponsor, ...chain.pods.map(({ key }) => key)];
const taskIds = [0, 1].map((i) => chain.genesis.state.tasks.getReadonly(i).id);
const podIds = ["a", "b", "new", "other"].map((name) => fieldBytes(`pod/${name}`));
const roots = ["a", "b", "new", "other"].map((name) => fieldBytes(`data/${name}`));

const amount = fc
  .oneof(
    fc.bigInt(0n, 3_000_000n),
    fc.bigInt(0n, 1_100n * 10n ** 9n),
    fc.constantFrom(0n, 10n ** 10n, 2n ** 64n - 1n),
  )
  .map(Amount);
const address = fc.oneof(
  fc.constantFrom(...keys.map(({ publicKey }) => addressOf(publicKey))),
  fc.uint8Array({ minLength: 20, maxLength: 20 }),
);
const podId = fc.oneof(fc.constantFrom(...podIds), fc.uint8Array({ minLength: 32, maxLength: 32 }));
const root = fc.oneof(fc.constantFrom(...roots), fc.uint8Array({ minLength: 32, maxLength: 32 }));
const task = fc.oneof(fc.constantFrom(...taskIds), fc.uint8Array({ minLength: 32, maxLength: 32 }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ to: address, amount }).map((value): Operation => ({ selector: 0, value })),
  fc.record({ podId, bond: amount }).map((value): Operation => ({ selector: 1, value })),
  fc
    .record({
      podId,
      dataRoot: root,
      batches: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 65_535 })),
      normalization: fc.constantFrom(NORMALIZATION, new Uint8Array(32)),
    })
    .map((value): Operation => ({ selector: 2, value })),
  fc
    .record({
      podId,
      task,
      dataRoot: root,
      slots: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 })),
    })
    .map((value): Operation => ({ selector: 3, value })),
  fc
    .record({ task, epoch: fc.integer({ min: 0, max: 3 }).map(Epoch), count: fc.integer({ min: 0, max: 3 }) })
    .map(
      ({ count, ...value }): Operation => ({
        selector: 4,
        value: { ...value, slices: chain.slices.slice(0, count) },
      }),
    ),
);
type Wish = {
  readonly key: (typeof keys)[0];
  readonly operation: Operation;
  readonly fee: bigint;
  readonly ahead: number;
};
const wish: fc.Arbitrary<Wish> = fc.record({
  key: fc.constantFrom(...keys),
  operation,
  fee: fc.oneof({ weight: 5, arbitrary: fc.bigInt(10_000n, 50_000n) }, { weight: 1, arbitrary: amount }),
  ahead: fc.constantFrom(0, 0, 0, 0, 1, 2 ** 50),
});

/** Signed with the nonces that follow from the state, or one ahead. */
function transactionsOf(state: State, wishes: readonly Wish[]): Transaction[] {
  const next = new Map<Wish["key"], number>();
  return wishes.map(({ key, operation: it, fee, ahead }) => {
    const nonce = next.get(key) ?? nonceOf(state, key);
    next.set(key, nonce + 1);
    return sign(chain, key, nonce + ahead, it, fee);
  });
}

type Step = {
  readonly wishes: readonly Wish[];
  readonly submit: readonly boolean[];
  readonly reveal: boolean;
  readonly late: readonly number[];
};
const step: fc.Arbitrary<Step> = fc.record({
  wishes: fc.array(wish, { maxLength: 5 }),
  submit: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  reveal: fc.boolean(),
  late: fc.subarray([0, 1, 2, 3]),
});

function playStep(link: Link, { wishes, submit, reveal, late }: Step): Link {
  const { state } = link;
  const transactions = transactionsOf(state, wishes);
  if (reveal && placeOf(chain, link) >= CLOSE && placeOf(chain, link) < EPOCH) {
    for (const i of [0, 1]) {
      const nonce = nonceOf(state, chain.sponsor) + i;
      transactions.unshift(sign(chain, chain.sponsor, nonce, revealOf(chain, state, i)));
    }
  }
  const submissions = submissionsOf(chain, state).filter((_, i) => submit[i % submit.length] === true);
  return nextBlock(chain, link, { transactions, submissions, late });
}

describe("over random histories", () => {
  test("the supply is conserved to the nzkp", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: EPOCH, maxLength: 4 * EPOCH }), (steps) => {
        let at = genesis;
        for (const it of steps) {
          at = playStep(at, it);
          if (at.receipt?.epoch === undefined) continue;
          assertConserved(at.state);
        }
        assertConserved(at.state);
        assert.equal(circulating(at.state), sumAccounts(at.state).balances);
        const { genesis: first, minted } = at.state.supply;
        assert.ok(first + minted <= chain.params.supplyMax);
      }),
      { numRuns: 20 },
    );
  });

  test("two nodes that execute the same blocks have the same roots, and a fork leaves no trace", () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 2, maxLength: 15 }),
        fc.array(step, { maxLength: 4 }),
        (steps, others) => {
          let at = genesis;
          const links: Link[] = [];
          for (const it of steps) {
            const root_ = stateRoot(at.state);
            // Siblings and their children, before and after the block that counts.
            let side = at;
            for (const other of others) side = playStep(side, other);
            const sideRoot = stateRoot(side.state);
            assert.deepEqual(stateRoot(at.state), root_, "a child's changes never reach its parent");
            at = playStep(at, it);
            assert.deepEqual(stateRoot(side.state), sideRoot, "nor its sibling");
            links.push(at);
          }
          // Reads agree with what the roots commit to, in a state that has lived and in one from bytes.
          const fresh = StateType.deserializeToViewDU(at.state.serialize());
          assert.deepEqual(stateRoot(fresh), stateRoot(at.state));
          for (const { block, parent } of links) {
            assert.ok(block !== undefined && parent !== undefined);
            const again = applyBlock(parent, block, chain.params);
            assert.ok(!("code" in again));
            assert.deepEqual(stateRoot(again.state), block.header.stateRoot);
          }
        },
      ),
      { numRuns: 10 },
    );
  });
});

test("a fork of a state with pending changes has them, and neither sees what the other does next", () => {
  const state = fork(genesis.state);
  state.timestampMs = 5;
  state.tasks.get(0).model.set(0, 7);
  const copy = fork(state);
  assert.equal(copy.timestampMs, 5);
  assert.deepEqual(stateRoot(copy), stateRoot(state));
  copy.tasks.get(0).model.set(1, 8);
  state.tasks.get(0).model.set(2, 9);
  assert.deepEqual(copy.tasks.getReadonly(0).model.getAll(), [7, 8, 0]);
  assert.deepEqual(state.tasks.getReadonly(0).model.getAll(), [7, 0, 9]);
  for (const it of [copy, state]) {
    const root = stateRoot(it);
    assert.deepEqual(StateType.deserializeToViewDU(it.serialize()).hashTreeRoot(), root);
  }
});

describe("the transition is total:", () => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const certificate: fc.Arbitrary<Certificate> = fc.record({
    subject: fc.record({
      kind: fc.integer({ min: 0, max: 255 }),
      epoch: fc.constantFrom(0, 0, 1, 2 ** 53 - 1).map(Epoch),
      view: fc.constantFrom(0, 1, 3, 2 ** 53 - 1).map((it) => it as never),
      parentView: fc.constantFrom(0, 1, 2 ** 53 - 1).map((it) => it as never),
      blockHash: bytes32,
    }),
    signers: fc.array(fc.boolean(), { maxLength: 128 }).map((flags) => BitArray.fromBoolArray(flags)),
    signature: fc.constant(new Uint8Array(96)),
  });
  const nines = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const submission: fc.Arbitrary<Partial<Submission>> = fc.record(
    {
      task,
      epoch: fc.constantFrom(0, 1, 2 ** 53 - 1).map(Epoch),
      slot: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 65_535 })),
      podId,
      inputsHash: bytes32,
      outputs: fc.array(nines, { maxLength: 8 }).map(joined),
    },
    { requiredKeys: [] },
  );
  const parents = [genesis];
  let built = toPlace(chain, genesis, CLOSE - 2, { late: [0, 1, 2] });
  parents.push(built);
  built = playEpoch(chain, toPlace(chain, built, EPOCH));
  parents.push(built, toPlace(chain, built, CLOSE + 1), toPlace(chain, built, EPOCH - 1));

  test("any body on any place of an epoch is executed or refused, never thrown", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...parents),
        fc.array(wish, { maxLength: 6 }),
        fc.array(submission, { maxLength: 6 }),
        fc.array(certificate, { maxLength: 1 }),
        fc.array(certificate, { maxLength: 1 }),
        fc.boolean(),
        (parent, wishes, changes, late, own, ancestor) => {
          const template = nextBlock(chain, parent, { late: [0, 1, 2] });
          assert.ok(template.block !== undefined);
          const good = submissionsOf(chain, parent.state);
          const mixed = changes.flatMap((change, i) => {
            const base = good[i % Math.max(1, good.length)];
            return base === undefined ? [] : [{ ...base, ...change }];
          });
          const [real] = template.block.body.lateCertificate;
          const lateCertificate = late.map((it) =>
            ancestor && real !== undefined ? { ...it, subject: real.subject } : it,
          );
          const body: Body = {
            ...template.block.body,
            parentCertificate: own,
            lateCertificate,
            transactions: transactionsOf(parent.state, wishes),
            submissions: mixed,
          };
          const block: Block = { body, header: { ...template.block.header, bodyRoot: bodyRoot(body) } };
          const context = contextOf(block.header, chain.params);
          const checks = collectChecks(parent.state, parent.set, block, context);
          const result = applyBlock(parent, block, chain.params);
          assert.ok("code" in checks || checks.bls.length > 0);
          assert.ok("code" in result || result.receipt.transactions.length === wishes.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("any transaction is taken or refused, never thrown, and a refused one leaves no trace", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...parents),
        wish,
        fc.integer({ min: 1, max: EPOCH }),
        (parent, it, place) => {
          const [transaction] = transactionsOf(parent.state, [it]);
          assert.ok(transaction !== undefined);
          const before = stateRoot(parent.state);
          const copy = fork(parent.state);
          const refused = applyTransaction(copy, transaction, contextAt(chain, place));
          assert.equal(refused === undefined, Buffer.compare(stateRoot(copy), before) !== 0);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("the order", () => {
  const submissions = submissionsOf(chain, genesis.state);
  const payments = keys.slice(0, 3).map((key) =>
    sign(chain, key, 0, {
      selector: 0,
      value: { to: addressOf(keys[3]?.publicKey ?? key.publicKey), amount: Amount(5n) },
    }),
  );

  /** The state after a whole epoch in which these came in this order, each from a proposer of its own. */
  function settledRoot(order: readonly Submission[], transactions: readonly Transaction[]): Uint8Array {
    const state = fork(genesis.state);
    for (const it of transactions) assert.equal(applyTransaction(state, it, contextAt(chain, 1)), undefined);
    for (const it of order) {
      const proposer = ValidatorIndex((it.outputs[0] ?? 0) % 4);
      assert.ok(!("code" in applySubmission(state, it, { ...contextAt(chain, 1), proposer })));
    }
    closeSubmissions(state, chain.params);
    for (const i of [0, 1]) {
      const nonce = nonceOf(state, chain.sponsor);
      const transaction = sign(chain, chain.sponsor, nonce, revealOf(chain, state, i));
      assert.equal(applyTransaction(state, transaction, contextAt(chain, CLOSE + 1)), undefined);
    }
    assert.ok(settleEpoch(state, contextAt(chain, EPOCH)).minted > 0n);
    return stateRoot(state);
  }

  test("of independent submissions and payments changes nothing about the settled state", () => {
    const expected = settledRoot(submissions, payments);
    fc.assert(
      fc.property(
        fc.shuffledSubarray(submissions, { minLength: submissions.length }),
        fc.shuffledSubarray(payments, { minLength: payments.length }),
        (order, transactions) => {
          assert.deepEqual(settledRoot(order, transactions), expected);
        },
      ),
      { numRuns: 15 },
    );
  });
});
