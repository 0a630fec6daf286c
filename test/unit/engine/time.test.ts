import assert from "node:assert/strict";
import { test } from "node:test";
import { growth } from "../../../consensus/engine/rules.ts";
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

test("a proposer that was silent for long while a quorum spoke is skipped at once", () => {
  const it = bench(bystander(1, 2));
  const silent = proposer(2);
  it.nowMs = TIMEOUTS.skipMs + 1;
  for (const signer of [0, 1, 2, 3]) if (signer !== silent) it.vote(vote(signer, nullify(3)));
  for (const signer of [0, 1, 2, 3]) if (signer !== silent) it.vote(vote(signer, nullify(1)));
  assert.equal(it.engine.view, 2);
  assert.ok(it.engine.status().nullified);
});

test("nobody is skipped while less than a quorum is heard", () => {
  const it = bench(bystander(1, 2));
  it.nowMs = TIMEOUTS.skipMs + 1;
  assert.ok(!votesIn(it.certificate(certificate(nullify(1)))).includes("nullify 2"));
});

test("a proposer that gives its own view up before proposing is not waited for", () => {
  const it = bench(bystander(1));
  assert.deepEqual(votesIn(it.vote(vote(proposer(1), nullify(1)))), ["nullify 1"]);
});

test("an observer follows and signs nothing", () => {
  const it = bench(undefined);
  for (let i = 0; i < 4; i++) assert.deepEqual(votesIn(it.tick()), []);
  it.certificate(certificate(nullify(1)));
  assert.equal(it.engine.view, 2);
});
