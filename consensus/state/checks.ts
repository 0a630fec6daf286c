/**
 * A block's signatures and proofs, collected as data from the parent's state: the node has them verified
 * in workers while the transition ends. What is collected here is exactly what the transition leaves out.
 */
import { type Fault, fault } from "../primitives/faults.ts";
import { allAtOnce, eachStep, type Steps } from "../primitives/steps.ts";
import type { Block, Header } from "../types/block.ts";
import { type Certificate, signersOf } from "../types/certificate.ts";
import type { Evidence } from "../types/evidence.ts";
import { type Submission, submissionName, submissionRoot } from "../types/submission.ts";
import { SELECTOR, type Transaction, transactionId } from "../types/transaction.ts";
import type { ValidatorSet } from "../types/validator-set.ts";
import { proposerOf, weightOf } from "../types/validator-set.ts";
import { possessionRoot, revealRoot, signingRoot, type Vote } from "../types/vote.ts";
import { type AcceptedSubmission, checkSubmission } from "./apply-submission.ts";
import type { Context } from "./context.ts";
import { checkEvidence } from "./pod-evidence.ts";
import { membersAt } from "./sets.ts";
import type { State } from "./state.ts";

/** Verified with node:crypto's Ed25519. */
export type Ed25519Check = {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
};
/** Verified with BLS, all keys over one message. */
export type BlsCheck = {
  readonly keys: readonly Uint8Array[];
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
};
/** Verified with Groth16 under the key of this hash. */
export type ProofCheck = {
  readonly vkHash: Uint8Array;
  /** Field elements of 32 bytes, little-endian: the signals are the outputs, then the inputs. */
  readonly outputs: Uint8Array;
  readonly inputs: Uint8Array;
  readonly proof: Uint8Array;
};

/** Two checks of a submission, by the name of all its bytes, so that what the mempool verified is not verified again. */
export type SubmissionChecks = {
  readonly name: string;
  readonly ed25519: Ed25519Check;
  readonly proof: ProofCheck;
};

/** What is wrong with the block if the signature is. */
type CodedBlsCheck = BlsCheck & {
  readonly code: "block/reveal" | "block/certificate" | "block/evidence" | "block/transaction";
};

export type Checks = {
  readonly bls: readonly CodedBlsCheck[];
  readonly transactions: readonly { readonly id: Uint8Array; readonly ed25519: Ed25519Check }[];
  readonly submissions: readonly SubmissionChecks[];
  /** By their transaction: the signature must hold and the proof must be false. */
  readonly evidence: readonly (SubmissionChecks & { readonly transaction: number })[];
};

export function transactionCheck(chain: Uint8Array, transaction: Transaction): Ed25519Check {
  const { publicKey, signature } = transaction;
  return { publicKey, message: transactionId(chain, transaction), signature };
}

export function submissionChecks(
  chain: Uint8Array,
  submission: Submission,
  { slot: { publicKey }, statement: { vkHash, inputs } }: Pick<AcceptedSubmission, "slot" | "statement">,
): SubmissionChecks {
  const { outputs, proof, signature } = submission;
  return {
    name: submissionName(submission),
    ed25519: { publicKey, message: submissionRoot(chain, submission), signature },
    proof: { vkHash, outputs, inputs, proof },
  };
}

/** The proof of possession of a joining validator; no other operation carries a BLS signature. */
export function possessionCheck(chain: Uint8Array, { operation }: Transaction): BlsCheck | undefined {
  if (operation.selector !== 5) return undefined;
  const { blsKey, possession } = operation.value;
  return { keys: [blsKey], message: possessionRoot(chain, blsKey), signature: possession };
}

/** Each half of a piece of evidence on its own; none if the state doesn't hold the set, which refuses it anyway. */
export function evidenceChecks(state: State, { value: { first, second } }: Evidence): BlsCheck[] {
  const members = membersAt(state, first.subject.epoch);
  if (members === undefined) return [];
  const positionsOf = (half: Vote | Certificate): number[] =>
    "signer" in half ? [half.signer] : signersOf(half);
  return [first, second].map((half) => ({
    keys: positionsOf(half).map((position) => members[position]?.blsKey ?? new Uint8Array(48)),
    message: signingRoot(state.chain, half.subject),
    signature: half.signature,
  }));
}

/** What evidence against a pod claims, as checks: undefined for any other operation. */
export function podEvidenceChecks(
  state: State,
  { operation }: Transaction,
  { params }: Context,
): SubmissionChecks | Fault | undefined {
  if (operation.selector !== SELECTOR.podEvidence) return undefined;
  const { submission } = operation.value;
  const accused = checkEvidence(state, submission, params);
  return "code" in accused ? accused : submissionChecks(state.chain, submission, accused);
}

function revealCheck(state: State, set: ValidatorSet, header: Header, signature: Uint8Array): BlsCheck {
  const key = set.members[proposerOf(set, header.view)]?.blsKey ?? new Uint8Array(48);
  return { keys: [key], message: revealRoot(state.chain, header.epoch, header.view), signature };
}

/**
 * All checks of a block on its parent's state, or the fault that makes it invalid without any of them. Who executes
 * the block knows what its submissions are verified against: slots and what they ask are the same all epoch.
 */
export function* checkSteps(
  parent: State,
  set: ValidatorSet,
  block: Block,
  context: Context,
  included?: readonly AcceptedSubmission[],
): Steps<Checks | Fault> {
  const { header, body } = block;
  const bls: CodedBlsCheck[] = [
    { ...revealCheck(parent, set, header, body.beaconReveal), code: "block/reveal" },
  ];
  const late = body.lateCertificate[0];
  if (late !== undefined) {
    const positions = signersOf(late);
    if (late.signers.bitLen !== set.members.length || weightOf(set, positions) < set.quorum) {
      return fault("block/certificate", { field: "lateCertificate" });
    }
    const keys = positions.map((position) => set.members[position]?.blsKey ?? new Uint8Array(48));
    bls.push({
      keys,
      message: signingRoot(parent.chain, late.subject),
      signature: late.signature,
      code: "block/certificate",
    });
  }
  for (const evidence of body.evidence) {
    for (const check of evidenceChecks(parent, evidence)) bls.push({ ...check, code: "block/evidence" });
  }
  for (const transaction of body.transactions) {
    const check = possessionCheck(parent.chain, transaction);
    if (check !== undefined) bls.push({ ...check, code: "block/transaction" });
  }
  const submissions: SubmissionChecks[] = [];
  for (const [index, submission] of body.submissions.entries()) {
    const accepted = included?.[index] ?? checkSubmission(parent, submission, context);
    if ("code" in accepted) return fault("block/submission", { index, cause: accepted.code });
    submissions.push(submissionChecks(parent.chain, submission, accepted));
    yield;
  }
  const transactions = yield* eachStep(body.transactions, (transaction) => {
    const ed25519 = transactionCheck(parent.chain, transaction);
    return { id: ed25519.message, ed25519 };
  });
  const evidence: (SubmissionChecks & { transaction: number })[] = [];
  for (const [index, transaction] of body.transactions.entries()) {
    const checks = podEvidenceChecks(parent, transaction, context);
    if (checks === undefined) continue;
    if ("code" in checks) return fault("block/transaction", { index, cause: checks.code });
    evidence.push({ ...checks, transaction: index });
  }
  return { bls, transactions, submissions, evidence };
}

/** {@link checkSteps} all at once. */
export const collectChecks = (
  parent: State,
  set: ValidatorSet,
  block: Block,
  context: Context,
): Checks | Fault => allAtOnce(checkSteps(parent, set, block, context));
