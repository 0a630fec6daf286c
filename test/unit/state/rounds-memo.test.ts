/** What is remembered beside the state never says anything but what the state says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Epoch } from "../../../consensus/primitives/units.ts";
import { applySubmission, checkSubmission } from "../../../consensus/state/apply-submission.ts";
import { askedRound, inheritMemo } from "../../../consensus/state/rounds-memo.ts";
import { fork, RoundType, type State, StateType } from "../../../consensus/state/state.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import {
  CLOSE,
  createChain,
  fieldBytes,
  genesisLink,
  nextBlock,
  playEpoch,
  submissionOf,
  submissionsOf,
} from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { contextAt } from "../../helpers/refusals.ts";

const chain = createChain({ tasks: 2 });
const { state } = chain.genesis;
const context = contextAt(chain, 1);

/** The same state, and nothing remembered of it. */
const fresh = (of: State): State => {
  of.commit();
  return StateType.deserializeToViewDU(of.serialize());
};
const child = (of: State): State => {
  const it = fork(of);
  inheritMemo(of, it);
  return it;
};
const verdictOf = (of: State, submission: Submission): unknown => {
  const verdict = checkSubmission(of, submission, context);
  return "code" in verdict ? verdict : { ...verdict, statement: { ...verdict.statement } };
};
const [first, second] = submissionsOf(chain, state);
assert.ok(first !== undefined && second !== undefined);

test("a slot that one fork has filled is free on its sibling and on its parent", () => {
  const parent = child(state);
  assert.ok(!("code" in checkSubmission(parent, first, context)));
  const [one, two] = [child(parent), child(parent)];
  assert.ok(!("code" in applySubmission(one, first, context)));
  assert.deepEqual(verdictOf(one, first), verdictOf(fresh(one), first));
  assert.equal(
    (checkSubmission(one, first, context) as { code?: string }).code,
    "submission/nullifier-spent",
  );
  assert.ok(!("code" in checkSubmission(parent, first, context)));
  assert.ok(!("code" in applySubmission(two, first, context)));
});

test("siblings with as many contributions, but not the same, are not taken for each other", () => {
  const parent = child(state);
  const [a, b] = [0, 1].map((slot) => submissionOf(chain, state, 0, slot));
  assert.ok(a !== undefined && b !== undefined);
  const both: readonly Submission[] = [a, b];
  assert.ok(!("code" in checkSubmission(parent, a, context)));
  const [one, two] = [child(parent), child(parent)];
  for (const offered of both)
    for (const at of [one, two]) assert.ok(!("code" in checkSubmission(at, offered, context)));
  assert.ok(!("code" in applySubmission(one, a, context)));
  assert.ok(!("code" in applySubmission(two, b, context)));
  for (const at of [one, two])
    for (const offered of both) assert.deepEqual(verdictOf(at, offered), verdictOf(fresh(at), offered));
});

test("what a state remembers and what is read from it afresh agree after each submission", () => {
  const all = submissionsOf(chain, state);
  const copies = all.flatMap((it) => [
    it,
    { ...it, outputs: joined(split(it.outputs).with(0, fieldBytes("other nullifier"))) },
    {
      ...it,
      outputs: joined(
        split(it.outputs).with(0, fieldBytes("other nullifier")).with(1, fieldBytes("other tag")),
      ),
    },
    { ...it, inputsHash: fieldBytes("other inputs") },
  ]);
  const at = child(state);
  for (const next of all) {
    const anew = fresh(at);
    for (const it of copies) assert.deepEqual(verdictOf(at, it), verdictOf(anew, it));
    assert.ok(!("code" in applySubmission(at, next, context)));
  }
  for (const it of copies) assert.deepEqual(verdictOf(at, it), verdictOf(fresh(at), it));
});

test("a contribution that was written past the memory is seen", () => {
  const at = child(state);
  assert.ok(!("code" in checkSubmission(at, first, context)));
  const taken = child(state);
  assert.ok(!("code" in applySubmission(taken, first, context)));
  taken.commit();
  at.rounds.set(0, taken.rounds.get(0));
  at.commit();
  assert.equal((checkSubmission(at, first, context) as { code?: string }).code, "submission/nullifier-spent");
});

test("with a new epoch every slot asks something else, on the state that turned and on its children", () => {
  const start = nextBlock(chain, genesisLink(chain), { submissions: [first] });
  const next = playEpoch(chain, start, { submit: false }).state;
  assert.equal(next.epoch, 1);
  for (const it of [next, child(next)]) {
    const submission = submissionOf(chain, it, 0, 0);
    assert.deepEqual(verdictOf(it, submission), verdictOf(fresh(it), submission));
    assert.ok(!("code" in checkSubmission(it, submission, context)));
    const stale: Submission = { ...first, epoch: Epoch(1) };
    assert.deepEqual(verdictOf(it, stale), verdictOf(fresh(it), stale));
    assert.ok("code" in checkSubmission(it, stale, contextAt(chain, CLOSE)));
  }
});

test("a task without drawn slots is found where it is, also after its place has another", () => {
  const at = fresh(state);
  const placeOf = (id: Uint8Array): number | undefined => askedRound(at, id)?.taskIndex;
  const [a, b] = [0, 1].map((i) => at.tasks.getReadonly(i).id);
  assert.ok(a !== undefined && b !== undefined);
  at.rounds.set(0, RoundType.defaultViewDU());
  at.commit();
  assert.deepEqual([placeOf(a), placeOf(b), placeOf(fieldBytes("?"))], [0, 1, undefined]);
  at.tasks.get(0).id = fieldBytes("another");
  at.commit();
  assert.deepEqual([placeOf(a), placeOf(b)], [undefined, 1]);
  assert.equal(placeOf(fieldBytes("another")), 0);
  assert.equal(askedRound(at, fieldBytes("another"))?.slots.length, 0);
});

test("what a fork adds is not on its parent, nor what the parent adds on the fork", () => {
  const [a, b, c] = [0, 1, 2].map((slot) => submissionOf(chain, state, 0, slot));
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const parent = child(state);
  assert.ok(!("code" in applySubmission(parent, a, context)));
  const branch = child(parent);
  // Both go on, each with another one, so that their numbers are the same.
  assert.ok(!("code" in applySubmission(parent, b, context)));
  assert.ok(!("code" in applySubmission(branch, c, context)));
  const all: readonly Submission[] = [a, b, c];
  for (const at of [parent, branch])
    for (const offered of all) assert.deepEqual(verdictOf(at, offered), verdictOf(fresh(at), offered));
});
