/**
 * Verifies Ed25519 signatures by the rule of ZIP-215, many at a time. Called by ../node.ts, which gives it to
 * whoever verifies, by tests and the bench.
 *
 * The verdict on a signature depends on key, message and signature alone, in whatever company (equation.ts), and
 * is that of `verifyEd25519` in ../keys.ts, which is what there is where the machine's arithmetic is missing.
 */

import { verifyEd25519 } from "../keys.ts";
import { L } from "./curve.ts";
import { type Claim, createEquation, EQUATION_BYTES } from "./equation.ts";
import { createMachine } from "./machine.ts";
import { createPoints, PIECE, POINTS_BYTES } from "./points.ts";
import { hashOf, numberOf } from "./scalars.ts";

export type SignatureJob = {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
};

export type SignatureVerifier = {
  /** A verdict each. It blocks for about 10 µs a signature: who has many lets others have their turn. */
  verify(jobs: readonly SignatureJob[]): boolean[];
  verifyOne(job: SignatureJob): boolean;
};

/** Signatures that are best verified at a time. */
export const BATCH_MAX = PIECE;

/** So few are checked each on its own: what an equation costs whatever their number is more. */
const EACH_MAX = 4;

type Verify = SignatureVerifier["verify"];

/** On any machine; without fused multiply-add it verifies one by one. */
export async function createSignatureVerifier(): Promise<SignatureVerifier> {
  const verify: Verify =
    (await createBatchVerifier()) ??
    ((jobs) => jobs.map(({ publicKey, message, signature }) => verifyEd25519(publicKey, message, signature)));
  return { verify, verifyOne: (job) => verify([job])[0] === true };
}

const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");

/** `undefined` on machines without fused multiply-add. Tests count what a machine of their own does. */
export async function createBatchVerifier(open = createMachine): Promise<Verify | undefined> {
  const machine = await open(POINTS_BYTES + EQUATION_BYTES);
  if (machine === undefined) return undefined;
  const points = createPoints(machine);
  const equation = createEquation(machine, points);

  const verifyPiece = (jobs: readonly SignatureJob[]): boolean[] => {
    const shaped: { index: number; job: SignatureJob; s: bigint; name: string }[] = [];
    const fresh = new Map<string, Uint8Array>();
    for (const [index, job] of jobs.entries()) {
      if (job.publicKey.length !== 32 || job.signature.length !== 64) continue;
      const s = numberOf(job.signature.subarray(32));
      if (s >= L) continue;
      const name = nameOf(job.publicKey);
      if (points.tableOf(name) === undefined) fresh.set(name, job.publicKey);
      shaped.push({ index, job, s, name });
    }
    const decoded = points.decode(
      shaped.map(({ job }) => job.signature),
      fresh,
    );
    const claims: (Claim & { readonly index: number })[] = [];
    for (const [i, { index, job, s, name }] of shaped.entries()) {
      const { publicKey, message, signature } = job;
      const r = decoded[i];
      const key = points.tableOf(name);
      if (r === undefined || key === undefined) continue;
      const hash = hashOf(Buffer.concat([signature.subarray(0, 32), publicKey, message]));
      claims.push({ index, r, key, s, hash });
    }
    // If one fails, all are checked on their own: for whoever sends many, that is the least it can cost.
    const together = claims.length > EACH_MAX && equation.check(claims);
    const each = together ? [] : equation.checkEach(claims);
    const verdicts = new Array<boolean>(jobs.length).fill(false);
    for (const [i, { index }] of claims.entries()) verdicts[index] = together || each[i] === true;
    return verdicts;
  };

  return (jobs) => {
    if (jobs.length <= PIECE) return verifyPiece(jobs);
    const verdicts: boolean[] = [];
    for (let at = 0; at < jobs.length; at += PIECE) {
      verdicts.push(...verifyPiece(jobs.slice(at, at + PIECE)));
    }
    return verdicts;
  };
}
