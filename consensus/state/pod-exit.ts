/** Operation `pod-exit`: a pod is drawn no more, and its bond returns once no evidence can be about it. */
import { equalBytes, toHex } from "../primitives/bytes.ts";
import { fault } from "../primitives/faults.ts";
import { Epoch, ZERO } from "../primitives/units.ts";
import type { Operation, SELECTOR } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { credit, getPod, putPod } from "./maps.ts";
import { EXITS_MAX, ExitType, type State } from "./state.ts";
import { takeFromSupply } from "./supply.ts";

type Exit = Extract<Operation, { selector: typeof SELECTOR.podExit }>["value"];

export function podExit(state: State, sender: Sender, { podId }: Exit, { params }: Context): Decision {
  const pod = getPod(state, podId);
  if (pod === undefined) return fault("pod/unknown");
  if (!equalBytes(pod.account, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the pod's account" });
  if (pod.exitEpoch > 0) return fault("pod/exiting", { epoch: pod.exitEpoch });
  if (state.exits.length >= EXITS_MAX) return fault("pod/exit-queue-full", { limit: EXITS_MAX });
  // It may still submit for this epoch's slots, and evidence about those counts for the whole window.
  const exitEpoch = Epoch(state.epoch + Number(params.podEvidenceEpochs) + 1);
  return () => {
    putPod(state, { ...pod, exitEpoch });
    state.exits.push(ExitType.toViewDU({ podId, epoch: exitEpoch }));
  };
}

/** At the turn to `epoch`: bonds whose time has come go back, and those pods' enrollments end. */
export function returnBonds(state: State, epoch: number): void {
  const waiting = state.exits.getAllReadonly().map((exit) => exit.toValue());
  const due = waiting.filter((exit) => exit.epoch <= epoch);
  if (due.length === 0) return;
  const gone = new Set<string>();
  for (const { podId } of due) {
    gone.add(toHex(podId));
    const pod = getPod(state, podId);
    if (pod === undefined) continue;
    putPod(state, { ...pod, bond: ZERO });
    credit(state, pod.account, pod.bond);
    takeFromSupply(state, "bonded", pod.bond);
  }
  state.exits = state.type.fields.exits.toViewDU(waiting.slice(due.length));
  for (let index = 0; index < state.tasks.length; index++) {
    const task = state.tasks.getReadonly(index);
    if (epoch > task.lastRound) continue;
    const enrolled = task.enrollments.getAllReadonly().map((enrollment) => enrollment.toValue());
    const staying = enrolled.filter(({ podId }) => !gone.has(toHex(podId)));
    if (staying.length === enrolled.length) continue;
    state.tasks.get(index).enrollments = task.type.fields.enrollments.toViewDU(staying);
  }
}
