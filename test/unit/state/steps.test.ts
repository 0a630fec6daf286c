/** Work in steps: whatever happens to the parent between two of them, the result is that of all at once. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Fault, fault } from "../../../consensus/primitives/faults.ts";
import { allAtOnce, type Steps } from "../../../consensus/primitives/steps.ts";
import { Amount, Epoch } from "../../../consensus/primitives/units.ts";
import type { AcceptedSubmission } from "../../../consensus/state/apply-submission.ts";
import { type Checks, checkSteps, collectChecks } from "../../../consensus/state/checks.ts";
import { encodeSteps } from "../../../consensus/state/encode.ts";
import { putAccount } from "../../../consensus/state/maps.ts";
import {
  ExitType,
  fork,
  LockType,
  rootSteps,
  type State,
  stateRoot,
} from "../../../consensus/state/state.ts";
import {
  type Applied,
  applyBlock,
  blockSteps,
  contextOf,
  executionSteps,
} from "../../../consensus/state/transition.ts";
import type { Block } from "../../../consensus/types/block.ts";
import {
  CLOSE,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  nonceOf,
  placeOf,
  playEpoch,
  sign,
  toPlace,
  transferOf,
  unwrap,
} from "../../helpers/chain.ts";

const chain = createChain({ tasks: 2 });

/** Two epochs with submissions, reveals and payments, and a block above them. */
function history(): Link[] {
  const [alice] = chain.accounts;
  assert.ok(alice !== undefined);
  let at = playEpoch(chain, playEpoch(chain, genesisLink(chain)));
  at = nextBlock(chain, at, {
    transactions: [0, 1, 2].map((i) =>
      sign(
        chain,
        alice,
        nonceOf(at.state, alice) + i,
        transferOf(new Uint8Array(20).fill(i + 1), 5_000_000n),
      ),
    ),
  });
  const links: Link[] = [];
  for (let link: Link | undefined = at; link?.block !== undefined; link = link.parent) links.unshift(link);
  return links;
}
const links = history();
const parentOf = (link: Link): Link => {
  assert.ok(link.parent !== undefined);
  return link.parent;
};
const blockOf = ({ block }: Link): Block => {
  assert.ok(block !== undefined);
  return block;
};

/** What others do with the parent's state while something is being built on it. */
function disturb(parent: Link, turn: number): void {
  const { state } = parent;
  if (turn % 4 === 0) stateRoot(state);
  if (turn % 4 === 1) fork(state).supply.treasury = Amount(BigInt(turn));
  if (turn % 4 === 2) state.accounts.getReadonly(turn).getAllReadonly();
  if (turn === 3) nextBlock(chain, parent);
}

describe("a block that is executed in steps", () => {
  test("has the state and the receipt of one that is executed at once, whatever its parent is used for", () => {
    let steps = 0;
    for (const link of links) {
      const [parent, block] = [parentOf(link), blockOf(link)];
      const work = blockSteps(parent, block, chain.params);
      let step = work.next();
      for (let turn = 0; step.done !== true; turn++, steps++) {
        disturb(parent, turn);
        step = work.next();
      }
      const inSteps = unwrap<Applied>(step.value);
      const atOnce = unwrap<Applied>(applyBlock(parent, block, chain.params));
      assert.deepEqual(stateRoot(inSteps.state), block.header.stateRoot);
      assert.deepEqual(inSteps.state.serialize(), atOnce.state.serialize());
      assert.deepEqual(inSteps.receipt, atOnce.receipt);
      assert.deepEqual(stateRoot(parent.state), stateRoot(fork(parent.state)), "the parent is as it was");
    }
    assert.ok(steps > 10 * links.length, `${steps} steps`);
  });

  test("is not disturbed by the same block, or another, between its steps", () => {
    const parent = parentOf(links[EPOCH - 1] ?? links[0] ?? genesisLink(chain));
    const [one, two] = [nextBlock(chain, parent), nextBlock(chain, parent, { view: parent.view + 5 })];
    const works = [one, two, one].map((link) => blockSteps(parent, blockOf(link), chain.params));
    const results: Applied[] = [];
    while (results.length < works.length) {
      for (const work of works) {
        const step = work.next();
        if (step.done === true && step.value !== undefined) results.push(unwrap<Applied>(step.value));
      }
    }
    const roots = results.map(({ state }) => stateRoot(state));
    for (const link of [one, two, one])
      assert.ok(roots.some((root) => Buffer.compare(root, blockOf(link).header.stateRoot) === 0));
  });

  test("that is left half done leaves no trace", () => {
    const link = links[0];
    assert.ok(link !== undefined);
    const parent = parentOf(link);
    const before = parent.state.serialize();
    const work = blockSteps(parent, blockOf(link), chain.params);
    for (let i = 0; i < 5; i++) work.next();
    assert.deepEqual(parent.state.serialize(), before);
    assert.ok(!("code" in applyBlock(parent, blockOf(link), chain.params)));
  });

  test("has the same checks", () => {
    for (const link of links.slice(0, CLOSE)) {
      const { state, set } = parentOf(link);
      const context = contextOf(blockOf(link).header, chain.params);
      const work = checkSteps(state, set, blockOf(link), context);
      let step = work.next();
      for (let turn = 0; step.done !== true; turn++) {
        disturb(parentOf(link), turn);
        step = work.next();
      }
      assert.deepEqual(step.value, collectChecks(state, set, blockOf(link), context));
    }
  });

  test("knows the same checks by the time that its body was taken", () => {
    let submissions = 0;
    for (const link of links.slice(0, CLOSE)) {
      const parent = parentOf(link);
      const block = blockOf(link);
      const context = contextOf(block.header, chain.params);
      let checks: Checks | Fault | undefined;
      const onBody = function* (included: readonly AcceptedSubmission[]): Steps<undefined> {
        submissions += included.length;
        checks = yield* checkSteps(parent.state, parent.set, block, context, included);
        return undefined;
      };
      unwrap<Applied>(allAtOnce(executionSteps(parent, block, chain.params, { onBody })));
      assert.deepEqual(checks, collectChecks(parent.state, parent.set, block, context));
    }
    assert.ok(submissions > 0);
  });

  test("is invalid by what is found then, and no body that the state refuses gets there", () => {
    const link = links[0];
    assert.ok(link !== undefined);
    const [parent, block] = [parentOf(link), blockOf(link)];
    let asked = 0;
    const onBody = function* (): Steps<Fault> {
      asked += 1;
      yield;
      return fault("block/evidence");
    };
    const run = (it: Block): Applied | Fault =>
      allAtOnce(executionSteps(parent, it, chain.params, { onBody }));
    assert.deepEqual(run(block), fault("block/evidence"));
    assert.equal(asked, 1);
    const [submission] = block.body.submissions;
    assert.ok(submission !== undefined);
    const twice = run({ ...block, body: { ...block.body, submissions: [submission, submission] } });
    assert.ok("code" in twice && twice.code === "block/submission");
    assert.equal(asked, 1);
  });
});

