/** How much may be under verification at once: each limit is reached exactly, the next is told to come back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULTS, type Fault, fault, type Verdict } from "../../../consensus/primitives/faults.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { SELECTOR, type Transaction } from "../../../consensus/types/transaction.ts";
import { createAdmission } from "../../../node/admission.ts";
import { createMempool } from "../../../node/mempool.ts";
import { createWideChain, fieldBytes, genesisLink, sign, submissionOf } from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { until } from "./samples.ts";

const SLOTS = 64;
const OF_SLOT = 4;
const IN_HAND = 256;
const OF_PEERS = 384;
const OF_PEER = 128;
const EVIDENCE = 32;

const chain = createWideChain(3);
const genesis = genesisLink(chain);
const [alice] = chain.accounts;
assert.ok(alice !== undefined);
assert.equal(genesis.state.rounds.getReadonly(0).slots.length, SLOTS);

/** A node's door whose verifier answers when the test says so. */
function open() {
  const gates: ((answer: Fault | undefined) => void)[] = [];
  // A gate for each that is asked about, together or not.
  const held = (checks: readonly unknown[]): Promise<(Fault | undefined)[]> =>
    Promise.all(
      checks.map(() => {
        const { promise, resolve } = Promise.withResolvers<Fault | undefined>();
        gates.push(resolve);
        return promise;
      }),
    );
  const admission = createAdmission({
    chain: {
      params: chain.params,
      chain: chain.chain,
      tip: () => ({
        ...genesis,
        block: undefined,
        height: genesis.state.height,
        receipt: { transactions: [], submissions: [], epoch: undefined },
      }),
    },
    mempool: createMempool(chain.params, chain.chain),
    verification: {
      verifyTransaction: () => undefined,
      verifyPossession: () => undefined,
      verifySigners: () => [],
      verifyProofs: held,
      verifyEvidence: held,
    },
    network: { publish: () => {} },
    bundles: { publish: () => {} },
    limits: { mayRelay: () => true, onRejected: () => {} },
    onRejected: () => {},
    onPooled: () => {},
  });
  return {
    admission,
    /** How many are under verification. */
    verifying: (): number => gates.length,
    /** Answers all that waits. */
    answer(it?: Fault): void {
      for (const go of gates.splice(0)) go(it);
    },
  };
}

/** The nth different submission of a slot. */
function variant(slot: number, n: number, task = 0): Submission {
  const { outputs } = submissionOf(chain, genesis.state, task, slot);
  const name = `${task}-${slot}-${n}`;
  return submissionOf(chain, genesis.state, task, slot, {
    outputs: joined([fieldBytes(`nullifier ${name}`), fieldBytes(`tag ${name}`), ...split(outputs).slice(2)]),
  });
}
/** So many different ones, four of each slot, from a slot on that is counted through all tasks. */
const variants = (count: number, fromSlot = 0): Submission[] =>
  Array.from({ length: count }, (_, i) => {
    const at = fromSlot + Math.floor(i / OF_SLOT);
    return variant(at % SLOTS, i % OF_SLOT, Math.floor(at / SLOTS));
  });

/** Told to come back, for this reason; a caller may then do so. */
function assertBusy(verdict: Verdict, data: Record<string, unknown>): void {
  assert.ok(verdict.kind === "ignore", verdict.kind);
  assert.equal(verdict.fault.code, "rpc/busy");
  assert.deepEqual(verdict.fault.data, data);
  const [, retryable] = FAULTS[verdict.fault.code];
  assert.ok(retryable);
}
const kinds = async (answers: readonly Promise<Verdict>[]): Promise<string[]> => [
  ...new Set((await Promise.all(answers)).map(({ kind }) => kind)),
];

