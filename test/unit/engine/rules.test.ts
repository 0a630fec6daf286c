import assert from "node:assert/strict";
import { test } from "node:test";
import { type Body, blockHash, bodyRoot } from "../../../consensus/types/block.ts";
import {
  bench,
  bystander,
  certificate,
  finalize,
  kindsIn,
  type Made,
  make,
  notarize,
  nullify,
  propose,
  proposer,
  vote,
  votesIn,
} from "./harness.ts";

const ONE = make(1);
const TWO = make(2, ONE);

/** The same header over another body. */
function withBody(made: Made, body: Body): Made {
  const header = { ...made.block.header, bodyRoot: bodyRoot(body) };
  const hash = blockHash(header);
  return { block: { header, body }, hash, subject: { ...made.subject, blockHash: hash } };
}

test("N: a valid first proposal is notarized, once its check is there", () => {
  const it = bench(bystander(1));
  assert.deepEqual(kindsIn(it.proposal(propose(ONE))), ["check"]);
  assert.deepEqual(votesIn(it.checked(ONE)), ["notarize 1"]);
});

test("N1: nobody but the view's proposer can propose", () => {
  const it = bench(bystander(1));
  const foreign = { ...propose(ONE), vote: vote(bystander(1), ONE.subject) };
  const [effect] = it.proposal(foreign);
  assert.ok(effect?.kind === "report" && effect.report.kind === "misbehaviour");
});

test("N1: a second proposal of the view is not voted for, and is evidence", () => {
  const it = bench(bystander(1));
  const other = make(1, undefined, 11, 7);
  it.proposal(propose(ONE));
  const effects = it.proposal(propose(other));
  assert.ok(effects.some((effect) => effect.kind === "report" && effect.report.kind === "equivocation"));
  assert.deepEqual(votesIn(it.checked(other)), []);
  assert.deepEqual(votesIn(it.checked(ONE)), ["notarize 1"]);
});

test("N2: no notarize after nullify", () => {
  const it = bench(bystander(1));
  assert.deepEqual(votesIn(it.tick()), ["nullify 1"]);
  it.proposal(propose(ONE));
  assert.deepEqual(votesIn(it.checked(ONE)), []);
});

test("N2: no second notarize in one view", () => {
  const it = bench(bystander(1));
  it.proposal(propose(ONE));
  it.checked(ONE);
  assert.deepEqual(votesIn(it.checked(ONE)), []);
  assert.deepEqual(votesIn(it.proposal(propose(make(1, undefined, 11, 3)))), []);
});

test("N3: a block whose parent's certificate does not verify is given up at once", () => {
  const it = bench(bystander(2));
  it.certificate(certificate(ONE.subject));
  const forged = { ...certificate(ONE.subject, [0, 1, 3]), signature: new Uint8Array(96) };
  const body = { ...TWO.block.body, parentCertificate: [forged] };
  const effects = it.proposal(propose(withBody(TWO, body)));
  assert.deepEqual(votesIn(effects), ["nullify 2"]);
});

test("N3: the certificate must be of exactly the parent's view and hash", () => {
  const it = bench(bystander(2));
  const other = make(1, undefined, 11, 9);
  const body = { ...TWO.block.body, parentCertificate: [certificate(other.subject)] };
  const effects = it.proposal(propose(withBody(TWO, body)));
  assert.deepEqual(votesIn(effects), ["nullify 2"]);
});

test("N4: a skipped view needs its nullification; until then the proposal is pending and it is asked for", () => {
  const it = bench(bystander(1, 3));
  const three = make(3, ONE);
  it.certificate(certificate(nullify(2)));
  it.certificate(certificate(nullify(1)));
  const late = bench(bystander(1, 3));
  late.certificate(certificate(notarize(2, 1, new Uint8Array(32).fill(5))));
  const effects = late.proposal(propose(three));
  late.checked(ONE);
  assert.deepEqual(votesIn(late.checked(three)), []);
  const asked = effects.find((effect) => effect.kind === "fetch" && effect.want === "certificates");
  assert.ok(asked?.kind === "fetch" && asked.want === "certificates" && asked.from === 2 && asked.to === 2);
  assert.deepEqual(votesIn(late.certificate(certificate(nullify(2)))), ["notarize 3"]);
  it.proposal(propose(three));
  assert.deepEqual(votesIn(it.checked(three)), ["notarize 3"]);
});

test("N4: nullifications that come with the proposal will do", () => {
  const it = bench(bystander(1, 3));
  const three = make(3, ONE);
  it.proposal(propose(three, [certificate(nullify(2))]));
  assert.equal(it.engine.view, 3);
  assert.deepEqual(votesIn(it.checked(three)), ["notarize 3"]);
});

