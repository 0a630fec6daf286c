/** Operations `pod-register`, `dataset-register` and `pod-enroll`: who may be drawn, with which data. */
import { equalBytes } from "../primitives/bytes.ts";
import { fault } from "../primitives/faults.ts";
import { Epoch } from "../primitives/units.ts";
import { ZERO32 } from "../types/ssz.ts";
import { bytesToField } from "../types/submission.ts";
import type { Operation } from "../types/transaction.ts";
import { FIELD_ORDER, shapeOf } from "../work/gradient.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { datasetRoom, debit, getDataset, getPod, podRoom, putDataset, putPod, taskIndexOf } from "./maps.ts";
import {
  BATCHES_MAX,
  bytesText,
  DATASETS_PER_POD_MAX,
  ENROLLMENTS_MAX,
  EnrollmentType,
  SLOTS_MAX,
  type State,
} from "./state.ts";
import { addToSupply } from "./supply.ts";

type Value<Selector extends number> = Extract<Operation, { selector: Selector }>["value"];

const isField = (bytes: Uint8Array): boolean => bytesToField(bytes) < FIELD_ORDER;

export function podRegister(
  state: State,
  sender: Sender,
  { podId, bond }: Value<1>,
  { params }: Context,
): Decision {
  if (!isField(podId))
    return fault("transaction/operation-invalid", { field: "podId", expected: "a field element below r" });
  if (bond < params.bondUnit)
    return fault("pod/bond-low", { bond: String(bond), unit: String(params.bondUnit) });
  if (bond > params.bondMax) {
    return fault("transaction/operation-invalid", { field: "bond", expected: `at most ${params.bondMax}` });
  }
  if (sender.available < bond)
    return fault("transaction/balance-low", { needed: String(bond), field: "bond" });
  if (getPod(state, podId) !== undefined) return fault("pod/already-registered");
  const full = podRoom(state, podId);
  if (full !== undefined) return full;
  return () => {
    debit(state, sender.address, bond);
    addToSupply(state, "bonded", bond);
    putPod(state, {
      podId,
      account: sender.address,
      publicKey: sender.publicKey,
      bond,
      datasets: 0,
      accepted: 0,
      settledQuality: 0n,
      rejected: 0,
      slashes: 0,
      exitEpoch: Epoch(0),
    });
  };
}

export function datasetRegister(state: State, sender: Sender, value: Value<2>): Decision {
  const { podId, dataRoot, batches, normalization } = value;
  const pod = getPod(state, podId);
  if (pod === undefined) return fault("pod/unknown");
  if (!equalBytes(pod.account, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the pod's account" });
  if (!isField(dataRoot))
    return fault("transaction/operation-invalid", { field: "dataRoot", expected: "a field element below r" });
  if (batches < 1 || batches > BATCHES_MAX) {
    return fault("transaction/operation-invalid", { field: "batches", expected: `1 … ${BATCHES_MAX}` });
  }
  if (pod.datasets >= DATASETS_PER_POD_MAX)
    return fault("pod/dataset-limit", { limit: DATASETS_PER_POD_MAX });
  if (getDataset(state, dataRoot) !== undefined) return fault("pod/dataset-exists");
  const full = datasetRoom(state, dataRoot);
  if (full !== undefined) return full;
  return () => {
    putPod(state, { ...pod, datasets: pod.datasets + 1 });
    putDataset(state, {
      dataRoot,
      podId,
      normalization,
      batches,
      registered: state.height,
      uses: new Uint8Array(batches),
    });
  };
}

/** Slots that the pod's enrollments ask for already. */
export function slotsAsked(state: State, podId: Uint8Array): number {
  let slots = 0;
  for (let i = 0; i < state.tasks.length; i++) {
    const task = state.tasks.getReadonly(i);
    if (state.epoch > task.lastRound) continue;
    for (let j = 0; j < task.enrollments.length; j++) {
      const enrollment = task.enrollments.getReadonly(j);
      if (equalBytes(enrollment.podId, podId)) slots += enrollment.slots;
    }
  }
  return slots;
}

export function podEnroll(state: State, sender: Sender, value: Value<3>, { params }: Context): Decision {
  const pod = getPod(state, value.podId);
  if (pod === undefined) return fault("pod/unknown");
  if (!equalBytes(pod.account, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the pod's account" });
  if (pod.exitEpoch > 0) return fault("pod/exiting", { epoch: pod.exitEpoch });
  const index = taskIndexOf(state, value.task);
  if (index < 0) return fault("task/unknown");
  const task = state.tasks.getReadonly(index);
  if (state.epoch > task.lastRound) return fault("task/closed");
  if (!equalBytes(task.groupRoot, ZERO32)) return fault("task/group-unavailable");
  if (pod.accepted < task.minAccepted || pod.settledQuality < task.minQuality) {
    return fault("pod/reputation-low", {
      accepted: pod.accepted,
      needed: task.minAccepted,
      quality: String(pod.settledQuality),
      qualityNeeded: String(task.minQuality),
    });
  }
  const dataset = getDataset(state, value.dataRoot);
  if (dataset === undefined || !equalBytes(dataset.podId, pod.podId)) return fault("pod/dataset-unknown");
  if (!equalBytes(dataset.normalization, task.normalization)) return fault("pod/normalization-mismatch");
  if (task.revealedFrom > 0 && dataset.registered >= task.revealedFrom) return fault("pod/root-too-late");
  if (shapeOf(bytesText(task.shape)).template !== "gradient") return fault("pod/template-mismatch");
  if (value.slots < 1 || value.slots > SLOTS_MAX) {
    return fault("transaction/operation-invalid", { field: "slots", expected: `1 … ${SLOTS_MAX}` });
  }
  const asked = slotsAsked(state, pod.podId) + value.slots;
  if (BigInt(asked) * params.bondUnit > pod.bond) {
    return fault("pod/slots-exceed-bond", {
      slots: asked,
      unit: String(params.bondUnit),
      bond: String(pod.bond),
    });
  }
  if (task.enrollments.length >= ENROLLMENTS_MAX)
    return fault("pod/enrollment-full", { limit: ENROLLMENTS_MAX });
  for (let i = 0; i < task.enrollments.length; i++) {
    if (equalBytes(task.enrollments.getReadonly(i).podId, pod.podId)) return fault("pod/enrolled-already");
  }
  const { podId, dataRoot, slots } = value;
  return () => {
    state.tasks.get(index).enrollments.push(EnrollmentType.toViewDU({ podId, dataRoot, slots }));
  };
}
