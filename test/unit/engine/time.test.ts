import assert from "node:assert/strict";
import { test } from "node:test";
import type { Effect, Report } from "../../../consensus/engine/protocol.ts";
import { growth } from "../../../consensus/engine/rules.ts";
import type { Proposal } from "../../../consensus/types/block.ts";
import {
  bench,
  bystander,
  certificate,
  make,
  nullify,
  propose,
  proposer,
  TIMEOUTS,
  view,
  vote,
  votesIn,
} from "./harness.ts";

test("timeouts grow by a quarter a view from the fourth unfinalized one on, thirtyfold at most", () => {
  assert.equal(growth(view(3), view(0)), 1);
  assert.equal(growth(view(4), view(0)), 1.25);
  assert.equal(growth(view(104), view(100)), 1.25);
  assert.equal(growth(view(1000), view(0)), 30);
  const it = bench(bystander(9));
  assert.equal(it.engine.deadline, TIMEOUTS.proposalMs);
  for (let of = 1; of <= 8; of++) it.certificate(certificate(nullify(of)));
  assert.equal(it.engine.deadline, TIMEOUTS.proposalMs * 1.25 ** 6);
});

test("without a proposal the view is given up at the first deadline, with one at the second", () => {
  const without = bench(bystander(1));
  without.tick();
  assert.equal(without.nowMs, TIMEOUTS.proposalMs);
  const withOne = bench(bystander(1));
  const one = make(1);
  withOne.engine.step({ kind: "proposal", proposal: propose(one), from: proposer(1) }, 0);
  assert.equal(withOne.engine.deadline, TIMEOUTS.notarizationMs);
});

const missedIn = (effects: readonly Effect[]): readonly Report[] =>
  effects.flatMap((it) => (it.kind === "report" && it.report.kind === "missed-view" ? [it.report] : []));

test("A view given up for a block that waits names its timestamp: the other's, in the own turn the parent's", () => {
  const others = bench(bystander(1));
  const one = make(1);
  others.proposal(propose(one));
  others.checked(one, "pending");
  const report = { kind: "missed-view", reason: "missing-parent", timestampMs: one.block.header.timestampMs };
  assert.deepEqual(missedIn(others.tick()), [{ ...report, view: 1 }]);

  const own = bench(proposer(2));
  own.proposal(propose(one));
  own.checked(one, "pending");
  own.certificate(certificate(one.subject));
  assert.equal(own.engine.view, 2);
  assert.deepEqual(missedIn(own.tick()), [{ ...report, view: 2 }]);
});

test("Inactive proposer: one that was silent for long while a quorum spoke is skipped at once", () => {
  const it = bench(bystander(1, 2));
  const silent = proposer(2);
  it.nowMs = TIMEOUTS.skipMs + 1;
  for (const signer of [0, 1, 2, 3]) if (signer !== silent) it.vote(vote(signer, nullify(3)));
  for (const signer of [0, 1, 2, 3]) if (signer !== silent) it.vote(vote(signer, nullify(1)));
  assert.equal(it.engine.view, 2);
  assert.ok(it.engine.status().nullified);
});

test("Inactive proposer: the hint is not used when its proposal is at hand", () => {
  const self = bystander(1, 2);
  const others = [0, 1, 2, 3].filter((signer) => signer !== self && signer !== proposer(2));
  const one = make(1);
  const nullifiedAfter = (early: readonly Proposal[]): boolean => {
    const it = bench(self);
    it.certificate(certificate(one.subject));
    for (const proposal of early) it.engine.step({ kind: "proposal", proposal, from: undefined }, 0);
    it.nowMs = TIMEOUTS.skipMs + 1;
    for (const signer of others) it.vote(vote(signer, nullify(3)));
    assert.equal(it.engine.view, 2);
    return it.engine.status().nullified;
  };
  assert.equal(nullifiedAfter([]), true);
  assert.equal(nullifiedAfter([propose(make(2, one))]), false);
});

test("Inactive proposer: nobody is skipped while less than a quorum is heard", () => {
  const it = bench(bystander(1, 2));
  it.nowMs = TIMEOUTS.skipMs + 1;
  assert.ok(!votesIn(it.certificate(certificate(nullify(1)))).includes("nullify 2"));
});

test("Fast nullify: a proposer that gives its own view up before proposing is not waited for", () => {
  const it = bench(bystander(1));
  assert.deepEqual(votesIn(it.vote(vote(proposer(1), nullify(1)))), ["nullify 1"]);
});

test("Fast nullify: a proposer's nullify after its proposal changes nothing", () => {
  const it = bench(bystander(1));
  it.proposal(propose(make(1)));
  assert.deepEqual(votesIn(it.vote(vote(proposer(1), nullify(1)))), []);
});

test("entering a view: a certificate of it, or of a later one, opens the next, and nobody goes back", () => {
  const it = bench(bystander(1));
  it.certificate(certificate(nullify(7)));
  assert.equal(it.engine.view, 8);
  it.certificate(certificate(make(1).subject));
  it.certificate(certificate(nullify(3)));
  assert.equal(it.engine.view, 8);
});

test("entering a view: the certificate that opens it is passed on by everybody, once; others are only stored", () => {
  const it = bench(bystander(1));
  const kinds = (of: number): string[] =>
    it.certificate(certificate(nullify(of))).flatMap(({ kind }) => (kind === "report" ? [] : [kind]));
  assert.ok(kinds(1).includes("broadcast"));
  assert.ok(!kinds(1).includes("broadcast"));
  assert.ok(kinds(5).includes("store"));
});

test("an observer follows and signs nothing", () => {
  const it = bench(undefined);
  for (let i = 0; i < 4; i++) assert.deepEqual(votesIn(it.tick()), []);
  it.certificate(certificate(nullify(1)));
  assert.equal(it.engine.view, 2);
});
