import assert from "node:assert/strict";
import { test } from "node:test";
import type { Proposal } from "../../../consensus/types/block.ts";
import {
  bench,
  bystander,
  certificate,
  finalize,
  LAST_HEIGHT,
  type Made,
  make,
  notarize,
  nullify,
  proposer,
  vote,
  votesIn,
} from "./harness.ts";

const LAST = make(1, undefined, LAST_HEIGHT);

/** The epoch's last block once more, in a later view. */
function again(of: number, parentView: number, made: Made = LAST): Proposal {
  const subject = notarize(of, parentView, made.hash);
  const nullifications = Array.from({ length: of - parentView - 1 }, (_, i) =>
    certificate(nullify(parentView + 1 + i)),
  );
  const notarization = [certificate(notarize(parentView, parentView === 1 ? 0 : 1, made.hash))];
  return {
    block: made.block,
    vote: vote(proposer(of), subject),
    justification: { nullifications, notarization },
  };
}

test("the proposer after the epoch's last block proposes that block itself, at once", () => {
  const it = bench(proposer(2));
  it.certificate(certificate(LAST.subject));
  it.block(LAST.block);
  const effects = it.checked(LAST);
  const sent = effects.find((effect) => effect.kind === "vote" && effect.subject.view === 2);
  assert.ok(sent?.kind === "vote");
  assert.deepEqual(sent.subject, notarize(2, 1, LAST.hash));
  assert.equal(sent.proposal?.block.header.view, 1);
  assert.equal(sent.proposal?.justification.notarization[0]?.subject.view, 1);
  assert.ok(!effects.some((effect) => effect.kind === "build"));
});

test("the block proposed again is voted for without a second check", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(LAST.subject));
  it.block(LAST.block);
  it.checked(LAST);
  const effects = it.proposal(again(2, 1));
  assert.deepEqual(votesIn(effects), ["notarize 2"]);
  assert.ok(!effects.some((effect) => effect.kind === "check"));
});

test("its notarization travels with it, and the nullifications of the views between", () => {
  const it = bench(bystander(1, 3));
  it.proposal(again(3, 1));
  assert.deepEqual(votesIn(it.checked(LAST)), ["finalize 1", "notarize 3"]);
});

test("nothing is built on the epoch's last block", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(LAST.subject));
  it.block(LAST.block);
  it.checked(LAST);
  const beyond = make(2, LAST);
  const { block, subject } = beyond;
  const justification = { nullifications: [], notarization: [] };
  const effects = it.proposal({ block, vote: vote(proposer(2), subject), justification });
  assert.deepEqual(votesIn(effects), ["nullify 2"]);
});

test("no other block may be proposed again", () => {
  const it = bench(bystander(1, 2));
  const one = make(1);
  it.certificate(certificate(one.subject));
  it.block(one.block);
  it.checked(one);
  assert.deepEqual(votesIn(it.proposal(again(2, 1, one))), ["nullify 2"]);
});

test("when the last block is final the engine is quiet, and answers stragglers with the finalization", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(LAST.subject));
  it.block(LAST.block);
  it.checked(LAST);
  it.certificate(certificate(finalize(LAST.subject)));
  assert.ok(it.engine.status().finished);
  assert.equal(it.engine.deadline, Number.POSITIVE_INFINITY);
  const effects = it.vote(vote(3, nullify(2)));
  const [sent] = effects;
  assert.ok(sent?.kind === "broadcast" && sent.certificate.subject.kind === 3);
  assert.deepEqual(it.vote(vote(2, nullify(2))), []);
});
