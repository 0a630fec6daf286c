/** Applies one operation to a copy of a state, and holds that a refused one leaves no trace. */
import assert from "node:assert/strict";
import type { FaultCode } from "../../consensus/primitives/faults.ts";
import { ValidatorIndex } from "../../consensus/primitives/units.ts";
import { applySubmission } from "../../consensus/state/apply-submission.ts";
import { applyTransaction } from "../../consensus/state/apply-transaction.ts";
import type { Context } from "../../consensus/state/context.ts";
import { fork, type State, stateRoot } from "../../consensus/state/state.ts";
import type { Submission } from "../../consensus/types/submission.ts";
import type { Operation, Transaction } from "../../consensus/types/transaction.ts";
import type { Key } from "../../node/keys.ts";
import { nonceOf, sign, type TestChain } from "./chain.ts";

/** As if in a block of validator 0 at this place of the epoch. */
export function contextAt({ params }: TestChain, place: number): Context {
  return { params, proposer: ValidatorIndex(0), place };
}

export function assertRefused(
  chain: TestChain,
  state: State,
  transaction: Transaction,
  code: FaultCode,
  place = 1,
): void {
  const before = stateRoot(state);
  const copy = fork(state);
  assert.equal(applyTransaction(copy, transaction, contextAt(chain, place))?.code, code);
  assert.deepEqual(stateRoot(copy), before, "a refused transaction leaves no trace");
}

/** The state after operations of one account, which must all be taken. */
export function afterOperations(
  chain: TestChain,
  state: State,
  key: Key,
  operations: readonly Operation[],
  place = 1,
): State {
  const copy = fork(state);
  for (const operation of operations) {
    const transaction = sign(chain, key, nonceOf(copy, key), operation);
    assert.equal(applyTransaction(copy, transaction, contextAt(chain, place)), undefined);
  }
  copy.commit();
  return copy;
}

export function assertSubmissionRefused(
  chain: TestChain,
  state: State,
  submission: Submission,
  code: FaultCode,
  place = 1,
): void {
  const before = stateRoot(state);
  const copy = fork(state);
  const result = applySubmission(copy, submission, contextAt(chain, place));
  assert.ok("code" in result, "refused");
  assert.equal(result.code, code);
  assert.deepEqual(stateRoot(copy), before, "a refused submission leaves no trace");
}
