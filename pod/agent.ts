/**
 * The agent: enrolls a pod, then in every epoch proves the slots that the beacon drew for it, and follows
 * each proof to its reward while the next is being made. Called by `zkp pod run`, the devnet's pods and
 * the SDK. Outages are waited through, up to a limit.
 */
import { podIdOf } from "../circuits/hash.ts";
import type { Prover } from "../circuits/prove/prover.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { fieldToBytes } from "../consensus/types/submission.ts";
import type { ResultOf, TaskDetail } from "../rpc/methods.ts";
import type { Account } from "./account.ts";
import type { Client } from "./client.ts";
import type { Dataset } from "./dataset.ts";
import { ensureEnrolled } from "./enroll.ts";
import type { PodEvent } from "./events.ts";
import { type Job, runJob } from "./job.ts";
import { drawnSlots } from "./submission.ts";
import { pause, withPatience } from "./wait.ts";

export type RunPodOptions = {
  readonly client: Client;
  readonly account: Account;
  /** The pod's secret field element; `podIdOf(secret)` is its public id. */
  readonly secret: bigint;
  readonly dataset: Dataset;
  /** Task id, 0x-hex. */
  readonly task: string;
  readonly prover: Pick<Prover, "prove">;
  readonly onEvent: (event: PodEvent) => void;
  readonly signal: AbortSignal;
  /** nzkp; one unit by default. */
  readonly bond?: bigint;
  /** How often the chain is looked at. */
  readonly pollMs?: number;
  /** Longest outage of the node that is waited through. */
  readonly outageMs?: number;
};

type Status = ResultOf<"chain_status">;

const POLL_MS = 250;
/** An outage is told of when so many attempts have failed, after about 3 s: a node that only just starts is no news. */
const RETRY_TOLD = 5;
const OUTAGE_MS = 300_000;
/** Proofs in hand at once: a bound, far above what a pod's slots in three epochs come to. */
const JOBS_MAX = 256;

/** Returns when the task is over; throws the signal's reason when stopped. */
export async function runPod(options: RunPodOptions): Promise<void> {
  const { client, task, onEvent, signal, pollMs = POLL_MS, outageMs = OUTAGE_MS } = options;
  const podId = fieldToBytes(podIdOf(options.secret));
  const patient = <T>(work: () => Promise<T>): Promise<T> =>
    withPatience(work, {
      signal,
      timeoutMs: outageMs,
      onRetry: (error, attempt) => {
        if (attempt === RETRY_TOLD) onEvent({ notice: "retry", text: error.message, code: error.code });
      },
    });
  const getStatus = (): Promise<Status> => patient(() => client.call("chain_status", {}, { signal }));

  const { chainId } = await getStatus();
  onEvent({ notice: "connected", text: `chain ${chainId}, pod ${toHex(podId).slice(0, 12)}…` });
  await ensureEnrolled({ ...options, podId }, { signal });

  const jobs = createJobs(options, chainId);
  try {
    for (let seen = -1; ; ) {
      const status = await getStatus();
      jobs.watch(status);
      if (Number(status.epoch) > seen) {
        const detail = await patient(() => client.call("task_get", { task }, { signal }));
        if (isOver(detail)) break;
        if (Number(detail.epoch) > seen) {
          seen = Number(detail.epoch);
          for (const drawn of drawnSlots(detail, toHex(podId)))
            jobs.start({ drawn, late: new AbortController(), overdue: new AbortController() }, status);
        }
      }
      await pause(pollMs, signal);
    }
    onEvent({
      notice: "task-over",
      text: "the task's last round has begun or ended; waiting for open proofs",
    });
    await jobs.finish(getStatus, pollMs);
  } finally {
    await jobs.stop();
  }
}

function isOver(task: TaskDetail): boolean {
  return Number(task.epoch) > Number(task.lastRound);
}

/** Tells a job that the chain has left it behind. */
function close({ drawn, late, overdue }: Job, status: Status): void {
  const epoch = Number(status.epoch);
  const closed = epoch > drawn.epoch || (epoch === drawn.epoch && status.place > status.closePlace);
  if (!closed) return;
  const fault = new FaultError("submission/window-closed", { epoch: drawn.epoch, place: status.place });
  // Ending a proof ends the prover's thread with its loaded keys: only for the sake of the next slot.
  if (!overdue.signal.aborted) overdue.abort(fault);
  if (epoch > drawn.epoch && !late.signal.aborted) late.abort(fault);
}

type Jobs = {
  start(job: Job, status: Status): void;
  /** Ends jobs that the chain has left behind; throws what broke a job. */
  watch(status: Status): void;
  finish(getStatus: () => Promise<Status>, pollMs: number): Promise<void>;
  stop(): Promise<void>;
};

function createJobs(options: RunPodOptions, chainId: string): Jobs {
  const stopping = new AbortController();
  const signal = AbortSignal.any([options.signal, stopping.signal]);
  const open = new Map<Job, Promise<void>>();
  let epoch = 0;
  let broken: unknown;
  const context = { ...options, chainId, signal, epochNow: () => epoch };

  const run = async (job: Job): Promise<void> => {
    try {
      await runJob(context, job);
    } catch (error) {
      if (!signal.aborted) broken ??= error;
    } finally {
      open.delete(job);
    }
  };
  const jobs: Jobs = {
    start: (job, status) => {
      close(job, status);
      if (open.size < JOBS_MAX) open.set(job, run(job));
    },
    watch: (status) => {
      if (broken !== undefined) throw broken;
      epoch = Number(status.epoch);
      for (const job of open.keys()) close(job, status);
    },
    finish: async (getStatus, pollMs) => {
      while (open.size > 0) {
        jobs.watch(await getStatus());
        await pause(pollMs, options.signal);
      }
    },
    stop: async () => {
      stopping.abort(new Error("the pod stopped"));
      await Promise.all(open.values());
    },
  };
  return jobs;
}
