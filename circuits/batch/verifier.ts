/**
 * Verifies batches of proofs: decodes strictly, checks them all in one equation, finds the culprits if it does
 * not hold. Called by verify-worker.ts, the prover, tests and the bench; browser safe,
 * blocking.
 *
 * The verdict on a proof depends on its key, signals and bytes alone, but for the chance of 2^-128 that a
 * random coefficient hides a wrong one. reference.ts answers the same, slowly.
 */

import { readSignals, SIGNAL_BYTES, SIGNAL_WORDS } from "../signals.ts";
import type { VerificationKey } from "../verification-key.ts";
import type { VerifyJob } from "../verify.ts";
import { createDecoder } from "./decode.ts";
import { type Claim, createEquation, PAIRS_PER_KEY, type Phases } from "./equation.ts";
import { createField } from "./field.ts";
import type { PreparedKey } from "./key.ts";

/** Proofs in one equation, by default; more are cut. */
export const BATCH_MAX = 128;
/** Keys in one equation, and prepared keys that are kept: about 3.4 MB each. */
const KEYS_PER_BATCH = 8;
const KEYS_KEPT = 16;

export type BatchVerifier = {
  verify(jobs: readonly VerifyJob[]): boolean[];
  /** Milliseconds since the start, by phase. */
  readonly phases: Phases & { decode: number };
};

export type BatchVerifierOptions = {
  /** Proofs in one equation: 256 are 5 % cheaper than 128, and more than 256 its sums don't allow (sums.ts). */
  readonly batchMax?: number;
};

/** `undefined` on machines without fused multiply-add. */
export async function createBatchVerifier({
  batchMax = BATCH_MAX,
}: BatchVerifierOptions = {}): Promise<BatchVerifier | undefined> {
  const field = await createField(Math.ceil((batchMax + PAIRS_PER_KEY * KEYS_PER_BATCH) / 2));
  if (field === undefined) return undefined;
  const decode = createDecoder(field);
  const equation = createEquation(field);
  const registers = {
    a: { x: field.fp(), y: field.fp() },
    b: { x: field.fp2(), y: field.fp2() },
    c: { x: field.fp(), y: field.fp() },
  };
  const prepared = new Map<string, PreparedKey>();
  const named = new WeakMap<VerificationKey, string>();
  const phases = { ...equation.phases, decode: 0 };

  /** Keys arrive as copies: their text is what they have in common. */
  const nameOf = (key: VerificationKey): string => {
    const { nPublic, vk_alpha_1, vk_beta_2, vk_gamma_2, vk_delta_2, IC } = key;
    const known = named.get(key);
    const name = known ?? JSON.stringify([nPublic, vk_alpha_1, vk_beta_2, vk_gamma_2, vk_delta_2, IC]);
    if (known === undefined) named.set(key, name);
    return name;
  };
  const prepare = (key: VerificationKey): PreparedKey => {
    const name = nameOf(key);
    const known = prepared.get(name) ?? equation.prepareKey(key);
    prepared.delete(name);
    if (prepared.size >= KEYS_KEPT) prepared.delete(prepared.keys().next().value ?? "");
    prepared.set(name, known);
    return known;
  };

  /** The claims that do not hold, of a list of which at least one does not. */
  const culprits = (claims: readonly Claim[]): readonly Claim[] => {
    if (claims.length === 1) return claims;
    const middle = claims.length >> 1;
    const [left, right] = [claims.slice(0, middle), claims.slice(middle)];
    // If the left half holds, it is the right one: no need to ask.
    if (holds(left)) return culprits(right);
    if (holds(right)) return culprits(left);
    // Culprits on both sides: whoever sends many must not make the search dear.
    const verdicts = equation.checkEach(registers, claims);
    return claims.filter((_, i) => verdicts[i] !== true);
  };
  const holds = (claims: readonly Claim[]): boolean => equation.check(registers, claims).kind === "hold";
  const failing = (claims: readonly Claim[]): readonly Claim[] => {
    if (claims.length === 0) return [];
    const answer = equation.check(registers, claims);
    if (answer.kind === "hold") return [];
    if (answer.kind === "fail") return culprits(claims);
    const { claims: outside } = answer;
    return [...claims.filter((_, i) => outside.has(i)), ...failing(claims.filter((_, i) => !outside.has(i)))];
  };

  const verifyPart = (jobs: readonly VerifyJob[], keys: readonly PreparedKey[]): boolean[] => {
    const started = performance.now();
    const valid = decode(
      registers,
      jobs.map(({ proof }) => proof),
    );
    phases.decode += performance.now() - started;
    const words = new Uint32Array(jobs.reduce((sum, { vk }) => sum + vk.nPublic * SIGNAL_WORDS, 0));
    let end = 0;
    const claims = jobs.flatMap(({ publicSignals, vk }, element): Claim[] => {
      const key = keys[element];
      const start = end;
      end += vk.nPublic * SIGNAL_WORDS;
      const fits =
        publicSignals.length === vk.nPublic * SIGNAL_BYTES && readSignals(words, start, publicSignals);
      return valid[element] === 1 && fits && key !== undefined
        ? [{ element, key, words: words.subarray(start, end) }]
        : [];
    });
    const verdicts = new Array<boolean>(jobs.length).fill(false);
    for (const { element } of claims) verdicts[element] = true;
    for (const { element } of failing(claims)) verdicts[element] = false;
    Object.assign(phases, equation.phases);
    return verdicts;
  };

  return {
    phases,
    verify: (jobs) => {
      const names = new Map<VerificationKey, PreparedKey>();
      const verdicts: boolean[] = [];
      type Part = { jobs: VerifyJob[]; keys: PreparedKey[]; distinct: Set<PreparedKey> };
      const emptyPart = (): Part => ({ jobs: [], keys: [], distinct: new Set() });
      let part = emptyPart();
      const flush = (): void => {
        if (part.jobs.length > 0) verdicts.push(...verifyPart(part.jobs, part.keys));
        part = emptyPart();
      };
      for (const job of jobs) {
        const key = names.get(job.vk) ?? prepare(job.vk);
        names.set(job.vk, key);
        const full = part.distinct.size >= KEYS_PER_BATCH && !part.distinct.has(key);
        if (part.jobs.length >= batchMax || full) flush();
        part.jobs.push(job);
        part.keys.push(key);
        part.distinct.add(key);
      }
      flush();
      return verdicts;
    },
  };
}
