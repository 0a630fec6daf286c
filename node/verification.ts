/**
 * Carries out the checks that consensus/state/checks.ts collects: signatures here, proofs in the
 * verifier's workers, which gather what comes at the same time into batches. Remembers what was
 * verified, so that a block does not pay again for what the mempool has verified. Used by admission and
 * by the chain.
 */

import { isProofShaped } from "../circuits/proof.ts";
import type { VerificationKey } from "../circuits/verification-key.ts";
import type { Verifier } from "../circuits/verify.ts";
import { verifyAggregate, verifyAggregates } from "../consensus/primitives/bls.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault } from "../consensus/primitives/faults.ts";
import type { BlsCheck, Checks, Ed25519Check, SubmissionChecks } from "../consensus/state/checks.ts";
import { verifyEd25519 } from "./keys.ts";
import { aTurn } from "./turns.ts";

const REMEMBERED_MAX = 16_384;
/**
 * How long a pooled proof waits for company: alone it costs twenty times its share of a full batch, and the next
 * block is further away than this. A block's proofs don't wait.
 */
const COMPANY_MS = 60;
/** Signatures of a block that are verified before other events get their turn: a few milliseconds. */
const SIGNATURES_AT_ONCE = 16;

export type VerificationOptions = {
  /** Verification keys of the chain's catalogue, by hex of their hash. */
  readonly keys: ReadonlyMap<string, VerificationKey>;
};
export type VerificationComponents = {
  readonly verifier: Pick<Verifier, "verify">;
  /** Many at once may cost less than one by one; the answers are the same, in order. */
  readonly signatures?: { verify(checks: readonly Ed25519Check[]): readonly boolean[] };
};
export type Verification = ReturnType<typeof createVerification>;

const oneByOne = {
  verify: (checks: readonly Ed25519Check[]): boolean[] =>
    checks.map(({ publicKey, message, signature }) => verifyEd25519(publicKey, message, signature)),
};

