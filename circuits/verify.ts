/**
 * Verifies proofs, many at a time, in worker threads that leave the caller's free. Called by nodes (admission
 * and block checks) and by SDKs for their own proofs; Node only.
 *
 * Calls are gathered: what comes within a few milliseconds, or while all threads are at work, is one batch, and
 * a proof of a full batch costs a fraction of a single one (docs/performance.md). The verdict is the same
 * in any company: it depends on key, signals and bytes only. Decoding is strict (proof.ts), every signal
 * must be below r and their number the key's, and keys come checked from parseVerificationKey. A malformed
 * job is `false`, never an error.
 */

import { availableParallelism } from "node:os";
import { extname } from "node:path";
import { FaultError } from "../consensus/primitives/faults.ts";
import { BATCH_MAX, createPatience, FULL, type Patient } from "./patience.ts";
import { PROOF_BYTES } from "./proof.ts";
import { SIGNAL_BYTES } from "./signals.ts";
import { startThread, type Thread } from "./thread.ts";
import type { VerificationKey } from "./verification-key.ts";
import type { VerifyReply, VerifyRequest } from "./verify-worker.ts";

export type VerifyJob = {
  /** From parseVerificationKey. */
  readonly vk: VerificationKey;
  /** Outputs, then public inputs, as signals.ts has them; the caller has rebuilt the inputs itself. */
  readonly publicSignals: Uint8Array;
  /** 128 bytes, see proof.ts. */
  readonly proof: Uint8Array;
};

export type Verifier = {
  /**
   * One answer a job, in order.
   * @param waitMs how long they wait for company while a thread is free, and four times that while company keeps
   * coming; default `gatherMs`. A full batch never waits.
   * @throws `prover/busy` when too many jobs wait; an Error when stopped, or when two threads died of the jobs
   */
  verify(jobs: readonly VerifyJob[], waitMs?: number): Promise<boolean[]>;
  stop(): Promise<void>;
};

export type VerifierOptions = {
  /** Threads. Default: one less than the machine has cores, at least one. */
  readonly workers?: number;
  /** Jobs that may wait, those in hand included. Default 4,096. */
  readonly jobsMax?: number;
  /** How long a job waits for company when a thread is free. Default 3 ms. */
  readonly gatherMs?: number;
};

/** Jobs are not spread over threads in smaller parts than this. */
const SHARE_MIN = 16;
const JOBS_MAX = 4096;
const GATHER_MS = 3;
const ATTEMPTS_MAX = 2;
/** With so many keys in it, a thread forgets them all before the next batch. */
const KEYS_MAX = 64;

/** Answered when none of its jobs is open any more. */
type Call = {
  readonly verdicts: boolean[];
  open: number;
  resolve(verdicts: boolean[]): void;
  reject(error: Error): void;
};

type Waiting = Patient & {
  readonly job: VerifyJob;
  readonly call: Call;
  readonly place: number;
  attempts: number;
};

type Seat = {
  thread: Thread<VerifyRequest, VerifyReply> | undefined;
  busy: boolean;
  /** The keys that the thread has, and their numbers there. */
  keys: Map<VerificationKey, number>;
};