test("N5: pending is no verdict, invalid is given up at once", () => {
  const it = bench(bystander(1));
  it.proposal(propose(ONE));
  assert.deepEqual(votesIn(it.checked(ONE, "pending")), []);
  assert.deepEqual(votesIn(it.checked(ONE, "valid")), ["notarize 1"]);
  const other = bench(bystander(1));
  other.proposal(propose(ONE));
  assert.deepEqual(votesIn(other.checked(ONE, "invalid")), ["nullify 1"]);
});

test("a body that is not the header's says nothing about the block", () => {
  const it = bench(bystander(1));
  const body = { ...ONE.block.body, beaconReveal: new Uint8Array(96).fill(1) };
  const effects = it.proposal({ ...propose(ONE), block: { ...ONE.block, body } });
  assert.deepEqual(kindsIn(effects), ["report"]);
  assert.deepEqual(kindsIn(it.proposal(propose(ONE))), ["check"]);
});

test("L: nullify is allowed after notarize, and repeated with what opened the view", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  it.proposal(propose(TWO));
  it.checked(ONE);
  assert.deepEqual(votesIn(it.checked(TWO)), ["notarize 2"]);
  assert.deepEqual(votesIn(it.tick()), ["nullify 2"]);
  const again = it.tick();
  assert.deepEqual(votesIn(again), ["nullify 2"]);
  const sent = again.find((effect) => effect.kind === "broadcast");
  assert.ok(sent?.kind === "broadcast" && sent.certificate.subject.view === 1);
});

test("L: the own nullify counts again after a restart has emptied the tally", () => {
  const restored = { subjects: [{ subject: nullify(1) }], certificates: [], finalized: undefined };
  const self = bystander(1);
  const it = bench(self, { restored });
  assert.deepEqual(votesIn(it.started), ["nullify 1"]);
  const others = [0, 1, 2, 3].filter((signer) => signer !== self).slice(0, 2);
  for (const signer of others) it.vote(vote(signer, nullify(1)));
  assert.equal(it.engine.view, 1);
  assert.deepEqual(votesIn(it.tick()), ["nullify 1"]);
  it.engine.step({ kind: "vote", vote: vote(self, nullify(1)), from: undefined }, it.nowMs);
  assert.equal(it.engine.view, 2);
});

test("L: after five repetitions without finality the last finalization is sent too, and more is asked for", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  it.certificate(certificate(finalize(ONE.subject)));
  it.tick();
  const repeated = Array.from({ length: 6 }, () => it.tick()).flat();
  const sent = repeated.filter(
    (effect) => effect.kind === "broadcast" && effect.certificate.subject.kind === 3,
  );
  assert.ok(sent.length > 0 && sent.length < 6);
  assert.ok(repeated.some((effect) => effect.kind === "fetch" && effect.want === "certificates"));
});

test("L: no nullify in a view where finalize was cast, though its certificate was lost", () => {
  const subjects = [{ subject: ONE.subject }, { subject: finalize(ONE.subject) }];
  const it = bench(bystander(1), { restored: { subjects, certificates: [], finalized: undefined } });
  assert.equal(it.engine.view, 1);
  for (let i = 0; i < 5; i++) assert.ok(!votesIn(it.tick()).includes("nullify 1"));
});

test("F: a notarization of a block that was validated here is finalized", () => {
  const it = bench(bystander(1, 2));
  it.proposal(propose(ONE));
  it.checked(ONE);
  assert.deepEqual(votesIn(it.certificate(certificate(ONE.subject))), ["finalize 1"]);
});

test("F1: a quorum of finalizes without the notarization makes nobody here finalize", () => {
  const it = bench(bystander(1, 2));
  it.proposal(propose(ONE));
  it.checked(ONE);
  assert.deepEqual(votesIn(it.vote(vote(bystander(1), finalize(ONE.subject)))), []);
  assert.deepEqual(votesIn(it.certificate(certificate(nullify(1)))), []);
  assert.deepEqual(votesIn(it.certificate(certificate(ONE.subject))), ["finalize 1"]);
});

test("F2: the block may be validated after the view was left", () => {
  const it = bench(bystander(1, 2));
  const effects = it.certificate(certificate(ONE.subject));
  assert.ok(effects.some((effect) => effect.kind === "fetch" && effect.want === "block"));
  assert.deepEqual(kindsIn(it.block(ONE.block)), ["check"]);
  assert.deepEqual(votesIn(it.checked(ONE)), ["finalize 1"]);
});

