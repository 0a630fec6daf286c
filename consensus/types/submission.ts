/**
 * A submission: a pod's signed proof for one drawn slot. It carries outputs and proof only; the node
 * rebuilds every public input from the state, and `inputsHash` says which ones the pod meant.
 */
import { ContainerType, type ValueOf } from "@chainsafe/ssz";
import {
  bigintsToBytes,
  bigintToBytes,
  bytesToBigint,
  bytesToBigints,
  equalBytes,
  nameOf,
} from "../primitives/bytes.ts";
import { invariant } from "../primitives/faults.ts";
import { hash, hashAfter } from "../primitives/hash.ts";
import { outputAt, outputsType } from "./outputs.ts";
import { Bytes32, Bytes64, Bytes128, EpochType, rootOf, uint16 } from "./ssz.ts";
import { rootsOfAll, type SubmissionRoots } from "./submission-roots.ts";

const unsigned = {
  task: Bytes32,
  epoch: EpochType,
  /** Position among the task's drawn slots of the epoch. */
  slot: uint16,
  podId: Bytes32,
  /** Hash of the verification key and all public inputs. */
  inputsHash: Bytes32,
  /** Public outputs in the circuit's order, 32 bytes little-endian each, below r. */
  outputs: outputsType,
  /** A, B, C compressed. */
  proof: Bytes128,
};
const UnsignedSubmissionType = new ContainerType(unsigned);
export const SubmissionType = new ContainerType({ ...unsigned, signature: Bytes64 });
export type UnsignedSubmission = ValueOf<typeof UnsignedSubmissionType>;
export type Submission = ValueOf<typeof SubmissionType>;

type Remembered = SubmissionRoots & {
  /** {@link nameOf} of the root of all bytes, of the nullifier and of the task. */
  readonly contentName: string;
  readonly nullifierName: string;
  readonly taskName: string;
  /** What its pod signs, on the chain that was asked for last. */
  signed: { readonly chain: Uint8Array; readonly message: Uint8Array } | undefined;
};
/**
 * By the identity of the value, so that a copy has roots of its own. Nobody changes a submission once it is made; one
 * whose roots were asked for is frozen.
 */
const remembered = new WeakMap<UnsignedSubmission, Remembered>();

/** Hashes those together whose roots are not known yet; one by one they cost several times as much. */
export function hashSubmissions(submissions: readonly Submission[]): void {
  const fresh = submissions.filter((it) => !remembered.has(it));
  const all = rootsOfAll(fresh);
  for (let i = 0; i < fresh.length; i++) {
    const [it, roots] = [fresh[i], all[i]];
    if (it !== undefined && roots !== undefined) remember(it, roots);
  }
}

function remember(submission: Submission, { content, unsigned }: SubmissionRoots): Remembered {
  const made: Remembered = {
    content,
    unsigned,
    contentName: nameOf(content),
    nullifierName: nameOf(nullifierOf(submission)),
    taskName: nameOf(submission.task),
    signed: undefined,
  };
  remembered.set(Object.freeze(submission), made);
  return made;
}

function rootsOf(submission: Submission): Remembered {
  const known = remembered.get(submission);
  if (known !== undefined) return known;
  const [roots] = rootsOfAll([submission]);
  invariant(roots !== undefined, "each submission has its roots");
  return remember(submission, roots);
}

type Messages = { readonly chain: Uint8Array; readonly of: (root: Uint8Array) => Uint8Array };
let messages: Messages | undefined;
function messagesOf(chain: Uint8Array): Messages {
  if (messages !== undefined && equalBytes(messages.chain, chain)) return messages;
  messages = { chain: chain.slice(), of: hashAfter("submission", chain) };
  return messages;
}

/** The 32 bytes that the pod's account signs. Remembered. */
export function submissionRoot(chain: Uint8Array, submission: UnsignedSubmission | Submission): Uint8Array {
  if (!("signature" in submission)) return messagesOf(chain).of(rootOf(UnsignedSubmissionType, submission));
  const roots = rootsOf(submission);
  if (roots.signed !== undefined && equalBytes(roots.signed.chain, chain)) return roots.signed.message;
  const of = messagesOf(chain);
  const message = of.of(roots.unsigned);
  roots.signed = { chain: of.chain, message };
  return message;
}

/** Of all its bytes, proof and signature included: what a block's body commits to. Remembered. */
export const submissionContentRoot = (submission: Submission): Uint8Array => rootsOf(submission).content;

/** {@link nameOf} of that root: what a submission is known by where copies with other proof bytes are others. */
export const submissionName = (submission: Submission): string => rootsOf(submission).contentName;
/** {@link nameOf} of the nullifier. */
export const nullifierName = (submission: Submission): string => rootsOf(submission).nullifierName;
/** {@link nameOf} of the task. */
export const taskName = (submission: Submission): string => rootsOf(submission).taskName;

/** The first output of every template. It is the submission's identity; proof bytes never are. */
export function nullifierOf(submission: UnsignedSubmission): Uint8Array {
  return outputAt(submission.outputs, 0);
}

/** The second output of every template: equal ones mean equal rows. */
export function dataTagOf(submission: UnsignedSubmission): Uint8Array {
  return outputAt(submission.outputs, 1);
}

export const fieldToBytes = (value: bigint): Uint8Array => bigintToBytes(value, 32);
export const bytesToField = bytesToBigint;

/** Field elements of 32 bytes each, as outputs and inputs are. */
export const fieldsOf = (bytes: Uint8Array): bigint[] => bytesToBigints(bytes, 32);
export const fieldsToBytes = (fields: readonly bigint[]): Uint8Array => bigintsToBytes(fields, 32);

export function inputsHashOf(vkHash: Uint8Array, inputs: readonly bigint[]): Uint8Array {
  return hash("inputs", vkHash, fieldsToBytes(inputs));
}