test("256 proofs are in hand, the next waits, and is taken when they are done", {
  timeout: 10_000,
}, async () => {
  const { admission, verifying, answer } = open();
  const started = variants(IN_HAND).map((it) => admission.admitSubmission(it));
  await until(() => verifying() === IN_HAND, "all are verified at once");
  const next = variant(0, 0, 1);
  assertBusy(await admission.admitSubmission(next), { inHand: IN_HAND });
  assert.equal(verifying(), IN_HAND, "it was not looked at");
  const [first] = variants(1);
  assert.ok(first !== undefined);
  const again = admission.admitSubmission(first);
  answer();
  assert.equal((await again).kind, "accept", "asking again for one that is in hand takes no place");
  await Promise.all(started);
  const taken = admission.admitSubmission(next);
  await until(() => verifying() === 1, "it is verified");
  answer();
  assert.equal((await taken).kind, "accept");
});

test("beside them 384 of peers are in hand, 128 of one peer: neither takes the others' places", {
  timeout: 10_000,
}, async () => {
  const { admission, verifying, answer } = open();
  const started: Promise<Verdict>[] = [];
  const slotsEach = OF_PEER / OF_SLOT;
  const spare = [50, 51, 52].map((slot) => variant(slot, 0, 2));
  const [late, last] = [variant(53, 0, 2), variant(49, 0, 2)];
  for (const [i, peer] of ["a", "b", "c"].entries()) {
    const from = i * slotsEach;
    for (const it of variants(OF_PEER, from)) started.push(admission.admitSubmission(it, peer));
    await until(() => verifying() === OF_PEER * (i + 1), "all are verified at once");
    assertBusy(await admission.admitSubmission(spare[i] ?? last, peer), { inHand: OF_PEER * (i + 1) });
  }
  assert.equal(verifying(), OF_PEERS);
  assertBusy(await admission.admitSubmission(late, "d"), { inHand: OF_PEERS });
  for (const it of variants(IN_HAND, 3 * slotsEach)) started.push(admission.admitSubmission(it));
  await until(() => verifying() === IN_HAND + OF_PEERS, "callers of this node have their own places");
  assertBusy(await admission.admitSubmission(last), { inHand: IN_HAND + OF_PEERS });
  answer();
  await Promise.all(started);
  const taken = [
    admission.admitSubmission(late, "d"),
    admission.admitSubmission(last),
    ...spare.map((it) => admission.admitSubmission(it, "a")),
  ];
  await until(() => verifying() === taken.length, "all are verified");
  answer();
  assert.deepEqual(await kinds(taken), ["accept"]);
});

test("four of one slot are verified at once, the fifth when one of them was false", {
  timeout: 10_000,
}, async () => {
  const { admission, verifying, answer } = open();
  const started = Array.from({ length: OF_SLOT }, (_, n) => admission.admitSubmission(variant(5, n)));
  await until(() => verifying() === OF_SLOT, "four are verified");
  assertBusy(await admission.admitSubmission(variant(5, OF_SLOT)), { ofSlot: OF_SLOT });
  answer(fault("submission/proof-invalid"));
  assert.deepEqual(await kinds(started), ["reject"]);
  const fifth = admission.admitSubmission(variant(5, OF_SLOT));
  await until(() => verifying() === 1, "it is verified");
  answer();
  assert.equal((await fifth).kind, "accept");
});

test("32 pieces of evidence against pods are verified at once, beside the proofs in hand", {
  timeout: 10_000,
}, async () => {
  const { admission, verifying, answer } = open();
  const lie = submissionOf(chain, genesis.state, 0, 0);
  const accusation = (nonce: number): Transaction =>
    sign(chain, alice, nonce, { selector: SELECTOR.podEvidence, value: { submission: lie } });
  const started = Array.from({ length: EVIDENCE }, (_, nonce) => admission.admit(accusation(nonce)));
  await until(() => verifying() === EVIDENCE, "all are verified at once");
  assertBusy(await admission.admit(accusation(EVIDENCE)), { inHand: EVIDENCE });
  const proof = admission.admitSubmission(variant(1, 0));
  await until(() => verifying() === EVIDENCE + 1, "the proof has its place");
  answer();
  assert.deepEqual(await kinds([...started, proof]), ["accept"]);
  const next = admission.admit(accusation(EVIDENCE));
  await until(() => verifying() === 1, "it is verified");
  answer();
  assert.equal((await next).kind, "accept");
});
