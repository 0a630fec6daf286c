import assert from "node:assert/strict";
import { test } from "node:test";
import type { Effect, Report } from "../../../consensus/engine/protocol.ts";
import { signersOf } from "../../../consensus/types/certificate.ts";
import { bench, bystander, certificate, finalize, make, nullify, propose, votesIn } from "./harness.ts";

const ONE = make(1);
const OTHER = make(1, undefined, 11, 6);
const TWO = make(2, ONE);

const reportsIn = (effects: readonly Effect[]): Report[] =>
  effects.flatMap((effect) => (effect.kind === "report" ? [effect.report] : []));

function contradiction(effects: readonly Effect[]): Extract<Report, { kind: "contradiction" }> {
  const [first, second] = reportsIn(effects);
  assert.ok(first?.kind === "contradiction");
  assert.equal(second?.kind, "diverged");
  return first;
}

test("two notarizations of one view are reported with both, whose common signers are evidence", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject, [0, 1, 2]));
  const { first, second } = contradiction(it.certificate(certificate(OTHER.subject, [1, 2, 3])));
  const both = signersOf(first).filter((signer) => signersOf(second).includes(signer));
  assert.deepEqual(both, [1, 2]);
  assert.ok(it.engine.status().halted);
});

test("a nullification and a finalization of one view are reported, whichever comes first", () => {
  const final = certificate(finalize(ONE.subject), [0, 1, 2]);
  const none = certificate(nullify(1), [1, 2, 3]);
  const early = bench(bystander(1, 2));
  early.certificate(none);
  const one = contradiction(early.certificate(final));
  assert.deepEqual([one.first, one.second], [none, final]);
  const late = bench(bystander(1, 2));
  late.certificate(certificate(ONE.subject));
  late.certificate(final);
  const two = contradiction(late.certificate(none));
  assert.deepEqual([two.first, two.second], [final, none]);
});

test("two finalizations are reported though the view is final already, and below the last final one", () => {
  const it = bench(bystander(1, 2, 3));
  it.certificate(certificate(finalize(ONE.subject)));
  it.certificate(certificate(finalize(TWO.subject)));
  const { second } = contradiction(it.certificate(certificate(finalize(OTHER.subject))));
  assert.equal(second.subject.blockHash, OTHER.hash);
});

test("after a contradiction nothing is signed, and it is reported once", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  it.certificate(certificate(OTHER.subject));
  assert.deepEqual(reportsIn(it.certificate(certificate(OTHER.subject, [0, 1, 3]))), []);
  assert.deepEqual(votesIn([...it.proposal(propose(TWO)), ...it.checked(TWO), ...it.checked(ONE)]), []);
  assert.equal(it.engine.deadline, Number.POSITIVE_INFINITY);
});

test("a certificate that does not verify contradicts nothing", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  const forged = { ...certificate(OTHER.subject), signature: new Uint8Array(96) };
  const [report] = reportsIn(it.certificate(forged));
  assert.equal(report?.kind, "misbehaviour");
  assert.ok(!it.engine.status().halted);
});

test("a notarization and a nullification of one view are honest, and both are kept", () => {
  const it = bench(bystander(1, 2, 3));
  it.certificate(certificate(nullify(1)));
  assert.deepEqual(
    reportsIn(it.certificate(certificate(ONE.subject))).map(({ kind }) => kind),
    [],
  );
  assert.ok(!it.engine.status().halted);
});
