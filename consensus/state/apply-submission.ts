/**
 * One submission: everything about it but its signature and its proof, which are checks of their own
 * (checks.ts). Admission asks {@link checkSubmission} of the newest state, the transition of the block's.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { closePlace } from "../primitives/params.ts";
import { bytesToField, type Submission } from "../types/submission.ts";
import { checkOutputs } from "../work/gradient.ts";
import type { Context } from "./context.ts";
import { hasBetterRight } from "./copies.ts";
import { type SlotStatement, statementOf } from "./inputs.ts";
import { getDataset, putDataset, taskIndexOf } from "./maps.ts";
import { ContributionType, type State, toInt64 } from "./state.ts";

export type AcceptedSubmission = {
  readonly taskIndex: number;
  readonly publicKey: Uint8Array;
  readonly statement: SlotStatement;
  /** Outputs then inputs: what the proof is verified against. */
  readonly publicSignals: readonly bigint[];
  readonly gradient: readonly number[];
};

/** Why the submission can't be included on this state, or what its signature and proof are checked against. */
export function checkSubmission(
  state: State,
  submission: Submission,
  context: Context,
): Fault | AcceptedSubmission {
  const taskIndex = taskIndexOf(state, submission.task);
  if (taskIndex < 0) return fault("submission/task-unknown");
  if (submission.epoch !== state.epoch) {
    return fault("submission/epoch-mismatch", { current: state.epoch, found: submission.epoch });
  }
  const close = closePlace(context.params);
  if (context.place > close) return fault("submission/window-closed", { place: context.place, close });
  const task = state.tasks.getReadonly(taskIndex);
  const round = state.rounds.getReadonly(taskIndex);
  if (submission.slot >= round.slots.length) {
    return fault("submission/slot-unknown", { slot: submission.slot, slots: round.slots.length });
  }
  const slot = round.slots.getReadonly(submission.slot);
  if (!equalBytes(slot.podId, submission.podId))
    return fault("submission/slot-not-yours", { slot: submission.slot });

  const statement = statementOf(state, task, slot);
  const outputs = submission.outputs.map(bytesToField);
  const parsed = checkOutputs(statement.shape, outputs);
  if ("code" in parsed) return fault(parsed.code, parsed.data);
  const nullifier = submission.outputs[0] ?? new Uint8Array(32);
  const dataTag = submission.outputs[1] ?? new Uint8Array(32);
  for (let i = 0; i < round.contributions.length; i++) {
    const seen = round.contributions.getReadonly(i);
    if (equalBytes(seen.nullifier, nullifier)) return fault("submission/nullifier-spent");
    if (seen.slot === submission.slot) return fault("submission/slot-filled", { slot: submission.slot });
    // The owner of the older root is not kept out by a copy that was faster; the settlement pays it alone.
    if (equalBytes(seen.dataTag, dataTag) && !hasBetterRight(state, round, submission.slot, seen.slot))
      return fault("submission/data-tag-seen");
  }
  if (!equalBytes(statement.inputsHash, submission.inputsHash)) return fault("submission/inputs-mismatch");
  return {
    taskIndex,
    publicKey: slot.publicKey,
    statement,
    publicSignals: [...outputs, ...statement.inputs],
    gradient: parsed.gradient,
  };
}

/** Includes a submission, or says why not and writes nothing. */
export function applySubmission(
  state: State,
  submission: Submission,
  context: Context,
): Fault | AcceptedSubmission {
  const accepted = checkSubmission(state, submission, context);
  if ("code" in accepted) return accepted;
  const round = state.rounds.get(accepted.taskIndex);
  const { dataRoot, batchIndex } = round.slots.getReadonly(submission.slot);
  round.contributions.push(
    ContributionType.toViewDU({
      slot: submission.slot,
      proposer: context.proposer,
      nullifier: submission.outputs[0] ?? new Uint8Array(32),
      dataTag: submission.outputs[1] ?? new Uint8Array(32),
      gradient: accepted.gradient.map((value) => toInt64(BigInt(value))),
    }),
  );
  // The privacy budget counts releases of a batch, so it is spent here and not at the draw.
  const dataset = getDataset(state, dataRoot);
  if (dataset !== undefined) {
    const uses = dataset.uses.slice();
    uses[batchIndex] = Math.min(255, (uses[batchIndex] ?? 0) + 1);
    putDataset(state, { ...dataset, uses });
  }
  return accepted;
}