/** Threads start with the first call, in about 0.1 s. */
export function createVerifier({
  workers = Math.max(1, availableParallelism() - 1),
  jobsMax = JOBS_MAX,
  gatherMs = GATHER_MS,
}: VerifierOptions = {}): Verifier {
  const script = new URL(`./verify-worker${extname(import.meta.filename)}`, import.meta.url);
  const seats: readonly Seat[] = Array.from({ length: workers }, () => ({
    thread: undefined,
    busy: false,
    keys: new Map(),
  }));
  let queue: Waiting[] = [];
  let open = 0;
  let timer: NodeJS.Timeout | undefined;
  /** When the timer is due (performance.now). */
  let wakeMs = 0;
  const patience = createPatience();
  let stopped = false;

  const answer = ({ call, place }: Waiting, verdict: boolean): void => {
    open--;
    call.verdicts[place] = verdict;
    if (--call.open === 0) call.resolve(call.verdicts);
  };
  const refuse = ({ call }: Waiting, error: Error): void => {
    open--;
    call.reject(error);
  };

  const run = async (seat: Seat, batch: readonly Waiting[]): Promise<void> => {
    seat.busy = true;
    if (seat.thread === undefined) {
      seat.thread = startThread<VerifyRequest, VerifyReply>(script);
      seat.keys = new Map();
    }
    const current = seat.thread;
    try {
      const request = requestOf(batch, seat);
      const given = [request.signals.buffer, request.proofs.buffer];
      const verdicts = await current.call(request, undefined, given);
      for (const [i, waiting] of batch.entries()) answer(waiting, verdicts[i] === 1);
    } catch (error) {
      // A job cannot make the handler throw, so the thread is ill: another one tries again, once.
      if (seat.thread === current) seat.thread = undefined;
      const again: Waiting[] = [];
      for (const waiting of batch) {
        waiting.attempts++;
        waiting.lastMs = 0;
        if (stopped || waiting.attempts >= ATTEMPTS_MAX) {
          refuse(waiting, error instanceof Error ? error : new Error(String(error)));
        } else again.push(waiting);
      }
      queue = [...again, ...queue];
      await current.stop();
    } finally {
      seat.busy = false;
    }
    dispatch();
  };

  /** Gives what waits to free threads; less than a batch only when it has waited long enough. */
  const dispatch = (): void => {
    for (;;) {
      const free = seats.filter(({ busy }) => !busy);
      const [seat] = free;
      if (stopped || seat === undefined || queue.length === 0) return;
      if (queue.length < FULL) {
        const leftMs = patience.leftMs(performance.now(), queue);
        if (leftMs > 0) {
          wakeWithin(leftMs);
          return;
        }
      }
      const share = Math.max(SHARE_MIN, Math.ceil(queue.length / free.length));
      const batch = queue.slice(0, Math.min(BATCH_MAX, share));
      queue = queue.slice(batch.length);
      void run(seat, batch);
    }
  };

  /** A timer that is due too early sets itself again: most calls leave it as it is. */
  const wakeWithin = (waitMs: number): void => {
    const nextMs = performance.now() + waitMs;
    if (timer !== undefined && nextMs >= wakeMs) return;
    clearTimeout(timer);
    wakeMs = nextMs;
    timer = setTimeout(() => {
      timer = undefined;
      // A late timer comes before the messages that came meanwhile, and they may bring company.
      setImmediate(dispatch);
    }, waitMs);
  };

  const enqueue = (waiting: Waiting): void => {
    const { proof, publicSignals, vk } = waiting.job;
    // What would not even fit the message is answered here.
    const fits = proof.length === PROOF_BYTES && publicSignals.length === vk.nPublic * SIGNAL_BYTES;
    if (fits) queue.push(waiting);
    else answer(waiting, false);
  };

  return {
    verify: (jobs, waitMs = gatherMs) => {
      if (stopped) return Promise.reject(new Error("the verifier is stopped"));
      if (open + jobs.length > jobsMax) {
        return Promise.reject(new FaultError("prover/busy", { waiting: open, jobsMax }));
      }
      const { promise, resolve, reject } = Promise.withResolvers<boolean[]>();
      const verdicts = new Array<boolean>(jobs.length).fill(false);
      const call: Call = { verdicts, open: jobs.length, resolve, reject };
      if (jobs.length === 0) resolve(verdicts);
      open += jobs.length;
      const lastMs = patience.arrive(performance.now(), waitMs, queue);
      for (const [place, job] of jobs.entries()) enqueue({ job, call, place, lastMs, attempts: 0 });
      dispatch();
      return promise;
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      for (const waiting of queue) refuse(waiting, new Error("the verifier is stopped"));
      queue = [];
      await Promise.all(seats.flatMap(({ thread }) => (thread === undefined ? [] : [thread.stop()])));
    },
  };
}

/** The jobs as a message: keys that the thread has not seen, and all signals and all proofs in one piece each. */
function requestOf(batch: readonly Waiting[], seat: Seat): VerifyRequest {
  const afresh = seat.keys.size >= KEYS_MAX;
  if (afresh) seat.keys.clear();
  const keys: [number, VerificationKey][] = [];
  const keyOf = Uint32Array.from(batch, ({ job: { vk } }) => {
    const known = seat.keys.get(vk);
    if (known !== undefined) return known;
    const number = seat.keys.size;
    seat.keys.set(vk, number);
    keys.push([number, vk]);
    return number;
  });
  const size = batch.reduce((sum, { job }) => sum + job.publicSignals.length, 0);
  const signals = new Uint8Array(size);
  const proofs = new Uint8Array(batch.length * PROOF_BYTES);
  let at = 0;
  for (const [i, { job }] of batch.entries()) {
    signals.set(job.publicSignals, at);
    at += job.publicSignals.length;
    proofs.set(job.proof, i * PROOF_BYTES);
  }
  return { keys, afresh, keyOf, signals, proofs };
}
