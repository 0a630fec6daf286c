/** Submissions: every reason to refuse one, in a block and between blocks, and what one writes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ContainerType } from "@chainsafe/ssz";
import { Epoch } from "../../../consensus/primitives/units.ts";
import { applySubmission } from "../../../consensus/state/apply-submission.ts";
import { getDataset } from "../../../consensus/state/maps.ts";
import { settleEpoch } from "../../../consensus/state/settle-epoch.ts";
import { ContributionType, fork, type State, StateType, stateRoot } from "../../../consensus/state/state.ts";
import { ValidatorIndexType } from "../../../consensus/types/ssz.ts";
import { fieldToBytes, type Submission, SubmissionType } from "../../../consensus/types/submission.ts";
import { FIELD_ORDER } from "../../../consensus/work/gradient.ts";
import { CLOSE, createChain, EPOCH, fieldBytes, submissionOf } from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import { assertSubmissionRefused, contextAt } from "../../helpers/refusals.ts";

const chain = createChain({ tasks: 2 });
const { state } = chain.genesis;
const good = submissionOf(chain, state, 0, 0);
const changed = (change: Partial<Submission>, slot = 0): Submission =>
  submissionOf(chain, state, 0, slot, change);
const output = (index: number, value: Uint8Array): Submission =>
  changed({ outputs: joined(split(good.outputs).with(index, value)) });

const one = fork(state);
const taken = applySubmission(one, good, contextAt(chain, 1));
assert.ok(!("code" in taken));
one.commit();

describe("a submission", () => {
  test("becomes a contribution, and one use of its batch is spent when the epoch ends", () => {
    const round = one.rounds.getReadonly(0);
    const slot = round.slots.getReadonly(0);
    assert.equal(round.contributions.length, 1);
    assert.equal(round.contributions.getReadonly(0).toValue().submission, good);
    const usesOf = (it: State): number | undefined => getDataset(it, slot.dataRoot)?.uses[slot.batchIndex];
    assert.equal(usesOf(one), 0);
    const ended = fork(one);
    settleEpoch(ended, contextAt(chain, EPOCH));
    assert.equal(usesOf(ended), 1);
    const unused = fork(state);
    settleEpoch(unused, contextAt(chain, EPOCH));
    assert.equal(usesOf(unused), 0);
  });

  test("is in the state with all of its bytes, by the root that the body has of it, and its proposer", () => {
    const { contributions } = one.rounds.getReadonly(0);
    const contribution = contributions.getReadonly(0);
    assert.deepEqual(contribution.toValue(), { submission: good, proposer: contextAt(chain, 1).proposer });
    const plain = new ContainerType({ submission: SubmissionType, proposer: ValidatorIndexType });
    const rootOfAll = (change: Partial<Submission>): Uint8Array => {
      const it = fork(state);
      const submission = { ...good, ...change };
      assert.ok(!("code" in applySubmission(it, submission, contextAt(chain, 1))));
      const value = it.rounds.getReadonly(0).contributions.getReadonly(0).toValue();
      assert.deepEqual(ContributionType.toViewDU(value).hashTreeRoot(), plain.hashTreeRoot(value));
      return stateRoot(it);
    };
    assert.deepEqual(stateRoot(one), rootOfAll({}));
    assert.notDeepEqual(stateRoot(one), rootOfAll({ proof: good.proof.map((byte) => byte ^ 1) }));
    assert.notDeepEqual(stateRoot(one), rootOfAll({ signature: good.signature.map((byte) => byte ^ 1) }));
    const read = StateType.deserializeToViewDU(one.serialize());
    assert.deepEqual(stateRoot(read), stateRoot(one));
    assert.deepEqual(
      read.rounds.getReadonly(0).contributions.getReadonly(0).toValue(),
      contribution.toValue(),
    );
  });

  test("is taken until the close and not in the block after it", () => {
    assert.ok(!("code" in applySubmission(fork(state), good, contextAt(chain, CLOSE))));
    assertSubmissionRefused(chain, state, good, "submission/window-closed", CLOSE + 1);
  });

  test("names a task, the present epoch and a slot that was drawn for its pod", () => {
    assertSubmissionRefused(chain, state, changed({ task: fieldBytes("?") }), "submission/task-unknown");
    assertSubmissionRefused(chain, state, changed({ epoch: Epoch(1) }), "submission/epoch-mismatch");
    assertSubmissionRefused(chain, state, changed({ slot: 3 }), "submission/slot-unknown");
    assertSubmissionRefused(chain, state, changed({ slot: 65_535 }), "submission/slot-unknown");
    assertSubmissionRefused(chain, state, changed({ slot: 1 }), "submission/slot-not-yours");
    assertSubmissionRefused(chain, state, changed({ podId: fieldBytes("?") }), "submission/slot-not-yours");
  });

  test("for a task that is not open finds no slot", () => {
    const { tasks } = chain.genesis.state;
    assert.equal(tasks.length, 2);
    const later = createChain({ lastRound: 0 });
    const over = fork(later.genesis.state);
    over.epoch = Epoch(1);
    over.rounds.set(0, over.type.fields.rounds.elementType.defaultViewDU());
    over.commit();
    const late = submissionOf(later, later.genesis.state, 0, 0, { epoch: Epoch(1) });
    assertSubmissionRefused(later, over, late, "submission/slot-unknown");
  });

  test("has every output of its circuit, each canonical and in the circuit's range", () => {
    assertSubmissionRefused(chain, state, changed({ outputs: new Uint8Array() }), "submission/outputs-count");
    assertSubmissionRefused(
      chain,
      state,
      changed({ outputs: good.outputs.slice(32) }),
      "submission/outputs-count",
    );
    assertSubmissionRefused(
      chain,
      state,
      changed({ outputs: joined([good.outputs, fieldToBytes(0n)]) }),
      "submission/outputs-count",
    );
    const ones = new Uint8Array(32).fill(255);
    for (const index of split(good.outputs).keys()) {
      for (const alias of [fieldToBytes(FIELD_ORDER), ones]) {
        assertSubmissionRefused(chain, state, output(index, alias), "submission/signal-out-of-field");
      }
    }
    for (const index of [2, 3, 4]) {
      const large = output(index, fieldToBytes(2n ** 40n));
      assertSubmissionRefused(chain, state, large, "submission/output-out-of-range");
    }
    assertSubmissionRefused(chain, state, output(4, fieldToBytes(1n)), "submission/output-out-of-range");
  });

  test("means the inputs that the node rebuilds", () => {
    const wrong = changed({ inputsHash: new Uint8Array(32) });
    assertSubmissionRefused(chain, state, wrong, "submission/inputs-mismatch");
  });

  test("is refused the second time, whatever is changed about it", () => {
    assertSubmissionRefused(chain, one, good, "submission/nullifier-spent");
    const other = submissionOf(chain, state, 0, 1);
    const [nullifier = fieldBytes("?"), tag = fieldBytes("?"), ...gradient] = split(good.outputs);
    const same = submissionOf(chain, state, 0, 1, {
      outputs: joined([fieldBytes("n"), tag, ...gradient]),
    });
    assertSubmissionRefused(chain, one, same, "submission/data-tag-seen");
    const spent = submissionOf(chain, state, 0, 1, {
      outputs: joined(split(other.outputs).with(0, nullifier)),
    });
    assertSubmissionRefused(chain, one, spent, "submission/nullifier-spent");
    const again = changed({ outputs: joined([fieldBytes("n"), fieldBytes("t"), ...gradient]) });
    assertSubmissionRefused(chain, one, again, "submission/slot-filled");
  });

  test("for another task's slot of the same pod and batch stands apart", () => {
    assert.ok(!("code" in applySubmission(fork(one), submissionOf(chain, one, 1, 0), contextAt(chain, 1))));
  });
});
