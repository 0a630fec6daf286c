/** Evidence: what is, what is not, once, in time; and what it costs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { aggregateSignatures, verifyAggregate } from "../../../consensus/primitives/bls.ts";
import { Amount, Epoch, View, zkp } from "../../../consensus/primitives/units.ts";
import { collectChecks, evidenceChecks } from "../../../consensus/state/checks.ts";
import { putAccount } from "../../../consensus/state/maps.ts";
import { SLASHINGS_EACH_MAX, type State, ValidatorStatus } from "../../../consensus/state/state.ts";
import { addToSupply } from "../../../consensus/state/supply.ts";
import { contextOf } from "../../../consensus/state/transition.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import {
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  offenceOf,
} from "../../../consensus/types/evidence.ts";
import type { Operation } from "../../../consensus/types/transaction.ts";
import { nullifySubject, type Subject, type Vote, VoteKind } from "../../../consensus/types/vote.ts";
import {
  accountOf,
  assertSupply,
  CHAIN,
  certify,
  createChain,
  hashOf,
  person,
  possessionOf,
  subject,
  type TestChain,
  voteOf,
} from "./chain.ts";

const E0 = Epoch(0);
const notarize = (fill: number, view = 1, epoch = E0, parentView = 0): Subject =>
  subject(VoteKind.notarize, epoch, view, parentView, hashOf(fill));
const finalize = (fill: number, view = 1, epoch = E0): Subject =>
  subject(VoteKind.finalize, epoch, view, 0, hashOf(fill));
const nullify = (view = 1, epoch = E0): Subject => nullifySubject(epoch, View(view));

const pair = (first: Vote, second: Vote): Evidence => ({ selector: 0, value: { first, second } });
const certificates = (first: Certificate, second: Certificate): Evidence => ({
  selector: 1,
  value: { first, second },
});
/** Two notarizes of validator `i`, whose position in the set is its number here. */
const doubleVote = (i: number, view = 1, epoch = E0): Evidence =>
  pair(voteOf(i, i, notarize(1, view, epoch)), voteOf(i, i, notarize(2, view, epoch)));

const SIX = [1_000, 1_000, 1_000, 1_000, 1_000, 1_000];

function assertHolds(chain: TestChain, evidence: Evidence, holds: boolean): void {
  const checks = evidenceChecks(chain.state, evidence);
  assert.equal(checks.length, 2);
  assert.equal(
    checks.every(({ keys, message, signature }) => verifyAggregate(message, keys, signature)),
    holds,
  );
}

