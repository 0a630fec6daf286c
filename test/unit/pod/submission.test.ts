import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { fieldsOf, inputsHashOf, submissionRoot } from "../../../consensus/types/submission.ts";
import { outputsCount } from "../../../consensus/work/gradient.ts";
import { verifyEd25519 } from "../../../node/keys.ts";
import { chainTag } from "../../../pod/account.ts";
import { buildSubmission, inputsOf, jobOf, preflight, signSubmission } from "../../../pod/submission.ts";
import { account, CHAIN_ID, dataset, drawn, honestSignals, SECRET, SHAPE } from "./fake-chain.ts";

const proof = new Uint8Array(128);
const coded = (code: string) => (error: unknown) => error instanceof FaultError && error.code === code;

test("a submission carries the outputs, and the hash of inputs that the node rebuilds too", () => {
  const publicSignals = honestSignals();
  const submission = buildSubmission(drawn, { proof, publicSignals });
  assert.deepEqual(fieldsOf(submission.outputs), publicSignals.slice(0, outputsCount(SHAPE)));
  assert.deepEqual(
    submission.inputsHash,
    inputsHashOf(drawn.vkHash, publicSignals.slice(outputsCount(SHAPE))),
  );
});

test("the signature is the account's, for this chain alone", () => {
  const chain = chainTag(CHAIN_ID);
  const signed = signSubmission(
    account,
    chain,
    buildSubmission(drawn, { proof, publicSignals: honestSignals() }),
  );
  assert.ok(verifyEd25519(account.publicKey, submissionRoot(chain, signed), signed.signature));
  assert.ok(
    !verifyEd25519(account.publicKey, submissionRoot(chainTag("dev-other"), signed), signed.signature),
  );
});

test("the preflight passes what a node would, and names what it would refuse", () => {
  const job = jobOf(dataset, drawn, SECRET);
  const signals = honestSignals();
  preflight(drawn, job, { proof, publicSignals: signals });
  const changed = (at: number, by: bigint): bigint[] =>
    signals.map((value, i) => (i === at ? value + by : value));
  const check = (publicSignals: bigint[]) => () => preflight(drawn, job, { proof, publicSignals });
  assert.throws(check(changed(signals.length - 1, 1n)), coded("submission/inputs-mismatch"));
  assert.throws(check(signals.slice(0, -1)), coded("submission/inputs-mismatch"));
  assert.throws(check(changed(0, 1n)), coded("circuit/witness-failed"));
  assert.throws(check(changed(2, 1n)), coded("circuit/witness-failed"));
  assert.equal(inputsOf(drawn).length + outputsCount(SHAPE), signals.length);
});

test("a slot of another pod, or of data that is not here, is no job", () => {
  assert.throws(() => jobOf(dataset, drawn, SECRET + 1n), coded("submission/slot-not-yours"));
  assert.throws(
    () => jobOf(dataset, { ...drawn, dataRoot: new Uint8Array(32) }, SECRET),
    coded("pod/dataset-unknown"),
  );
  assert.throws(() => jobOf(dataset, { ...drawn, batchIndex: 9 }, SECRET), coded("pod/dataset-unknown"));
});

test("a batch of one row, repeated, is no job either: its gradient would give the row away", () => {
  const [batch] = dataset.batches.slice(drawn.batchIndex);
  assert.ok(batch !== undefined);
  const { features, x, y } = batch.rows;
  const rows = {
    features,
    x: x.map((_value, i) => x[i % features] ?? 0),
    y: y.map(() => y[0] ?? 0),
  };
  const batches = dataset.batches.map((it, i) => (i === drawn.batchIndex ? { ...it, rows } : it));
  assert.throws(() => jobOf({ ...dataset, batches }, drawn, SECRET), coded("circuit/batch-inactive"));
});
