/** The life of a round: drawn, submitted, closed, revealed, settled, paid, unlocked. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { equalBytes, toHex } from "../../../consensus/primitives/bytes.ts";
import { Amount } from "../../../consensus/primitives/units.ts";
import { getAccount, getDataset, getPod } from "../../../consensus/state/maps.ts";
import { validatorSet } from "../../../consensus/state/sets.ts";
import type { State } from "../../../consensus/state/state.ts";
import { addressOf, type Operation } from "../../../consensus/types/transaction.ts";
import type { Key } from "../../../node/keys.ts";
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
  playEpoch,
  revealOf,
  sign,
  submissionsOf,
  type TestChain,
  toPlace,
  transferOf,
} from "../../helpers/chain.ts";

const accountOf = (state: State, { publicKey }: Key) => {
  const account = getAccount(state, addressOf(publicKey));
  assert.ok(account !== undefined);
  return account;
};
const slotsOf = (state: State) =>
  state.rounds
    .getReadonly(0)
    .slots.getAllReadonly()
    .map((it) => it.toValue());
const drawnOf = (state: State): number[] => state.rounds.getReadonly(0).drawnSlices.getAll();
const modelOf = (state: State): number[] => state.tasks.getReadonly(0).model.getAll();
const settled = (link: Link) => {
  const receipt = link.receipt?.epoch;
  assert.ok(receipt !== undefined, "an epoch ended");
  return receipt;
};

describe("slots", () => {
  test("are drawn at genesis, one for each slot asked, with a batch of its root", () => {
    const chain = createChain();
    const slots = slotsOf(chain.genesis.state);
    assert.equal(slots.length, 3);
    assert.deepEqual(
      slots.map(({ podId }) => toHex(podId)).toSorted(),
      chain.pods.map(({ podId }) => toHex(podId)).toSorted(),
    );
    assert.ok(slots.every(({ batchIndex }) => batchIndex < 4));
  });

  test("are drawn anew at each boundary and never change within an epoch", () => {
    const chain = createChain();
    const genesis = genesisLink(chain);
    const late = toPlace(chain, nextBlock(chain, genesis), EPOCH - 1);
    assert.deepEqual(slotsOf(late.state), slotsOf(genesis.state));
    const draws = new Set([JSON.stringify(batchesOf(genesis.state))]);
    let at = genesis;
    for (let epoch = 0; epoch < 5; epoch++) {
      at = toPlace(chain, nextBlock(chain, at), EPOCH);
      draws.add(JSON.stringify(batchesOf(at.state)));
    }
    assert.ok(draws.size > 2, "the beacon moves the draw");
  });

  const batchesOf = (state: State): unknown =>
    slotsOf(state).map(({ podId, batchIndex }) => [toHex(podId), batchIndex]);

  test("lapse without fault where a root's batches are used up", () => {
    const chain = createChain({ params: { batchReuseMax: "1" }, batches: 2 });
    let at = genesisLink(chain);
    const used = new Set<string>();
    for (let epoch = 0; epoch < 2; epoch++) {
      assert.equal(slotsOf(at.state).length, 3);
      for (const { dataRoot, batchIndex } of slotsOf(at.state)) used.add(`${toHex(dataRoot)}/${batchIndex}`);
      at = playEpoch(chain, at);
    }
    assert.equal(used.size, 6, "no batch was drawn twice");
    assert.equal(slotsOf(at.state).length, 0);
    assert.deepEqual(getDataset(at.state, fieldBytes("data/a"))?.uses, Uint8Array.of(1, 1));
    at = playEpoch(chain, at);
    assert.equal(settled(at).minted, 0n);
  });

  test("that nobody filled leave their batch unused", () => {
    const chain = createChain({ params: { batchReuseMax: "1" }, batches: 1 });
    const at = playEpoch(chain, genesisLink(chain), { submit: false });
    assert.equal(slotsOf(at.state).length, 3);
  });

  test("of one root in one round have different batches", () => {
    const chain = createChain();
    const enrolled = newPod(chain, chain.genesis.state.tasks.getReadonly(0).id, 4);
    const link = genesisLink(chain);
    let at = nextBlock(chain, link, { transactions: enrolled });
    for (let epoch = 0; epoch < 2; epoch++) at = toPlace(chain, nextBlock(chain, at), EPOCH);
    const mine = slotsOf(at.state).filter(({ dataRoot }) => equalBytes(dataRoot, fieldBytes("data/new")));
    assert.deepEqual(
      mine.map(({ batchIndex }) => batchIndex).toSorted((a, b) => a - b),
      [0, 1, 2, 3],
    );
  });

  test("are given to a root from two epochs after its registration", () => {
    const chain = createChain();
    const { id } = chain.genesis.state.tasks.getReadonly(0);
    let at = nextBlock(chain, genesisLink(chain), { transactions: newPod(chain, id, 1) });
    assert.equal(at.receipt?.transactions.length, 3);
    const drawn: number[] = [];
    for (let epoch = 1; epoch <= 3; epoch++) {
      at = toPlace(chain, nextBlock(chain, at), EPOCH);
      drawn.push(slotsOf(at.state).length);
    }
    assert.deepEqual(drawn, [3, 4, 4]);
  });

  test("are never given to a root registered in the block of the first reveal", () => {
    const chain = createChain();
    const { id } = chain.genesis.state.tasks.getReadonly(0);
    let at = toPlace(chain, genesisLink(chain), CLOSE);
    const reveal = sign(chain, chain.sponsor, 0, revealOf(chain, at.state));
    at = nextBlock(chain, at, { transactions: [...newPod(chain, id, 1), reveal] });
    assert.equal(at.receipt?.transactions.length, 4, "enrolled before the reveal in the same block");
    at = toPlace(chain, at, EPOCH);
    for (let epoch = 0; epoch < 3; epoch++) {
      assert.equal(slotsOf(at.state).length, 3);
      at = toPlace(chain, nextBlock(chain, at), EPOCH);
    }
  });

  const newPod = (chain: TestChain, task: Uint8Array, slots: number) => {
    const [alice] = chain.accounts;
    assert.ok(alice !== undefined);
    const podId = fieldBytes("pod/new");
    const dataRoot = fieldBytes("data/new");
    const bond = Amount(chain.params.bondUnit * BigInt(slots));
    const operations: Operation[] = [
      { selector: 1, value: { podId, bond } },
      { selector: 2, value: { podId, dataRoot, batches: 4, normalization: NORMALIZATION } },
      { selector: 3, value: { podId, task, dataRoot, slots } },
    ];
    return operations.map((operation, nonce) => sign(chain, alice, nonce, operation));
  };
});

describe("the close", () => {
  test("draws the slices and keeps the beacon; not a block earlier", () => {
    const chain = createChain();
    const before = toPlace(chain, genesisLink(chain), CLOSE - 1);
    assert.deepEqual(drawnOf(before.state), []);
    assert.deepEqual(before.state.beacon.close, new Uint8Array(32));
    const close = nextBlock(chain, before);
    assert.equal(new Set(drawnOf(close.state)).size, 2);
    assert.deepEqual(close.state.beacon.close, close.state.beacon.mix);
    const next = nextBlock(chain, close);
    assert.deepEqual(drawnOf(next.state), drawnOf(close.state));
    assert.notDeepEqual(next.state.beacon.mix, next.state.beacon.close);
  });

  test("takes submissions in its own block", () => {
    const chain = createChain();
    const before = toPlace(chain, genesisLink(chain), CLOSE - 1);
    const submissions = submissionsOf(chain, before.state);
    const close = nextBlock(chain, before, { submissions });
    assert.equal(close.receipt?.submissions.length, 3);
    const after = nextBlock(chain, nextBlock(chain, before), { submissions });
    assert.equal(after.receipt?.submissions.length, 0);
  });

  test("opens no slice twice, and a pool that is used up ends the paid rounds", () => {
    const chain = createChain({ slices: 7 });
    let at = genesisLink(chain);
    const opened: number[] = [];
    for (let round = 0; round < 3; round++) {
      opened.push(...drawnOf(toPlace(chain, at, CLOSE).state));
      at = playEpoch(chain, at);
      assert.ok(settled(at).minted > 0n);
    }
    assert.equal(new Set(opened).size, 6);
    assert.deepEqual(drawnOf(toPlace(chain, at, CLOSE).state), [], "one slice is not enough");
    at = playEpoch(chain, at);
    assert.equal(settled(at).minted, 0n);
    assert.equal(settled(at).rounds[0]?.revealed, false);
  });
});

describe("settlement", () => {
  test("steps the model, mints, locks, and frees after the lock", () => {
    const chain = createChain();
    const genesis = genesisLink(chain);
    let at = playEpoch(chain, genesis);
    const { minted, rounds } = settled(at);
    const [round] = rounds;
    assert.ok(round?.stepped && round.revealed);
    assert.ok(round.lossAfter < round.lossBefore);
    assert.notDeepEqual(modelOf(at.state), modelOf(genesis.state));
    assert.equal(round.contributions.length, 3);
    assert.equal(at.state.supply.minted, minted);
    assert.equal(at.state.supply.minted, at.state.supply.locked + at.state.supply.treasury);
    assertConserved(at.state);
    const [pod] = chain.pods;
    assert.ok(pod !== undefined);
    const receipt = round.contributions.find(({ podId }) => equalBytes(podId, pod.podId));
    assert.ok(receipt !== undefined && receipt.amount > 0n);
    assert.equal(accountOf(at.state, pod.key).locked, receipt.amount);
    assert.equal(accountOf(at.state, pod.key).balance, 0n);
    assert.equal(getPod(at.state, pod.podId)?.accepted, 1);
    assert.equal(getPod(at.state, pod.podId)?.settledQuality, receipt.quality);
    // A lock of two epochs: settled at the end of 0, spendable from 3.
    assert.equal(round.unlockEpoch, 3);
    for (const epoch of [2, 3]) {
      assert.equal(accountOf(at.state, pod.key).locked, receipt.amount);
      at = toPlace(chain, nextBlock(chain, at), EPOCH);
      assert.equal(at.state.epoch, epoch);
    }
    assert.equal(accountOf(at.state, pod.key).locked, 0n);
    assert.equal(accountOf(at.state, pod.key).balance, receipt.amount);
    assert.equal(at.state.supply.locked, 0n);
    assertConserved(at.state);
  });

  test("locked rewards cannot be spent", () => {
    const chain = createChain();
    const at = playEpoch(chain, genesisLink(chain));
    const [pod] = chain.pods;
    assert.ok(pod !== undefined);
    const spend = sign(chain, pod.key, 0, transferOf(new Uint8Array(20), 1n));
    assert.equal(nextBlock(chain, at, { transactions: [spend] }).receipt?.transactions.length, 0);
  });

  test("without a reveal mints nothing and leaves the model", () => {
    const chain = createChain();
    const at = playEpoch(chain, genesisLink(chain), { reveal: false });
    const { minted, quality, rounds } = settled(at);
    assert.equal(minted, 0n);
    assert.equal(quality, 0n);
    assert.deepEqual(
      rounds[0]?.contributions.map(({ fate, amount }) => [fate, amount]),
      new Array(3).fill(["no-reveal", 0n]),
    );
    assert.deepEqual(modelOf(at.state), modelOf(chain.genesis.state));
    assert.equal(at.state.tasks.getReadonly(0).revealedFrom, 0);
    assertConserved(at.state);
  });

  test("of a round without contributions mints nothing", () => {
    const chain = createChain();
    const at = playEpoch(chain, genesisLink(chain), { submit: false });
    assert.equal(settled(at).minted, 0n);
    assert.equal(settled(at).rounds[0]?.revealed, true);
    assert.deepEqual(modelOf(at.state), modelOf(chain.genesis.state));
  });

  test("empties the round: the same outputs are new in the next epoch", () => {
    const chain = createChain();
    const at = playEpoch(chain, genesisLink(chain));
    const round = at.state.rounds.getReadonly(0);
    assert.equal(round.contributions.length, 0);
    assert.equal(round.labels.length, 0);
    assert.equal(round.features.length, 0);
    assert.deepEqual(drawnOf(at.state), []);
    assert.deepEqual(at.state.beacon.close, new Uint8Array(32));
  });

  test("ends a task after its last round", () => {
    const chain = createChain({ lastRound: 0 });
    let at = playEpoch(chain, genesisLink(chain));
    assert.equal(settled(at).rounds.length, 1);
    assert.equal(slotsOf(at.state).length, 0);
    at = playEpoch(chain, at);
    assert.deepEqual(settled(at).rounds, []);
  });

  test("pays all tasks out of one budget", () => {
    const one = settled(playEpoch(createChain(), genesisLink(createChain()))).minted;
    const chain = createChain({ tasks: 4 });
    const at = playEpoch(chain, genesisLink(chain));
    assert.equal(settled(at).rounds.length, 4);
    assert.ok(settled(at).minted > one);
    assertConserved(at.state);
  });

  test("gives proposers the quality that their blocks carried", () => {
    const chain = createChain();
    const genesis = genesisLink(chain);
    const at = playEpoch(chain, genesis, { late: [] });
    const proposer = nextBlock(chain, genesis).block?.header.proposer ?? -1;
    const pot = (settled(at).minted * 8n) / 100n;
    chain.validators.forEach(({ key }, i) => {
      const { locked } = accountOf(at.state, key);
      if (i === proposer) assert.ok(locked > 0n && locked >= pot - 3n);
      else assert.equal(locked, 0n, "no late certificate, no presence");
    });
  });
});

describe("presence", () => {
  test("is counted by late certificates, four heights below and within the epoch", () => {
    const chain = createChain();
    let at = genesisLink(chain);
    const counts: unknown[] = [];
    for (let place = 1; place < EPOCH; place++) {
      at = nextBlock(chain, at, { late: [0, 2, 3] });
      counts.push([at.state.presence.opportunities, ...at.state.presence.present.getAll()]);
    }
    assert.deepEqual(counts.slice(3), [
      [0, 0, 0, 0, 0],
      [1, 1, 0, 1, 1],
      [2, 2, 0, 2, 2],
      [3, 3, 0, 3, 3],
      [4, 4, 0, 4, 4],
      [5, 5, 0, 5, 5],
    ]);
    at = nextBlock(chain, at, { late: [0, 2, 3] });
    assert.deepEqual(at.state.presence.toValue(), { opportunities: 0, present: [0, 0, 0, 0] });
  });

  test("pays the present and not the absent, who make nobody richer", () => {
    const chain = createChain();
    const all = playEpoch(chain, genesisLink(chain), { late: [0, 1, 2, 3] });
    const three = playEpoch(chain, genesisLink(chain), { late: [0, 1, 3] });
    const lockedOf = (link: Link, i: number): bigint => {
      const { key } = chain.validators[i] ?? {};
      assert.ok(key !== undefined);
      return accountOf(link.state, key).locked;
    };
    const { proposer } = nextBlock(chain, genesisLink(chain)).block?.header ?? { proposer: -1 };
    for (const i of [0, 1, 3]) assert.equal(lockedOf(three, i), lockedOf(all, i));
    const share = lockedOf(all, 2) - (proposer === 2 ? lockedOf(three, 2) : 0n);
    assert.ok(share > 0n);
    assert.equal(settled(all).minted - settled(three).minted, share);
    assertConserved(three.state);
  });
});

describe("validator sets", () => {
  test("turn at the boundary, and the next one is known an epoch ahead", () => {
    const chain = createChain();
    let at = genesisLink(chain);
    for (let epoch = 0; epoch < 3; epoch++) {
      const next = validatorSet(at.state, "next");
      const current = validatorSet(at.state, "current");
      at = toPlace(chain, nextBlock(chain, at), EPOCH);
      assert.deepEqual(validatorSet(at.state, "current"), next);
      assert.deepEqual(validatorSet(at.state, "previous"), current);
      assert.equal(at.set.epoch, epoch + 1);
    }
    const turns = [at.state, chain.genesis.state].map((state) => validatorSet(state, "next").turns.join());
    assert.notEqual(turns[0], turns[1], "the beacon shuffles the proposers");
  });
});