describe("what is evidence", () => {
  test("two notarizes that differ in block or parent, two finalizes, a nullify with a finalize", () => {
    assert.equal(offenceOf(notarize(1), notarize(2)), "conflicting-notarize");
    assert.equal(offenceOf(notarize(1, 3, E0, 1), notarize(1, 3, E0, 2)), "conflicting-notarize");
    assert.equal(offenceOf(finalize(1), finalize(2)), "conflicting-finalize");
    assert.equal(offenceOf(nullify(), finalize(1)), "nullify-finalize");
    assert.equal(offenceOf(finalize(1), nullify()), "nullify-finalize");
  });

  test("not notarize with nullify, nor duplicates, nor two views, two epochs or a malformed subject", () => {
    assert.equal(offenceOf(notarize(1), nullify()), undefined);
    assert.equal(offenceOf(notarize(1), notarize(1)), undefined);
    assert.equal(offenceOf(notarize(1), finalize(1)), undefined);
    assert.equal(offenceOf(notarize(1), finalize(2)), undefined);
    assert.equal(offenceOf(nullify(), nullify()), undefined);
    assert.equal(offenceOf(notarize(1, 1), notarize(2, 2)), undefined);
    assert.equal(offenceOf(notarize(1), notarize(2, 1, Epoch(1))), undefined);
    assert.equal(offenceOf({ ...nullify(), blockHash: hashOf(3) }, finalize(1)), undefined);
  });

  test("honest notarize and nullify are refused by the state too", () => {
    const chain = createChain();
    const honest = pair(voteOf(1, 1, notarize(1)), voteOf(1, 1, nullify()));
    assert.equal(chain.accuse(honest)?.code, "evidence/no-conflict");
    assert.equal(chain.state.supply.slashed, 0n);
  });

  test("votes of two signers, and signers without a seat, are refused", () => {
    const chain = createChain();
    const two = pair(voteOf(1, 1, notarize(1)), voteOf(2, 2, notarize(2)));
    assert.equal(chain.accuse(two)?.code, "evidence/signer");
    assert.equal(chain.accuse(doubleVote(9))?.code, "evidence/signer");
  });

  test("encodes and decodes, and is collected as one check a half", () => {
    const chain = createChain();
    for (const evidence of [
      doubleVote(1),
      certificates(certify(chain, 0, notarize(1), [0, 1, 2]), certify(chain, 0, notarize(2), [1, 2, 3])),
    ]) {
      assert.deepEqual(decodeEvidence(encodeEvidence(evidence)), evidence);
      assertHolds(chain, evidence, true);
    }
    const { parent } = chain;
    const block = chain.block([], [doubleVote(1)]);
    const checks = collectChecks(parent.state, parent.set, block, contextOf(block.header, chain.params));
    assert.ok(!("code" in checks));
    assert.equal(checks.bls.filter(({ code }) => code === "block/evidence").length, 2);
  });

  test("swapped signatures leave a sum valid and fail one by one", () => {
    const chain = createChain();
    const [a, b] = [voteOf(1, 1, notarize(2)), voteOf(2, 2, notarize(2))];
    const sum = aggregateSignatures([a.signature, b.signature]) ?? new Uint8Array(96);
    const [check] = evidenceChecks(chain.state, pair(a, a));
    assert.ok(verifyAggregate(check?.message ?? CHAIN, [person(1).blsKey, person(2).blsKey], sum));
    const forged = pair(voteOf(1, 1, notarize(1)), { ...a, signature: b.signature });
    assertHolds(chain, forged, false);
  });

  test("certificates slash exactly those who signed both, and need a quorum", () => {
    const chain = createChain({ stakes: SIX });
    const evidence = certificates(
      certify(chain, 0, finalize(1), [0, 1, 2, 3, 4]),
      certify(chain, 0, nullify(), [1, 2, 3, 4, 5]),
    );
    const weak = certificates(
      certify(chain, 0, finalize(1), [0, 1, 2]),
      certify(chain, 0, nullify(), [1, 2, 3, 4, 5]),
    );
    assert.equal(chain.accuse(weak)?.code, "evidence/signer");
    assert.equal(chain.accuse(evidence), undefined);
    assert.deepEqual(
      SIX.map((_, i) => chain.validator(i).slashes),
      [0, 1, 1, 1, 1, 0],
    );
    assertSupply(chain.state, chain.params);
  });
});

describe("when", () => {
  test("a view is slashed once, however the evidence is put", () => {
    const chain = createChain();
    assert.equal(chain.accuse(doubleVote(1)), undefined);
    const other = pair(voteOf(1, 1, finalize(7)), voteOf(1, 1, nullify()));
    for (const again of [doubleVote(1), other]) assert.equal(chain.accuse(again)?.code, "evidence/known");
    assert.equal(chain.accuse(doubleVote(1, 2)), undefined);
    assert.equal(chain.validator(1).slashes, 2);
  });

  test("two pieces about one view in one block: the builder takes one", () => {
    const chain = createChain();
    const other = pair(voteOf(1, 1, finalize(7)), voteOf(1, 1, nullify()));
    const block = chain.block([], [doubleVote(1), other, doubleVote(2)]);
    assert.equal(block.body.evidence.length, 2);
    assert.equal(chain.validator(1).slashes, 1);
  });

  test("inside the window against old sets; not after it, and not for an epoch to come", () => {
    const chain = createChain();
    chain.toEpoch(2);
    assert.equal(chain.accuse(doubleVote(0)), undefined);
    assert.equal(chain.accuse(doubleVote(1, 1, Epoch(3)))?.code, "evidence/window");
    chain.toEpoch(3);
    assert.equal(chain.accuse(doubleVote(1))?.code, "evidence/window");
    assert.equal(chain.accuse(doubleVote(1, 1, Epoch(1))), undefined);
  });

  test("a validator that left is slashed while it unbonds, and waits the whole time again", () => {
    const chain = createChain({ stakes: SIX });
    chain.send(5, { selector: 7, value: { blsKey: person(5).blsKey } });
    chain.toEpoch(3);
    assert.ok(!chain.seats(2).includes(5));
    assert.equal(chain.accuse(doubleVote(5, 1, Epoch(1))), undefined);
    assert.equal(chain.validator(5).stake, zkp(950));
    const withdraw: Operation = { selector: 8, value: { blsKey: person(5).blsKey } };
    chain.toEpoch(5);
    assert.equal(chain.send(5, withdraw), "validator/too-early");
    chain.toEpoch(6);
    assert.equal(chain.send(5, withdraw), undefined);
    assertSupply(chain.state, chain.params);
  });

  test("a validator is slashed for so many views at most while they are remembered", () => {
    const chain = createChain();
    const all = Array.from({ length: SLASHINGS_EACH_MAX }, (_, i) => doubleVote(1, i + 1));
    chain.block([], all);
    assert.equal(chain.validator(1).slashes, SLASHINGS_EACH_MAX);
    assert.equal(chain.accuse(doubleVote(1, 99))?.code, "evidence/known");
  });
});

