/**
 * One submission: everything about it but its signature and its proof, which are checks of their own
 * (checks.ts). Admission asks {@link checkSubmission} of the newest state, the transition of the block's.
 */
import { equalBytes, nameOf } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { closePlace } from "../primitives/params.ts";
import { dataTagOf, nullifierName, nullifierOf, type Submission } from "../types/submission.ts";
import { readOutputs } from "../work/signals.ts";
import type { Context } from "./context.ts";
import { hasBetterRight } from "./copies.ts";
import type { SlotStatement } from "./inputs.ts";
import { askedRound, noteUsed, usedIn } from "./rounds-memo.ts";
import { ContributionType, type Slot, type State } from "./state.ts";

export type AcceptedSubmission = {
  readonly taskIndex: number;
  readonly slot: Slot;
  readonly statement: SlotStatement;
  readonly gradient: readonly number[];
};

/** Why the submission can't be included on this state, or what its signature and proof are checked against. */
export function checkSubmission(
  state: State,
  submission: Submission,
  context: Context,
): Fault | AcceptedSubmission {
  const asked = askedRound(state, submission.task);
  if (asked === undefined) return fault("submission/task-unknown");
  if (submission.epoch !== state.epoch) {
    return fault("submission/epoch-mismatch", { current: state.epoch, found: submission.epoch });
  }
  const close = closePlace(context.params);
  if (context.place > close) return fault("submission/window-closed", { place: context.place, close });
  const { taskIndex, slots } = asked;
  const ofSlot = asked.asked(submission.slot);
  if (ofSlot === undefined)
    return fault("submission/slot-unknown", { slot: submission.slot, slots: slots.length });
  const { slot, statement } = ofSlot;
  if (!equalBytes(slot.podId, submission.podId))
    return fault("submission/slot-not-yours", { slot: submission.slot });

  const gradient = readOutputs(statement.shape, submission.outputs);
  if ("code" in gradient) return fault(gradient.code, gradient.data);
  const used = usedIn(state, taskIndex);
  if (used.nullifiers.has(nullifierName(submission))) return fault("submission/nullifier-spent");
  if (used.slots.has(submission.slot)) return fault("submission/slot-filled", { slot: submission.slot });
  // The owner of the older root is not kept out by a copy that was faster; the settlement pays it alone.
  const holder = used.dataTags.get(nameOf(dataTagOf(submission)));
  if (
    holder !== undefined &&
    !hasBetterRight(state, state.rounds.getReadonly(taskIndex), submission.slot, holder)
  )
    return fault("submission/data-tag-seen");
  if (!equalBytes(statement.inputsHash, submission.inputsHash)) return fault("submission/inputs-mismatch");
  return { taskIndex, slot, statement, gradient };
}

/** Includes a submission, or says why not and writes nothing. */
export function applySubmission(
  state: State,
  submission: Submission,
  context: Context,
): Fault | AcceptedSubmission {
  const accepted = checkSubmission(state, submission, context);
  if ("code" in accepted) return accepted;
  const { taskIndex } = accepted;
  const { proposer } = context;
  const { slot } = submission;
  state.rounds.get(taskIndex).contributions.push(ContributionType.toViewDU({ submission, proposer }));
  noteUsed(state, taskIndex, { nullifier: nullifierOf(submission), dataTag: dataTagOf(submission), slot });
  return accepted;
}
