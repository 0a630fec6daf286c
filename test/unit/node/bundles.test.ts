/** Bundles at the door: good ones are taken, who is wrong pays, and nobody is made to repeat, or to answer for, what others pack. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fault, fault } from "../../../consensus/primitives/faults.ts";
import type { SubmissionChecks } from "../../../consensus/state/checks.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { createAdmission } from "../../../node/admission.ts";
import { createBundles } from "../../../node/bundles.ts";
import { createMempool } from "../../../node/mempool.ts";
import type { Judgement } from "../../../node/network/gossip.ts";
import { createGossipQueue } from "../../../node/network/gossip-queue.ts";
import { BUNDLE_MAX } from "../../../node/network/topics.ts";
import { createRelayLimits } from "../../../node/relay-limits.ts";
import { createWideChain, fieldBytes, genesisLink, submissionOf } from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { until } from "./samples.ts";

const chain = createWideChain(3);
const { hash, set, view, parent, state } = genesisLink(chain);

/** The honest one of a slot; two tasks have 64 each. */
const good = (at: number): Submission => submissionOf(chain, state, at >> 6, at & 63);
const goods = (count: number, from = 0): Submission[] =>
  Array.from({ length: count }, (_, i) => good(from + i));
/** Its pod has signed it, and its proof is false. */
const lie = (at: number): Submission =>
  submissionOf(chain, state, at >> 6, at & 63, {
    outputs: joined([fieldBytes(`lie ${at}`), fieldBytes("t"), ...split(good(at).outputs).slice(2)]),
    proof: new Uint8Array(128).fill(0xee),
  });
const slotsOf = (bundle: readonly Submission[]): number[] => bundle.map(({ slot }) => slot);
const TIP = { hash, set, view, parent, state, block: undefined, height: state.height };
const RECEIPT = { transactions: [], submissions: [], epoch: undefined };

