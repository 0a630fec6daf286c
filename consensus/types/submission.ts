/**
 * A submission: a pod's signed proof for one drawn slot. It carries outputs and proof only; the node
 * rebuilds every public input from the state, and `inputsHash` says which ones the pod meant.
 */
import { ContainerType, ListCompositeType, type ValueOf } from "@chainsafe/ssz";
import { bigintToBytes, bytesToBigint, concatBytes } from "../primitives/bytes.ts";
import { hash } from "../primitives/hash.ts";
import { Bytes32, Bytes64, Bytes128, EpochType, rememberedRoot, uint16 } from "./ssz.ts";

/** Values in a model or a gradient, with its bias. */
export const VALUES_MAX = 1024;
export const OUTPUTS_MAX = VALUES_MAX + 8;

/**
 * The outputs of a submission are in the root that its pod signs and in that of all its bytes, and take most of
 * both: their own is remembered. Nobody changes them.
 */
class OutputsType extends ListCompositeType<typeof Bytes32> {
  readonly #roots = new WeakMap<readonly Uint8Array[], Uint8Array>();

  override hashTreeRootInto(value: Uint8Array[], output: Uint8Array, offset: number): void {
    const known = this.#roots.get(value);
    if (known !== undefined) {
      output.set(known, offset);
      return;
    }
    super.hashTreeRootInto(value, output, offset);
    this.#roots.set(value, output.slice(offset, offset + 32));
  }
}

const unsigned = {
  task: Bytes32,
  epoch: EpochType,
  /** Position among the task's drawn slots of the epoch. */
  slot: uint16,
  podId: Bytes32,
  /** Hash of the verification key and all public inputs. */
  inputsHash: Bytes32,
  /** Public outputs in the circuit's order, 32 bytes little-endian each, below r. */
  outputs: new OutputsType(Bytes32, OUTPUTS_MAX),
  /** A, B, C compressed. */
  proof: Bytes128,
};
const UnsignedSubmissionType = new ContainerType(unsigned);
export const SubmissionType = new ContainerType({ ...unsigned, signature: Bytes64 });
export type UnsignedSubmission = ValueOf<typeof UnsignedSubmissionType>;
export type Submission = ValueOf<typeof SubmissionType>;
const unsignedRoot = rememberedRoot(UnsignedSubmissionType);

/** The 32 bytes that the pod's account signs. */
export function submissionRoot(chain: Uint8Array, submission: UnsignedSubmission): Uint8Array {
  return hash("submission", chain, unsignedRoot(submission));
}

/** Of all its bytes, proof and signature included: what a block's body commits to. Remembered. */
export const submissionContentRoot = rememberedRoot(SubmissionType);

/** The first output of every template. It is the submission's identity; proof bytes never are. */
export function nullifierOf(submission: UnsignedSubmission): Uint8Array {
  return submission.outputs[0] ?? new Uint8Array(32);
}

export const fieldToBytes = (value: bigint): Uint8Array => bigintToBytes(value, 32);
export const bytesToField = bytesToBigint;

export function inputsHashOf(vkHash: Uint8Array, inputs: readonly bigint[]): Uint8Array {
  return hash("inputs", vkHash, concatBytes(...inputs.map(fieldToBytes)));
}
