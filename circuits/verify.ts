/**
 * Verifies proofs, many at a time, in a worker thread. Called by nodes (admission and block checks) and by
 * SDKs for their own proofs; Node only.
 *
 * Two honest nodes must never disagree about a proof. So the answer depends on key, signals and bytes only:
 * decoding is strict (proof.ts), every signal must be below r and their number the key's, and keys come
 * checked from parseVerificationKey. A malformed job is `false`, never an error.
 */

import { extname } from "node:path";
import { FaultError } from "../consensus/primitives/faults.ts";
import { startThread, type Thread } from "./thread.ts";
import type { VerificationKey } from "./verification-key.ts";

export type VerifyJob = {
  /** From parseVerificationKey. */
  readonly vk: VerificationKey;
  /** Outputs, then public inputs; the caller has rebuilt the inputs itself. */
  readonly publicSignals: readonly bigint[];
  /** 128 bytes, see proof.ts. */
  readonly proof: Uint8Array;
};

export type Verifier = {
  /**
   * One answer a job, in order.
   * @throws `prover/busy` when too many jobs wait; an Error when stopped, or when the thread died
   */
  verify(jobs: readonly VerifyJob[]): Promise<boolean[]>;
  stop(): Promise<void>;
};

export type VerifierOptions = {
  /** Jobs that may wait, those in hand included. Default 4,096. */
  readonly jobsMax?: number;
};

const JOBS_MAX = 4096;

/** The thread starts with the first call, in about 0.4 s. */
export function createVerifier({ jobsMax = JOBS_MAX }: VerifierOptions = {}): Verifier {
  const script = new URL(`./verify-worker${extname(import.meta.filename)}`, import.meta.url);
  let thread: Thread<readonly VerifyJob[], boolean[]> | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let stopped = false;

  const run = async (jobs: readonly VerifyJob[]): Promise<boolean[]> => {
    if (stopped) throw new Error("the verifier is stopped");
    thread ??= startThread(script);
    const current = thread;
    try {
      return await current.call(jobs);
    } catch (error) {
      // A job cannot make the handler throw, so the thread is ill: the next call gets a new one.
      if (thread === current) thread = undefined;
      await current.stop();
      throw error;
    }
  };

  return {
    verify: (jobs) => {
      if (jobs.length === 0) return Promise.resolve([]);
      if (waiting + jobs.length > jobsMax) {
        return Promise.reject(new FaultError("prover/busy", { waiting, jobsMax }));
      }
      waiting += jobs.length;
      const result = queue
        .then(() => run(jobs))
        .finally(() => {
          waiting -= jobs.length;
        });
      queue = result.catch(() => undefined);
      return result;
    },
    stop: async () => {
      stopped = true;
      await thread?.stop();
      thread = undefined;
    },
  };
}
