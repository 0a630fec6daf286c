/**
 * Operation `pod-evidence`: a signed submission under exactly the inputs that the state rebuilds, whose proof is
 * false. The signature must hold and the proof must fail: both are a check of every node (checks.ts). An honest
 * mistake has other inputs, and costs nothing.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import type { Params } from "../primitives/params.ts";
import { Epoch, share, subtract } from "../primitives/units.ts";
import type { Submission } from "../types/submission.ts";
import type { Operation, SELECTOR } from "../types/transaction.ts";
import { readOutputs } from "../work/signals.ts";
import type { Context, Decision } from "./context.ts";
import { type SlotStatement, statementsFor } from "./inputs.ts";
import { getPod, putPod, taskIndexOf } from "./maps.ts";
import { PastRoundType, PUNISHED_MAX, PunishedType, type Slot, type State } from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

type Evidence = Extract<Operation, { selector: typeof SELECTOR.podEvidence }>["value"];

/** Of the bond, burned: a tenth. */
const BURNED = { numerator: 1n, denominator: 10n } as const;

export type Accused = {
  /** Whose signature must hold. */
  readonly slot: Slot;
  /** What the proof must fail against, with the outputs. */
  readonly statement: SlotStatement;
};

/** The slot that a submission was for, and what it had to prove; undefined if the state knows no such slot. */
function accusedSlot(state: State, { task: id, epoch, slot }: Submission): Accused | undefined {
  if (epoch === state.epoch) {
    const index = taskIndexOf(state, id);
    if (index < 0) return undefined;
    const { slots } = state.rounds.getReadonly(index);
    if (slot >= slots.length) return undefined;
    const drawn = slots.getReadonly(slot);
    return { slot: drawn, statement: statementsFor(state.tasks.getReadonly(index), epoch)(drawn) };
  }
  const past = state.pastRounds
    .getAllReadonly()
    .find((round) => round.epoch === epoch && equalBytes(round.task, id));
  if (past === undefined || slot >= past.slots.length) return undefined;
  const drawn = past.slots.getReadonly(slot);
  const { shape, vkHash, model } = past;
  return { slot: drawn, statement: statementsFor({ id, shape, vkHash, model }, epoch)(drawn) };
}

/** Everything about evidence but its signature and its proof, which are checks of their own. */
export function checkEvidence(state: State, submission: Submission, params: Params): Fault | Accused {
  const age = state.epoch - submission.epoch;
  if (age < 0 || BigInt(age) > params.podEvidenceEpochs)
    return fault("pod/evidence-old", { current: state.epoch, found: submission.epoch });
  const accused = accusedSlot(state, submission);
  if (accused === undefined || !equalBytes(accused.slot.podId, submission.podId))
    return fault("pod/evidence-unfounded", { field: "slot" });
  const { statement } = accused;
  if (!equalBytes(statement.inputsHash, submission.inputsHash))
    return fault("pod/evidence-unfounded", { field: "inputsHash" });
  if ("code" in readOutputs(statement.shape, submission.outputs))
    return fault("pod/evidence-unfounded", { field: "outputs" });
  return accused;
}

export function podEvidence(state: State, { submission }: Evidence, { params }: Context): Decision {
  const accused = checkEvidence(state, submission, params);
  if ("code" in accused) return accused;
  const { podId, epoch } = submission;
  const pod = getPod(state, podId);
  if (pod === undefined) return fault("pod/unknown");
  for (let i = 0; i < state.punished.length; i++) {
    const known = state.punished.getReadonly(i);
    if (known.epoch === epoch && equalBytes(known.podId, podId))
      return fault("pod/evidence-known", { epoch });
  }
  if (state.punished.length >= PUNISHED_MAX) return fault("pod/evidence-known", { limit: PUNISHED_MAX });
  return () => {
    const burned = share(pod.bond, BURNED.numerator, BURNED.denominator);
    putPod(state, { ...pod, bond: subtract(pod.bond, burned), slashes: pod.slashes + 1 });
    takeFromSupply(state, "bonded", burned);
    addToSupply(state, "burned", burned);
    state.punished.push(PunishedType.toViewDU({ podId, epoch: Epoch(epoch) }));
  };
}

/** Before an epoch's rounds are emptied: keeps what evidence may still be about, and forgets the rest. */
export function keepRounds(state: State, params: Params, open: readonly number[]): void {
  const next = state.epoch + 1;
  const inWindow = ({ epoch }: { readonly epoch: number }): boolean =>
    BigInt(next - epoch) <= params.podEvidenceEpochs;
  const kept = state.pastRounds.getAllReadonly().filter(inWindow);
  // Views of their own on the same trees, which are hashed already.
  const past = state.type.fields.pastRounds.defaultViewDU();
  for (const round of kept) past.push(PastRoundType.getViewDU(round.node));
  for (const index of open) {
    const { id, shape, vkHash, model } = state.tasks.getReadonly(index);
    const { slots } = state.rounds.getReadonly(index);
    if (slots.length === 0) continue;
    const round = PastRoundType.defaultViewDU();
    round.task = id;
    round.epoch = state.epoch;
    round.shape = shape;
    round.vkHash = vkHash;
    // Neither was changed since the last settlement, so these trees are hashed already, too.
    round.model = PastRoundType.fields.model.getViewDU(model.node);
    round.slots = PastRoundType.fields.slots.getViewDU(slots.node);
    past.push(round);
  }
  state.pastRounds = past;
  const remembered = state.punished.getAllReadonly().map((entry) => entry.toValue());
  if (!remembered.every(inWindow))
    state.punished = state.type.fields.punished.toViewDU(remembered.filter(inWindow));
}
