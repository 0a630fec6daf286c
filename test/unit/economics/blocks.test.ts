/** Real blocks with every operation of the economy: the supply account adds up after each of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Amount, zkp } from "../../../consensus/primitives/units.ts";
import { LANE } from "../../../consensus/state/state.ts";
import { standardisationBytes } from "../../../consensus/types/normalization.ts";
import { addressOf, type Operation, SELECTOR } from "../../../consensus/types/transaction.ts";
import {
  assertConserved,
  CLOSE,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  nonceOf,
  revealOf,
  sign,
  submissionOf,
  submissionsOf,
  transferOf,
} from "../../helpers/chain.ts";

test("genesis + minted = circulating + staked + bonded + escrowed + locked + treasury + burned, after every block", () => {
  const chain = createChain({
    params: { roundPayMin: String(zkp(1)), bondUnit: String(zkp(5)) },
    lastRound: 20,
  });
  const { sponsor, validators } = chain;
  const [pod, other] = chain.pods;
  const [alice] = chain.accounts;
  assert.ok(pod !== undefined && other !== undefined && alice !== undefined);
  let at: Link = genesisLink(chain);
  const step = (...sent: (readonly [typeof sponsor, Operation])[]): void => {
    const nonces = new Map<typeof sponsor, number>();
    const transactions = sent.map(([key, operation]) => {
      const nonce = nonces.get(key) ?? nonceOf(at.state, key);
      nonces.set(key, nonce + 1);
      return sign(chain, key, nonce, operation);
    });
    const submissions = at.state.height % EPOCH === 0 ? submissionsOf(chain, at.state) : [];
    at = nextBlock(chain, at, { transactions, submissions, late: [0, 1, 2] });
    assert.equal(at.receipt?.transactions.length, transactions.length, `block ${at.state.height}`);
    assertConserved(at.state);
  };
  const reveals = (): (readonly [typeof sponsor, Operation])[] =>
    at.state.rounds
      .getAllReadonly()
      .flatMap((round, index) =>
        round.drawnSlices.length > 0 ? [[sponsor, revealOf(chain, at.state, index)] as const] : [],
      );
  const epoch = (opened: boolean, ...first: Parameters<typeof step>): void => {
    step(...first);
    while (at.state.height % EPOCH !== CLOSE) step();
    step(...(opened ? reveals() : []));
    while (at.state.height % EPOCH !== 0) step();
  };
  const genesisTask = at.state.tasks.getReadonly(0);
  const encode = new TextEncoder();
  const operation: Operation = {
    selector: SELECTOR.taskCreate,
    value: {
      name: encode.encode("sponsored"),
      shape: encode.encode("gradient-4x2"),
      standardisation: standardisationBytes([0, 0], [1, 1]),
      rateNumerator: 1,
      rateShift: 0,
      normBound: 2n ** 90n,
      lead: 1,
      rounds: 3,
      holdoutRoot: genesisTask.holdoutRoot,
      holdoutSlices: 16,
      model: [],
      roundPay: Amount(zkp(1)),
      bond: Amount(zkp(3)),
      escrow: Amount(zkp(3)),
      minAccepted: 0,
      minQuality: 0n,
      groupRoot: new Uint8Array(32),
      notice: encode.encode("hello"),
    },
  };
  // Two tasks: one will be public, one stays sponsored and is once not revealed.
  const poor = [pod.key, other.key, ...validators.slice(0, 3).map(({ key }) => key)];
  const alms = poor.map((key) => [alice, transferOf(addressOf(key.publicKey), zkp(1))] as const);
  epoch(true, ...alms, [sponsor, operation], [sponsor, operation]);
  const [one, two] = [1, 2].map((i) => at.state.tasks.getReadonly(i).id);
  assert.ok(one !== undefined && two !== undefined);
  epoch(
    true,
    [pod.key, { selector: 3, value: { podId: pod.podId, task: two, dataRoot: pod.dataRoot, slots: 1 } }],
    [alice, { selector: SELECTOR.taskFund, value: { task: two, amount: Amount(zkp(2)) } }],
    ...validators
      .slice(0, 3)
      .map(({ key }) => [key, { selector: SELECTOR.taskApprove, value: { task: one } }] as const),
  );
  assert.equal(at.state.tasks.getReadonly(1).lane, LANE.public);
  const lie = submissionOf(chain, at.state, 0, 0);
  epoch(
    false,
    [alice, { selector: SELECTOR.podEvidence, value: { submission: lie } }],
    [other.key, { selector: SELECTOR.podExit, value: { podId: other.podId } }],
    [sponsor, { selector: SELECTOR.taskClose, value: { task: one } }],
  );
  for (let i = 0; i < 4; i++) epoch(true);
  assert.equal(at.state.supply.escrowed, 0n, "every task but the genesis one has ended");
  assert.equal(at.state.exits.length, 0);
});
