/**
 * Operations on a pod's bond. `pod-exit`: it is drawn no more, and its bond returns once no evidence can be about
 * it. `pod-top-up`: more units, or what evidence has burned of one, without which it gets no slot any more.
 */
import { equalBytes, toHex } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { add, Epoch, ZERO } from "../primitives/units.ts";
import type { Operation, SELECTOR } from "../types/transaction.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { credit, debit, getPod, putPod } from "./maps.ts";
import { EXITS_MAX, ExitType, type Pod, type State } from "./state.ts";
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