describe("what it costs", () => {
  test("5 % at once and the exit, ahead of those who asked", () => {
    const chain = createChain({ stakes: SIX });
    chain.block([[4, { selector: 7, value: { blsKey: person(4).blsKey } }]], [doubleVote(1)]);
    assert.equal(chain.validator(1).stake, zkp(950));
    assert.equal(chain.state.supply.slashed, zkp(50));
    assert.equal(chain.validator(1).status, ValidatorStatus.exiting);
    chain.toEpoch(1);
    assert.ok(chain.seats(1).includes(1), "seats that are fixed are kept");
    assert.ok(!chain.seats(2).includes(1) && chain.seats(2).includes(4));
    assertSupply(chain.state, chain.params);
  });

  test("one accident costs nothing more", () => {
    const chain = createChain({ stakes: SIX });
    chain.accuse(doubleVote(1));
    chain.toEpoch(4);
    assert.equal(chain.validator(1).stake, zkp(950));
    assert.equal(chain.validator(1).slashesOpen, 0);
    assert.equal(chain.state.slashings.length, 0);
  });

  test("clones that fail together fall together", () => {
    const chain = createChain({ stakes: SIX });
    chain.block([], [doubleVote(1), doubleVote(2)]);
    chain.toEpoch(4);
    // 3 × the other's sixth of the weight, of what the 5 % left.
    const expected = (zkp(950) * (10n ** 9n - (3n * 10n ** 9n) / 6n)) / 10n ** 9n;
    for (const i of [1, 2]) {
      const { stake } = chain.validator(i);
      assert.ok(stake - expected <= 10n ** 4n && stake >= expected, `${stake}`);
    }
    assertSupply(chain.state, chain.params);
  });

  test("three clones of six lose everything, also when one is found at the window's end", () => {
    const chain = createChain({ stakes: SIX });
    chain.block([], [doubleVote(1), doubleVote(2)]);
    chain.toEpoch(2);
    chain.accuse(doubleVote(3));
    chain.toEpoch(6);
    for (const i of [1, 2, 3]) assert.ok(chain.validator(i).stake < 10n ** 4n, `${chain.validator(i).stake}`);
    assertSupply(chain.state, chain.params);
  });

  test("when all four fail together all is lost, and the chain goes on", () => {
    const chain = createChain();
    chain.block(
      [],
      [0, 1, 2, 3].map((i) => doubleVote(i)),
    );
    chain.toEpoch(5);
    assert.equal(chain.state.supply.staked < 10n ** 6n, true);
    assert.deepEqual(chain.seats(6), [0, 1, 2, 3]);
    assert.ok(chain.parent.set.totalWeight > 0n && chain.parent.set.quorum > 0n);
    const value = { blsKey: person(4).blsKey, possession: possessionOf(4), stake: zkp(1_000) };
    assert.equal(chain.send(4, { selector: 5, value }), undefined);
    chain.toEpoch(8);
    assert.ok(chain.seats(8).includes(4) && chain.seats(8).length === 4);
    assertSupply(chain.state, chain.params);
  });

  test("accidents further apart than the window are not added up", () => {
    const chain = createChain({ stakes: SIX });
    chain.accuse(doubleVote(1));
    chain.toEpoch(3);
    // Validator 1 is gone: the second place is validator 2's.
    assert.deepEqual(chain.seats(3), [0, 2, 3, 4, 5]);
    chain.accuse(doubleVote(1, 1, Epoch(3)));
    chain.toEpoch(7);
    for (const i of [1, 2]) assert.equal(chain.validator(i).stake, zkp(950));
  });

  test("several views of one validator are one share for the others", () => {
    const chain = createChain({ stakes: SIX });
    chain.block([], [doubleVote(1), doubleVote(1, 2), doubleVote(2)]);
    chain.toEpoch(4);
    const { stake } = chain.validator(2);
    assert.ok(stake >= zkp(475) && stake < zkp(475) + 10n ** 4n);
  });

  test("locked rewards are slashed like stake, and burned when they unlock", () => {
    const chain = createChain({ stakes: SIX });
    lock(chain.state, 1, zkp(100), 3);
    assertSupply(chain.state, chain.params);
    chain.accuse(doubleVote(1));
    assert.equal(chain.validator(1).lockedDebt, zkp(5));
    const before = accountOf(chain.state, 1)?.balance ?? 0n;
    chain.toEpoch(3);
    const after = accountOf(chain.state, 1);
    assert.equal(after?.locked, 0n);
    // Half of each fee goes to proposers: nobody pays one here.
    assert.equal((after?.balance ?? 0n) - before, zkp(95));
    assert.equal(chain.validator(1).lockedDebt, 0n);
    assert.equal(chain.state.supply.slashed, zkp(55));
    assertSupply(chain.state, chain.params);
  });
});