export function createVerification(
  { keys }: VerificationOptions,
  { verifier, signatures = oneByOne }: VerificationComponents,
) {
  /** Names of transactions and submissions whose signatures and proofs hold: each says all of their bytes. */
  const known = new Set<string>();
  /** Proofs under verification, of submissions whose signatures hold: a block may name what the pool has begun. */
  const underWay = new Map<string, Promise<boolean>>();
  const remember = (name: string): void => {
    if (known.size >= REMEMBERED_MAX) known.delete(known.values().next().value ?? "");
    known.add(name);
  };
  const nameOf = ({ contentRoot }: SubmissionChecks): string => toHex(contentRoot);

  const signatureHolds = (check: Ed25519Check): boolean => signatures.verify([check])[0] === true;

  const verifyTransaction = (check: Ed25519Check): Fault | undefined => {
    const name = toHex(check.message) + toHex(check.signature);
    if (known.has(name)) return undefined;
    if (!signatureHolds(check)) return fault("transaction/signature-invalid");
    remember(name);
    return undefined;
  };

  const isSignerKnown = (check: SubmissionChecks): boolean => {
    const name = nameOf(check);
    return known.has(name) || underWay.has(name);
  };
  const verifySigner = (check: SubmissionChecks): Fault | undefined =>
    isSignerKnown(check) || signatureHolds(check.ed25519) ? undefined : fault("submission/signature-invalid");

  type Open = { readonly check: SubmissionChecks; readonly vk: VerificationKey };
  /** A verdict each. What is under way already is waited for, and no longer than `waitMs` for its company. */
  const verdictsOf = async (open: readonly Open[], waitMs: number): Promise<boolean[]> => {
    const names = open.map(({ check }) => nameOf(check));
    const begun = open.map((_, at) => underWay.get(names[at] ?? ""));
    const fresh = open.flatMap((it, at) => (begun[at] === undefined ? [{ ...it, at }] : []));
    const verdicts = verifier.verify(
      fresh.map(({ check: { proof }, vk }) => ({
        vk,
        publicSignals: proof.publicSignals,
        proof: proof.proof,
      })),
      waitMs,
    );
    for (const [place, { at }] of fresh.entries()) {
      const name = names[at] ?? "";
      const verdict = verdicts.then((all) => all[place] === true).finally(() => underWay.delete(name));
      begun[at] = verdict;
      underWay.set(name, verdict);
    }
    const all = begun.map((verdict) => verdict ?? false);
    const [, ...answers] = await Promise.all([verdicts, ...all]);
    return answers;
  };

  /** One answer a submission, in order, all proofs in one batch; whose signature is wrong says so before. */
  const verifyProofs = async (
    checks: readonly SubmissionChecks[],
    waitMs: number,
    before: readonly (Fault | undefined)[] = [],
  ): Promise<(Fault | undefined)[]> => {
    const answers = checks.map((_, i) => before[i]);
    const open = checks.flatMap((check, i) => {
      const vk = keys.get(toHex(check.proof.vkHash));
      if (answers[i] !== undefined || known.has(nameOf(check))) return [];
      if (vk === undefined) {
        answers[i] = fault("submission/proof-invalid", { verificationKey: toHex(check.proof.vkHash) });
        return [];
      }
      return [{ i, check, vk }];
    });
    const verdicts = await verdictsOf(open, waitMs);
    for (const [at, { i, check }] of open.entries()) {
      if (verdicts[at] === true) remember(nameOf(check));
      // A glance, because this thread is not to be kept busy by whoever sends bad proofs.
      else if (!isProofShaped(check.proof.proof)) answers[i] = fault("submission/proof-malformed");
      else answers[i] = fault("submission/proof-invalid");
    }
    return answers;
  };

  /** Cheap checks first, then all remaining proofs. A thousand signatures take a tenth of a second: others get their turn. */
  const verifySubmissions = async (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> => {
    const unsigned: (Fault | undefined)[] = [];
    let verified = 0;
    for (const check of checks) {
      if (!isSignerKnown(check) && ++verified % SIGNATURES_AT_ONCE === 0) await aTurn();
      unsigned.push(verifySigner(check));
    }
    return verifyProofs(checks, 0, unsigned);
  };

  /** Evidence against a pod holds if the signature is the pod's and the proof is false. */
  const verifyEvidence = async (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> => {
    const unfounded = (field: string): Fault => fault("pod/evidence-unfounded", { field });
    const answers: (Fault | undefined)[] = checks.map((check) => {
      if (known.has(nameOf(check))) return unfounded("proof");
      return signatureHolds(check.ed25519) ? undefined : unfounded("signature");
    });
    const open = checks.flatMap(({ proof: { vkHash, publicSignals, proof } }, i) => {
      const vk = keys.get(toHex(vkHash));
      // Every node has the catalogue's keys from genesis; without one, nothing is known to be false.
      if (vk === undefined) answers[i] ??= unfounded("verificationKey");
      return answers[i] === undefined && vk !== undefined ? [{ i, job: { vk, publicSignals, proof } }] : [];
    });
    const verdicts = await verifier.verify(open.map(({ job }) => job));
    for (const [at, { i }] of open.entries()) if (verdicts[at] !== false) answers[i] = unfounded("proof");
    return answers;
  };

  return {
    verifyTransaction,
    verifyPossession: ({ keys: [key], message, signature }: BlsCheck): Fault | undefined =>
      key !== undefined && verifyAggregate(message, [key], signature)
        ? undefined
        : fault("validator/possession"),
    verifySigner,
    /** Of submissions whose signatures hold. */
    verifyProofs: (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> =>
      verifyProofs(checks, COMPANY_MS),
    verifyEvidence,
    /** A block's checks: the first fault, or undefined if all hold. */
    async verifyChecks(checks: Checks): Promise<Fault | undefined> {
      // Together they cost less; only if something is wrong does it matter which.
      if (!verifyAggregates(checks.bls)) {
        const wrong = checks.bls.find((it) => !verifyAggregate(it.message, it.keys, it.signature));
        if (wrong !== undefined) return fault(wrong.code);
      }
      for (const [index, { ed25519 }] of checks.transactions.entries()) {
        const wrong = verifyTransaction(ed25519);
        if (wrong !== undefined) return fault("block/transaction", { index, cause: wrong.code });
      }
      const answers = await verifySubmissions(checks.submissions);
      for (const [index, wrong] of answers.entries()) {
        if (wrong !== undefined) return fault("block/submission", { index, cause: wrong.code });
      }
      const charges = await verifyEvidence(checks.evidence);
      for (const [i, wrong] of charges.entries()) {
        const index = checks.evidence[i]?.transaction ?? 0;
        if (wrong !== undefined) return fault("block/transaction", { index, cause: wrong.code });
      }
      return undefined;
    },
  };
}