/** All of it, with `others` between two steps. */
function encoded(state: State, others: () => void = () => undefined): Uint8Array {
  const work = encodeSteps(state);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    others();
  }
}

describe("a state that is encoded in steps", () => {
  test("has the bytes of one that is encoded at once", () => {
    for (const { state } of [genesisLink(chain), ...links])
      assert.deepEqual(encoded(state), state.serialize());
  });

  test("has them whatever it holds", () => {
    const money = fc.bigInt(0n, 2n ** 64n - 1n).map(Amount);
    const address = fc.uint8Array({ minLength: 20, maxLength: 20 });
    const things = fc.record({
      accounts: fc.array(fc.tuple(address, money), { maxLength: 40 }),
      locks: fc.array(fc.tuple(fc.nat(7), address, money), { maxLength: 20 }),
      exits: fc.array(fc.tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(9)), { maxLength: 9 }),
      drawn: fc.uint8Array({ maxLength: 64 }),
    });
    fc.assert(
      fc.property(things, ({ accounts, locks, exits, drawn }) => {
        const state = fork(chain.genesis.state);
        for (const [at, balance] of accounts)
          putAccount(state, { address: at, nonce: 1, balance, locked: Amount(0n) });
        for (const [place, account, amount] of locks)
          state.locks.get(place).push(LockType.toViewDU({ account, amount }));
        for (const [podId, epoch] of exits)
          state.exits.push(ExitType.toViewDU({ podId, epoch: Epoch(epoch) }));
        state.tasks.get(0).drawn = drawn;
        state.commit();
        assert.deepEqual(encoded(state), state.serialize());
      }),
      { numRuns: 25 },
    );
  });

  test("has those it had in the beginning, while blocks are built on it", () => {
    const start = toPlace(chain, genesisLink(chain), 3);
    const before = start.state.serialize();
    let at = start;
    const bytes = encoded(start.state, () => {
      if (placeOf(chain, at) < CLOSE) at = nextBlock(chain, at);
    });
    assert.ok(at !== start);
    assert.deepEqual(bytes, before);
  });
});

test("a root in steps is the root", () => {
  for (const { state } of links.slice(-3)) {
    const [one, two] = [fork(state), fork(state)];
    for (const it of [one, two]) {
      putAccount(it, {
        address: new Uint8Array(20).fill(9),
        nonce: 3,
        balance: Amount(7n),
        locked: Amount(0n),
      });
      it.rounds.get(0).contributions.getAllReadonly();
      it.issuance.ema = 12n;
    }
    const work = rootSteps(one);
    let step = work.next();
    while (step.done !== true) step = work.next();
    assert.deepEqual(step.value, stateRoot(two));
  }
});