test("F3: no finalize after nullify", () => {
  const it = bench(bystander(1, 2));
  it.proposal(propose(ONE));
  it.checked(ONE);
  it.tick();
  assert.deepEqual(votesIn(it.certificate(certificate(ONE.subject))), []);
  assert.equal(it.engine.view, 2);
});

test("F4: no finalize of another block than the one notarized", () => {
  const it = bench(bystander(1, 2));
  const other = make(1, undefined, 11, 5);
  it.proposal(propose(ONE));
  it.checked(ONE);
  it.certificate(certificate(other.subject));
  it.block(other.block);
  assert.deepEqual(votesIn(it.checked(other)), []);
});

test("F5: no finalize at or below the last finalized view", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  it.certificate(certificate(finalize(TWO.subject)));
  it.block(ONE.block);
  assert.deepEqual(votesIn(it.checked(ONE)), []);
});

test("a finalization finalizes, and its votes count long after the view was left", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  it.certificate(certificate(nullify(2)));
  const votes = [0, 1, 2].flatMap((signer) => it.vote(vote(signer, finalize(ONE.subject))));
  assert.ok(votes.some((effect) => effect.kind === "finalize"));
  assert.equal(it.engine.finalizedView, 1);
});

test("a notarized block that is invalid here stops all signing", () => {
  const it = bench(bystander(1, 2));
  it.proposal(propose(ONE));
  it.certificate(certificate(ONE.subject));
  const effects = it.checked(ONE, "invalid");
  assert.ok(effects.some((effect) => effect.kind === "report" && effect.report.kind === "diverged"));
  assert.equal(it.engine.deadline, Number.POSITIVE_INFINITY);
  assert.ok(it.engine.status().halted);
});

test("P: the proposer builds on the highest notarized view once all above it are nullified", () => {
  const it = bench(proposer(3));
  it.certificate(certificate(ONE.subject));
  it.block(ONE.block);
  it.checked(ONE);
  const missing = it.certificate(certificate(nullify(2)));
  const build = missing.find((effect) => effect.kind === "build");
  assert.ok(build?.kind === "build" && build.view === 3 && build.parentView === 1);
  const three = make(3, ONE);
  const [cast] = it.built(3, three.block);
  assert.ok(cast?.kind === "vote" && cast.proposal?.justification.nullifications.length === 1);
});

test("P: a proposer without a skipped view's nullification asks for it, builds nothing, and gives up in time", () => {
  const it = bench(proposer(3));
  it.certificate(certificate(ONE.subject));
  it.block(ONE.block);
  it.checked(ONE);
  const effects = it.certificate(certificate(notarize(2, 0, new Uint8Array(32).fill(5))));
  assert.ok(!effects.some((effect) => effect.kind === "build"));
  const blind = bench(proposer(3), {
    restored: { subjects: [{ subject: nullify(2) }], certificates: [], finalized: undefined },
  });
  const jumped = blind.certificate(certificate(nullify(2)));
  const asked = jumped.find((effect) => effect.kind === "fetch" && effect.want === "certificates");
  assert.ok(asked?.kind === "fetch" && asked.want === "certificates" && asked.from === 1 && asked.to === 1);
  assert.ok(!jumped.some((effect) => effect.kind === "build"));
  assert.deepEqual(votesIn(blind.tick()), ["nullify 3"]);
});

test("P: a notarization of the view does not stand in for its nullification", () => {
  const it = bench(proposer(3));
  it.certificate(certificate(nullify(2)));
  assert.ok(!it.certificate(certificate(ONE.subject)).some((effect) => effect.kind === "build"));
  it.block(ONE.block);
  const [build] = it.checked(ONE).filter((effect) => effect.kind === "build");
  assert.ok(build?.kind === "build" && build.parentView === 1);
});

test("P: a proposer that cannot build gives its view up at once", () => {
  const it = bench(proposer(1));
  assert.ok(it.started.some((effect) => effect.kind === "build"));
  assert.deepEqual(votesIn(it.built(1, undefined)), ["nullify 1"]);
});

test("a vote in somebody else's name is not counted, and no honest validator is banned for it", () => {
  const it = bench(bystander(1));
  const effects = it.engine.step({ kind: "vote", vote: vote(2, nullify(1)), from: 3 }, 0);
  assert.ok(
    effects.some((it) => it.kind === "report" && it.report.kind === "misbehaviour" && it.report.from === 3),
  );
  it.vote(vote(0, nullify(1)));
  assert.deepEqual(kindsIn(it.vote(vote(1, nullify(1)))).includes("broadcast"), false);
});