/** As if the epoch before had paid a reward. */
function lock(state: State, i: number, amount: Amount, unlockEpoch: number): void {
  const account = accountOf(state, i);
  assert.ok(account !== undefined);
  putAccount(state, { ...account, locked: amount });
  const { elementType } = state.type.fields.locks;
  state.locks.set(unlockEpoch, elementType.toViewDU([{ account: account.address, amount }]));
  addToSupply(state, "locked", amount);
  addToSupply(state, "minted", amount);
  state.commit();
}

test("supply is conserved to the nzkp in any history of staking and slashing", () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("join" as const), i: fc.integer({ min: 0, max: 9 }), n: fc.nat(3_000) }),
    fc.record({
      kind: fc.constantFrom("exit" as const, "withdraw" as const, "unjail" as const, "topUp" as const),
      i: fc.integer({ min: 0, max: 9 }),
      n: fc.nat(10 ** 9),
    }),
    fc.record({ kind: fc.constant("evidence" as const), i: fc.integer({ min: 0, max: 6 }), n: fc.nat(3) }),
    fc.record({ kind: fc.constant("absent" as const), i: fc.integer({ min: 0, max: 9 }), n: fc.nat(1) }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.array(operation, { maxLength: 4 }), { minLength: 6, maxLength: 40 }),
      (history) => {
        const chain = createChain({ stakes: [1_000, 700, 1_300, 1_000, 400, 2_000] });
        for (const [at, did] of history.entries()) {
          const { epoch } = chain.state;
          const transactions: [number, Operation][] = [];
          const evidence: Evidence[] = [];
          for (const { kind, i, n } of did) {
            const { blsKey } = person(i);
            if (kind === "join") {
              const value = { blsKey, possession: possessionOf(i), stake: zkp(n) };
              transactions.push([i, { selector: 5, value }]);
            } else if (kind === "topUp") {
              transactions.push([i, { selector: 6, value: { blsKey, amount: Amount(BigInt(n)) } }]);
            } else if (kind === "exit") transactions.push([i, { selector: 7, value: { blsKey } }]);
            else if (kind === "withdraw") transactions.push([i, { selector: 8, value: { blsKey } }]);
            else if (kind === "unjail") transactions.push([i, { selector: 9, value: { blsKey } }]);
            else if (kind === "absent") chain.setAbsent(n === 0 ? [] : [i]);
            else evidence.push(doubleVote(i, n + 1, Epoch(Math.max(0, epoch - (at % 4)))));
          }
          chain.block(transactions, evidence);
          assertSupply(chain.state, chain.params);
        }
        assert.ok(chain.seats(chain.state.epoch + 1).length >= 4);
      },
    ),
    { numRuns: 25 },
  );
});
