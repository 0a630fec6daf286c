/**
 * Operations on a pod's bond. `pod-exit`: it is drawn no more, and its bond returns once no evidence can be about
 * it. `pod-top-up`: more units, or what evidence has burned of one, without which it gets no slot any more.
 */
import type { Node } from "@chainsafe/persistent-merkle-tree";
import { equalBytes, nameOf } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import type { Steps } from "../primitives/steps.ts";
import { add, Epoch, ZERO } from "../primitives/units.ts";
import type { Operation, SELECTOR } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { credit, debit, getPod, putPod } from "./maps.ts";
import { ENROLLMENTS_AT_ONCE, EnrollmentType, EXITS_MAX, ExitType, type Pod, type State } from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

type Exit = Extract<Operation, { selector: typeof SELECTOR.podExit }>["value"];
type TopUp = Extract<Operation, { selector: typeof SELECTOR.podTopUp }>["value"];

/** The sender's own pod, which stays, or why not. */
function stayingPod(state: State, sender: Sender, podId: Uint8Array): Pod | Fault {
  const pod = getPod(state, podId);
  if (pod === undefined) return fault("pod/unknown");
  if (!equalBytes(pod.account, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the pod's account" });
  return pod.exitEpoch > 0 ? fault("pod/exiting", { epoch: pod.exitEpoch }) : pod;
}

/** The units count from the next draw; evidence about earlier rounds burns a tenth of these as well. */
export function podTopUp(
  state: State,
  sender: Sender,
  { podId, amount }: TopUp,
  { params }: Context,
): Decision {
  const pod = stayingPod(state, sender, podId);
  if ("code" in pod) return pod;
  if (amount === 0n) return fault("transaction/amount-zero");
  if (sender.available < amount)
    return fault("transaction/balance-low", { needed: String(amount), field: "amount" });
  if (pod.bond + amount > params.bondMax) {
    const expected = `a bond of at most ${params.bondMax}`;
    return fault("transaction/operation-invalid", { field: "amount", expected });
  }
  return () => {
    debit(state, sender.address, amount);
    addToSupply(state, "bonded", amount);
    putPod(state, { ...pod, bond: add(pod.bond, amount) });
  };
}

export function podExit(state: State, sender: Sender, { podId }: Exit, { params }: Context): Decision {
  const pod = stayingPod(state, sender, podId);
  if ("code" in pod) return pod;
  if (state.exits.length >= EXITS_MAX) return fault("pod/exit-queue-full", { limit: EXITS_MAX });
  // It may still submit for this epoch's slots, and evidence about those counts for the whole window.
  const exitEpoch = Epoch(state.epoch + Number(params.podEvidenceEpochs) + 1);
  return () => {
    putPod(state, { ...pod, exitEpoch });
    state.exits.push(ExitType.toViewDU({ podId, epoch: exitEpoch }));
  };
}

/** At the turn to `epoch`: bonds whose time has come go back, and those pods' enrollments end. */
export function* returnSteps(state: State, epoch: number): Steps<void> {
  const waiting = state.exits.getAllReadonly().map((exit) => exit.toValue());
  const due = waiting.filter((exit) => exit.epoch <= epoch);
  if (due.length === 0) return;
  const gone = new Set<string>();
  for (const { podId } of due) {
    yield;
    gone.add(nameOf(podId));
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
    const { enrollments } = task;
    const nodes: Node[] = [];
    for (let i = 0; i < enrollments.length; i++) {
      if (i % ENROLLMENTS_AT_ONCE === 0) yield;
      const enrollment = enrollments.getReadonly(i);
      if (!gone.has(nameOf(enrollment.toValue().podId))) nodes.push(enrollment.node);
    }
    if (nodes.length === enrollments.length) continue;
    const staying = task.type.fields.enrollments.defaultViewDU();
    // Views of their own on the same nodes, which are hashed already.
    for (const node of nodes) staying.push(EnrollmentType.getViewDU(node));
    state.tasks.get(index).enrollments = staying;
  }
}
