/**
 * One submission: everything about it but its signature and its proof, which are checks of their own
 * (checks.ts). Admission asks {@link checkSubmission} of the newest state, the transition of the block's.
 */
import { equalBytes, toHex } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { closePlace } from "../primitives/params.ts";
import { ZERO32 } from "../types/ssz.ts";
import type { Submission } from "../types/submission.ts";
import type { Context } from "./context.ts";
import { hasBetterRight } from "./copies.ts";
import { outputsOf, type SlotStatement } from "./inputs.ts";
import { askedSlot, noteUsed, taskPlaceOf, usedIn } from "./rounds-memo.ts";
import { ContributionType, type State } from "./state.ts";

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
  const taskIndex = taskPlaceOf(state, submission.task);
  if (taskIndex < 0) return fault("submission/task-unknown");
  if (submission.epoch !== state.epoch) {
    return fault("submission/epoch-mismatch", { current: state.epoch, found: submission.epoch });
  }
  const close = closePlace(context.params);
  if (context.place > close) return fault("submission/window-closed", { place: context.place, close });
  const round = state.rounds.getReadonly(taskIndex);
  const { slots } = round;
  if (submission.slot >= slots.length) {
    return fault("submission/slot-unknown", { slot: submission.slot, slots: slots.length });
  }
  const { slot, statement } = askedSlot(state, submission.task, taskIndex, submission.slot);
  if (!equalBytes(slot.podId, submission.podId))
    return fault("submission/slot-not-yours", { slot: submission.slot });

  const { fields, read } = outputsOf(submission, statement.shape);
  if ("code" in read) return fault(read.code, read.data);
  const used = usedIn(state, taskIndex);
  const [nullifier = ZERO32, dataTag = ZERO32] = submission.outputs;
  if (used.nullifiers.has(toHex(nullifier))) return fault("submission/nullifier-spent");
  if (used.slots.has(submission.slot)) return fault("submission/slot-filled", { slot: submission.slot });
  // The owner of the older root is not kept out by a copy that was faster; the settlement pays it alone.
  const holder = used.dataTags.get(toHex(dataTag));
  if (holder !== undefined && !hasBetterRight(state, round, submission.slot, holder))
    return fault("submission/data-tag-seen");
  if (!equalBytes(statement.inputsHash, submission.inputsHash)) return fault("submission/inputs-mismatch");
  return {
    taskIndex,
    publicKey: slot.publicKey,
    statement,
    publicSignals: [...fields, ...statement.inputs],
    gradient: read.gradient,
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
  const { taskIndex } = accepted;
  const { proposer } = context;
  state.rounds.get(taskIndex).contributions.push(ContributionType.toViewDU({ submission, proposer }));
  const [nullifier = ZERO32, dataTag = ZERO32] = submission.outputs;
  noteUsed(state, taskIndex, { nullifier, dataTag, slot: submission.slot });
  return accepted;
}
