/**
 * From a proof to a signed submission: the public inputs rebuilt as a node rebuilds them, compared with
 * the proof's own, and signed. A submission carries outputs and proof only. Called by the agent and by
 * tests that forge. Runs in a browser.
 */
import { type GradientJob, gradientOutputs } from "../circuits/gradient/witness.ts";
import { podIdOf } from "../circuits/hash.ts";
import { equalBytes, fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { Epoch } from "../consensus/primitives/units.ts";
import {
  bytesToField,
  fieldsToBytes,
  fieldToBytes,
  inputsHashOf,
  type Submission,
  submissionRoot,
  type UnsignedSubmission,
} from "../consensus/types/submission.ts";
import {
  type GradientShape,
  gradientOf,
  outputsCount,
  parseOutputs,
  publicInputs,
  shapeOf,
} from "../consensus/work/gradient.ts";
import { isOneRow } from "../consensus/work/one-row.ts";
import type { TaskDetail } from "../rpc/methods.ts";
import type { Account } from "./account.ts";
import type { Dataset } from "./dataset.ts";

/** One slot that the beacon drew for this pod, with everything its statement is about. */
export type DrawnSlot = {
  readonly task: Uint8Array;
  readonly shape: GradientShape;
  readonly vkHash: Uint8Array;
  readonly epoch: number;
  readonly slot: number;
  readonly podId: Uint8Array;
  readonly dataRoot: Uint8Array;
  readonly batchIndex: number;
  readonly model: readonly number[];
};

export type Proved = { readonly proof: Uint8Array; readonly publicSignals: readonly bigint[] };

/** The pod's unfilled slots among those that the task drew for its epoch. */
export function drawnSlots(task: TaskDetail, podId: string): DrawnSlot[] {
  return task.slots
    .filter((slot) => slot.podId === podId && !slot.filled)
    .map((slot) => ({
      task: fromHex(task.id, 32),
      shape: shapeOf(task.shape),
      vkHash: fromHex(task.vkHash, 32),
      epoch: Number(task.epoch),
      slot: slot.slot,
      podId: fromHex(slot.podId, 32),
      dataRoot: fromHex(slot.dataRoot, 32),
      batchIndex: slot.batchIndex,
      model: task.model.map(Number),
    }));
}

/** What the node will verify the proof against. */
export function inputsOf(drawn: DrawnSlot): bigint[] {
  return publicInputs({
    task: bytesToField(drawn.task),
    epoch: drawn.epoch,
    podId: bytesToField(drawn.podId),
    dataRoot: bytesToField(drawn.dataRoot),
    batchIndex: drawn.batchIndex,
    model: drawn.model,
  });
}

/**
 * What the circuit takes for a drawn slot. Holds private rows: it goes to the prover and nowhere else.
 * @throws `circuit/batch-inactive` if all rows that count are one row: the slot lapses without fault
 */
export function jobOf(dataset: Dataset, drawn: DrawnSlot, secret: bigint): GradientJob {
  const { task, epoch, model, dataRoot, batchIndex } = drawn;
  if (!equalBytes(fieldToBytes(podIdOf(secret)), drawn.podId)) {
    throw new FaultError("submission/slot-not-yours", { slot: drawn.slot });
  }
  const batch = equalBytes(dataset.dataRoot, dataRoot) ? dataset.batches[batchIndex] : undefined;
  if (batch === undefined)
    throw new FaultError("pod/dataset-unknown", { dataRoot: toHex(dataRoot), batch: batchIndex });
  // Its public gradient would give the row away, and would be paid nothing.
  if (isOneRow(model, gradientOf(model, batch.rows), drawn.shape.rows))
    throw new FaultError("circuit/batch-inactive", { distinct: 1, batch: batchIndex });
  return {
    task: bytesToField(task),
    epoch,
    model,
    dataRoot: bytesToField(dataRoot),
    batchIndex,
    siblings: dataset.tree.path(batchIndex),
    rows: batch.rows,
    salt: batch.salt,
    secret,
  };
}

/**
 * Finds here what a node would refuse: inputs other than the rebuilt ones, outputs other than the native
 * twin's. The faults are the node's own and name the signal's position, never a value of the pod's data.
 */
export function preflight(drawn: DrawnSlot, job: GradientJob, { publicSignals }: Proved): void {
  const split = outputsCount(drawn.shape);
  const inputs = publicSignals.slice(split);
  const rebuilt = inputsOf(drawn);
  const wrong = rebuilt.findIndex((value, i) => inputs[i] !== value);
  if (inputs.length !== rebuilt.length || wrong !== -1) {
    throw new FaultError("submission/inputs-mismatch", { input: wrong === -1 ? inputs.length : wrong });
  }
  const outputs = publicSignals.slice(0, split);
  parseOutputs(drawn.shape, outputs);
  const differs = gradientOutputs(job).findIndex((value, i) => outputs[i] !== value);
  if (differs !== -1) throw new FaultError("circuit/witness-failed", { output: differs });
}

export function buildSubmission(drawn: DrawnSlot, { proof, publicSignals }: Proved): UnsignedSubmission {
  const { task, epoch, slot, podId } = drawn;
  return {
    task,
    epoch: Epoch(epoch),
    slot,
    podId,
    inputsHash: inputsHashOf(drawn.vkHash, inputsOf(drawn)),
    outputs: fieldsToBytes(publicSignals.slice(0, outputsCount(drawn.shape))),
    proof,
  };
}

export function signSubmission(
  account: Account,
  chain: Uint8Array,
  submission: UnsignedSubmission,
): Submission {
  return { ...submission, signature: account.sign(submissionRoot(chain, submission)) };
}