/** A node as far as submissions go: its verifier knows lies, and answers at once unless it is held. */
function node() {
  const published: (readonly Submission[])[] = [];
  const gates: (() => void)[] = [];
  const held = { isHeld: false, isBroken: false };
  const counts = { proofs: 0, blamed: 0 };
  const mempool = createMempool(chain.params, chain.chain);
  const limits = createRelayLimits({ network: { blame: () => void counts.blamed++ }, nowMs: () => 0 });
  const verifyProofs = async (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> => {
    counts.proofs += checks.length;
    if (held.isHeld)
      await Promise.all(checks.map(() => new Promise<void>((resolve) => void gates.push(resolve))));
    if (held.isBroken) throw new Error("worker died");
    return checks.map(({ proof }) =>
      proof.proof[0] === 0xee ? fault("submission/proof-invalid") : undefined,
    );
  };
  const bundles = createBundles({
    mempool,
    network: { publish: ({ topic, value }) => topic === "submissions" && published.push(value) },
    admit: (bundle, from) => admission.admitBundle(bundle, from),
  });
  const admission = createAdmission({
    chain: { params: chain.params, chain: chain.chain, tip: () => ({ ...TIP, receipt: RECEIPT }) },
    mempool,
    verification: {
      verifyTransaction: () => undefined,
      verifyPossession: () => undefined,
      verifySigners: () => [],
      verifyProofs,
      verifyEvidence: async () => [],
    },
    network: { publish: () => {} },
    bundles,
    limits,
    onRejected: () => {},
    onPooled: () => {},
  });
  return {
    ...{ admission, bundles, mempool, limits, published, counts, held },
    /** What waits for the verifier. */
    waiting: (): number => gates.length,
    release(): void {
      held.isHeld = false;
      for (const go of gates.splice(0)) go();
    },
    pooled: (): number => mempool.counts().submissions,
  };
}
const brief = ({ useless, ...it }: Judgement): string =>
  `${it.kind === "accept" ? "accept" : `${it.kind} ${it.fault.code}`}, ${useless} of no use`;
const FALSE = "reject submission/proof-invalid, 0 of no use";

test("a bundle of what is valid and new is accepted as it is, and pooled", async () => {
  const b = node();
  assert.equal(brief(await b.bundles.judge(goods(32), "a")), "accept, 0 of no use");
  assert.equal(b.pooled(), 32);
  assert.deepEqual(b.published, [], "it travels on by its verdict, not as another message");
});

test("of 31 good ones and a false one the good ones are pooled and passed on, and the sender pays for the false one", async () => {
  const b = node();
  const bundle = [...goods(20), lie(20), ...goods(11, 21)];
  assert.equal(brief(await b.bundles.judge(bundle, "liar")), FALSE);
  assert.equal(b.pooled(), 31);
  assert.deepEqual(b.published.map(slotsOf), [slotsOf([...goods(20), ...goods(11, 21)])]);
  assert.equal(b.limits.points("liar"), 10);
});

test("each false one of a bundle is charged, not the bundle", async () => {
  const b = node();
  const bundle = [lie(0), good(1), lie(2), lie(3)];
  assert.equal(brief(await b.bundles.judge(bundle, "liar")), FALSE);
  assert.equal(b.limits.points("liar"), 30);
  await b.bundles.judge(
    Array.from({ length: 16 }, (_, i) => lie(10 + i)),
    "other",
  );
  assert.ok(b.counts.blamed > 0, "ten are enough to be cut off");
  assert.equal(b.limits.points("liar"), 30);
});

test("each member counts as a message where messages are counted", async () => {
  const b = node();
  for (let i = 0; b.limits.mayRelay("flooder"); i++) assert.ok(i < 20_000);
  const before = b.limits.points("flooder");
  const bundle = goods(32);
  assert.equal(brief(await b.bundles.judge(bundle, "flooder")), "ignore rpc/busy, 32 of no use");
  assert.equal(Math.round((b.limits.points("flooder") - before) * 10), 32);
  assert.equal(b.counts.proofs, 0);
});

/**
 * The attack: B has no eye for one of the bundle (its slot is filled there), C has. If B passed the bundle on for
 * the good ones in it, C would charge B for the false one.
 */
test("a node passes on nothing that it has not found valid itself, so that nobody can make it pay for a lie", async () => {
  const [b, c] = [node(), node()];
  await b.bundles.judge([good(5)], "a");
  const verdict = await b.bundles.judge([good(1), lie(5), good(2)], "liar");
  assert.equal(brief(verdict), "ignore submission/slot-filled, 1 of no use");
  assert.deepEqual(b.published.map(slotsOf), [[1, 2]], "what is good in it is passed on without the rest");
  for (const bundle of b.published) {
    assert.equal(brief(await c.bundles.judge(bundle, "b")), "accept, 0 of no use");
  }
  assert.equal(c.limits.points("b"), 0);
  assert.equal(brief(await c.bundles.judge([good(1), lie(5), good(2)], "liar")), FALSE);
});

test("late, repeated, without a place or for a filled slot: nobody is charged, each is of no use", async () => {
  const b = node();
  await b.bundles.judge([good(5)], "a");
  const late = submissionOf(chain, state, 0, 6, { epoch: (state.epoch + 1) as typeof state.epoch });
  const rival = submissionOf(chain, state, 0, 5, {
    outputs: joined([fieldBytes("n"), fieldBytes("t"), ...split(good(5).outputs).slice(2)]),
  });
  const verdict = await b.bundles.judge([late, rival, good(7)], "honest");
  assert.equal(brief(verdict), "ignore submission/epoch-mismatch, 2 of no use");
  assert.equal(b.limits.points("honest"), 0);
  assert.equal(b.pooled(), 2);
});

/** The attack: one new submission would carry 31 old ones through the whole network, again and again. */
test("old ones around a new one are not passed on again, whoever packs them", async () => {
  const b = node();
  const old = goods(31);
  assert.equal((await b.bundles.judge(old, "a")).kind, "accept");
  for (let round = 0; round < 3; round++) {
    const fresh = good(40 + round);
    const useless = round === 0 ? 0 : 31;
    const verdict = await b.bundles.judge([...old, fresh], "packer");
    assert.equal(brief(verdict), `ignore submission/nullifier-spent, ${useless} of no use`);
    assert.deepEqual(b.published.slice(round).map(slotsOf), [[40 + round]]);
  }
  const verdict = await b.bundles.judge(old.toReversed(), "packer");
  assert.equal(brief(verdict), "ignore submission/nullifier-spent, 31 of no use");
  assert.equal(b.published.length, 3);
});

/**
 * The attack: an attacker gives B one by one what it gives C in a bundle. B passes it on in good faith, and C must
 * not hold it against B that it had all of it already; the second time it would.
 */
test("who brings what others brought first is not blamed for it, who brings it twice is", async () => {
  const [b, c] = [node(), node()];
  const all = goods(32);
  await c.bundles.judge(all, "attacker");
  for (const it of all) {
    assert.equal((await b.bundles.judge([it], "attacker")).kind, "accept");
    const verdict = await c.bundles.judge([it], "b");
    assert.equal(brief(verdict), "ignore submission/nullifier-spent, 0 of no use");
  }
  for (const it of all) {
    const verdict = await c.bundles.judge([it], "attacker");
    assert.equal(brief(verdict), "ignore submission/nullifier-spent, 1 of no use");
  }
  assert.equal(c.limits.points("b"), 0);
  assert.deepEqual([b.published, c.published], [[], []]);
});

test("of two bundles at once that share members, each member is verified once and passed on once", async () => {
  const b = node();
  b.held.isHeld = true;
  const both = [
    b.bundles.judge(goods(20), "a"),
    b.bundles.judge([...goods(10, 10), ...goods(10, 20)], "b"),
  ] as const;
  await until(() => b.waiting() === 30, "all are verified");
  b.release();
  const verdicts = await Promise.all(both);
  assert.deepEqual(
    verdicts.map(({ kind }) => kind),
    ["accept", "ignore"],
  );
  assert.deepEqual(b.published.map(slotsOf), [slotsOf(goods(10, 20))]);
  assert.equal(b.counts.proofs, 30);
});

test("what was learnt by question, and not gossiped, is passed on when it comes by gossip", async () => {
  const b = node();
  assert.equal((await b.admission.admitSubmission(good(3), "asked")).kind, "accept");
  assert.deepEqual(b.published, []);
  assert.equal(brief(await b.bundles.judge(goods(8), "a")), "accept, 0 of no use");
});

test("what came by RPC is published once, and not again when peers bring it", async () => {
  const b = node();
  assert.equal((await b.admission.admitSubmission(good(3))).kind, "accept");
  assert.equal((await b.admission.admitSubmission(good(3))).kind, "accept");
  assert.deepEqual(b.published.map(slotsOf), [[3]]);
  assert.equal((await b.bundles.judge([good(3)], "a")).kind, "ignore");
  assert.equal((await b.bundles.judge([good(3), good(4)], "b")).kind, "ignore");
  assert.deepEqual(b.published.map(slotsOf), [[3], [4]]);
});

test("a verifier that fails leaves no verdict and no trace: the bundle can come again", async () => {
  const b = node();
  b.held.isBroken = true;
  await assert.rejects(b.bundles.judge(goods(4), "a"), /worker died/);
  b.held.isBroken = false;
  assert.equal(brief(await b.bundles.judge(goods(4), "a")), "accept, 0 of no use");
});

test("full bundles of many peers all find places at the door, while pools are learnt from each of them", async () => {
  const b = node();
  b.held.isHeld = true;
  const queue = createGossipQueue();
  const verdicts: Judgement[] = [];
  const asked = goods(BUNDLE_MAX).map((it) => b.admission.admitSubmission(it, "a"));
  let next = BUNDLE_MAX;
  for (const [from, size] of [
    ["a", BUNDLE_MAX],
    ["a", BUNDLE_MAX],
    ["a", BUNDLE_MAX],
    ["a", 12],
    ["b", BUNDLE_MAX],
  ] as const) {
    const bundle = goods(size, next);
    next += size;
    const judge = async (): Promise<void> => void verdicts.push(await b.bundles.judge(bundle, from));
    assert.ok(queue.add(from, { weight: bundle.length, bytes: 1, judge }));
  }
  await until(
    () => b.waiting() === BUNDLE_MAX + 3 * BUNDLE_MAX + BUNDLE_MAX,
    "three of one peer and one of the other are verified, beside what was asked for",
  );
  b.release();
  await until(() => queue.size() === 0, "all verdicts are in");
  assert.deepEqual(
    verdicts.map(({ kind }) => kind),
    new Array(5).fill("accept"),
  );
  assert.ok((await Promise.all(asked)).every(({ kind }) => kind === "accept"));
});
