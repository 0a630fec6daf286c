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
import { concatBytes, fromHex, nameOf, toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault } from "../consensus/primitives/faults.ts";
import type {
  BlsCheck,
  Checks,
  Ed25519Check,
  ProofCheck,
  SubmissionChecks,
} from "../consensus/state/checks.ts";
import { verifyEd25519 } from "./keys.ts";
import { aTurn } from "./turns.ts";

const REMEMBERED_MAX = 16_384;
/**
 * How long a pooled proof waits for company: alone it costs twenty times its share of a full batch, and the next
 * block is further away than this. A block's proofs don't wait.
 */
const COMPANY_MS = 60;
/** Signatures of a block that are verified before other events get their turn: about a millisecond. */
const SIGNATURES_AT_ONCE = 64;

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

type Open = {
  readonly i: number;
  readonly check: SubmissionChecks;
  readonly vk: VerificationKey;
};
/** One call of the verifier, and the place of a proof in it. */
type UnderWay = { readonly verdicts: Promise<boolean[]>; readonly at: number };

const signalsOf = ({ outputs, inputs }: ProofCheck): Uint8Array => concatBytes(outputs, inputs);

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
  /** By the name of their hash, which is not made again for each proof of a task. */
  const keysByName = new Map([...keys].map(([hash, vk]) => [nameOf(fromHex(hash)), vk]));
  const keyOf = ({ vkHash }: ProofCheck): VerificationKey | undefined => keysByName.get(nameOf(vkHash));
  /** Proofs under verification, of submissions whose signatures hold: a block may name what the pool has begun. */
  const underWay = new Map<string, UnderWay>();
  const remember = (name: string): void => {
    if (known.size >= REMEMBERED_MAX) known.delete(known.values().next().value ?? "");
    known.add(name);
  };

  const nameOfTransaction = ({ message, signature }: Ed25519Check): string =>
    nameOf(message) + nameOf(signature);
  const verifyTransaction = (check: Ed25519Check): Fault | undefined => {
    const name = nameOfTransaction(check);
    if (known.has(name)) return undefined;
    if (signatures.verify([check])[0] !== true) return fault("transaction/signature-invalid");
    remember(name);
    return undefined;
  };

  const isSignerKnown = ({ name }: SubmissionChecks): boolean => known.has(name) || underWay.has(name);
  /** Those whose proofs are not verified already, nor about to be, with their places. */
  const unknownOf = (checks: readonly SubmissionChecks[]) =>
    checks.flatMap((check, i) => (isSignerKnown(check) ? [] : [{ check, i }]));
  /** An answer each, in order. */
  const verifySigners = (checks: readonly SubmissionChecks[]): (Fault | undefined)[] => {
    const answers = new Array<Fault | undefined>(checks.length).fill(undefined);
    const open = unknownOf(checks);
    const holds = signatures.verify(open.map(({ check }) => check.ed25519));
    for (const [at, { i }] of open.entries())
      if (holds[at] !== true) answers[i] = fault("submission/signature-invalid");
    return answers;
  };

  /** Begins to verify what is not under way yet, as one call of the verifier. */
  const begin = (fresh: readonly Open[], waitMs: number): Promise<boolean[]> => {
    if (fresh.length === 0) return Promise.resolve([]);
    const jobs = fresh.map(({ check: { proof }, vk }) => ({
      vk,
      publicSignals: signalsOf(proof),
      proof: proof.proof,
    }));
    const verdicts = verifier.verify(jobs, waitMs).finally(() => {
      for (const { check } of fresh) underWay.delete(check.name);
    });
    for (const [at, { check }] of fresh.entries()) underWay.set(check.name, { verdicts, at });
    return verdicts;
  };
  /** A verdict each. What is under way already is waited for, and no longer than `waitMs` for its company. */
  const verdictsOf = async (open: readonly Open[], waitMs: number): Promise<boolean[]> => {
    const fresh = open.filter(({ check }) => !underWay.has(check.name));
    const begun = begin(fresh, waitMs);
    if (fresh.length === open.length) return begun;
    const waited = open.map(({ check }) => underWay.get(check.name));
    // Nothing of its own to ask for: then what it waits for may be waiting for company, which must end.
    if (waitMs === 0 && fresh.length === 0) await verifier.verify([], 0);
    const calls = [...new Set(waited.flatMap((it) => it?.verdicts ?? []))];
    const answers = new Map((await Promise.all(calls)).map((answer, i) => [calls[i], answer]));
    return waited.map((it) => it !== undefined && answers.get(it.verdicts)?.[it.at] === true);
  };

  /** One answer a submission, in order, all proofs in one batch; whose signature is wrong says so before. */
  const verifyProofs = async (
    checks: readonly SubmissionChecks[],
    waitMs: number,
    before: readonly (Fault | undefined)[] = [],
  ): Promise<(Fault | undefined)[]> => {
    const answers = checks.map((_, i) => before[i]);
    const open: Open[] = [];
    for (const [i, check] of checks.entries()) {
      if (answers[i] !== undefined || known.has(check.name)) continue;
      const vk = keyOf(check.proof);
      if (vk === undefined)
        answers[i] = fault("submission/proof-invalid", { verificationKey: toHex(check.proof.vkHash) });
      else open.push({ i, check, vk });
    }
    if (open.length === 0) return answers;
    const verdicts = await verdictsOf(open, waitMs);
    for (const [at, { i, check }] of open.entries()) {
      if (verdicts[at] === true) remember(check.name);
      // A glance, because this thread is not to be kept busy by whoever sends bad proofs.
      else if (!isProofShaped(check.proof.proof)) answers[i] = fault("submission/proof-malformed");
      else answers[i] = fault("submission/proof-invalid");
    }
    return answers;
  };

  /** Cheap checks first, then all remaining proofs. Between pieces of its signatures others get their turn. */
  const verifySubmissions = async (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> => {
    const unsigned = new Array<Fault | undefined>(checks.length).fill(undefined);
    const open = unknownOf(checks);
    for (let from = 0; from < open.length; from += SIGNATURES_AT_ONCE) {
      if (from > 0) await aTurn();
      const some = open.slice(from, from + SIGNATURES_AT_ONCE);
      const answers = verifySigners(some.map(({ check }) => check));
      for (const [at, { i }] of some.entries()) unsigned[i] = answers[at];
    }
    return verifyProofs(checks, 0, unsigned);
  };

  /** Evidence against a pod holds if the signature is the pod's and the proof is false. */
  const verifyEvidence = async (checks: readonly SubmissionChecks[]): Promise<(Fault | undefined)[]> => {
    const unfounded = (field: string): Fault => fault("pod/evidence-unfounded", { field });
    const answers: (Fault | undefined)[] = checks.map((check) => {
      if (known.has(check.name)) return unfounded("proof");
      return signatures.verify([check.ed25519])[0] === true ? undefined : unfounded("signature");
    });
    const open = checks.flatMap(({ proof }, i) => {
      const vk = keyOf(proof);
      // Every node has the catalogue's keys from genesis; without one, nothing is known to be false.
      if (vk === undefined) answers[i] ??= unfounded("verificationKey");
      return answers[i] === undefined && vk !== undefined
        ? [{ i, job: { vk, publicSignals: signalsOf(proof), proof: proof.proof } }]
        : [];
    });
    const verdicts = await verifier.verify(open.map(({ job }) => job));
    for (const [at, { i }] of open.entries()) if (verdicts[at] !== false) answers[i] = unfounded("proof");
    return answers;
  };

  /** The first of a block's transactions whose signature is wrong; those that are not known together. */
  const wrongTransaction = async (checks: Checks["transactions"]): Promise<number | undefined> => {
    const open = checks.flatMap(({ ed25519: check }, index) => {
      const name = nameOfTransaction(check);
      return known.has(name) ? [] : [{ index, name, check }];
    });
    for (let from = 0; from < open.length; from += SIGNATURES_AT_ONCE) {
      if (from > 0) await aTurn();
      const some = open.slice(from, from + SIGNATURES_AT_ONCE);
      const verdicts = signatures.verify(some.map(({ check }) => check));
      for (const [at, { index, name }] of some.entries()) {
        if (verdicts[at] !== true) return index;
        remember(name);
      }
    }
    return undefined;
  };

  return {
    verifyTransaction,
    verifyPossession: ({ keys: [key], message, signature }: BlsCheck): Fault | undefined =>
      key !== undefined && verifyAggregate(message, [key], signature)
        ? undefined
        : fault("validator/possession"),
    verifySigners,
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
      const index = await wrongTransaction(checks.transactions);
      if (index !== undefined)
        return fault("block/transaction", { index, cause: "transaction/signature-invalid" });
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
