/**
 * One proof's life, from its drawn slot to its reward: drawn → proving → proved → pooled → included →
 * final → scored → rewarded, or skipped, rejected, expired with the reason. Called by the agent and the SDK.
 */
import { gradientWitness } from "../circuits/gradient/witness.ts";
import type { Prover } from "../circuits/prove/prover.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { FaultError, isFaultCode } from "../consensus/primitives/faults.ts";
import { SubmissionType } from "../consensus/types/submission.ts";
import type { ProofStage, ProofStatus } from "../rpc/methods.ts";
import { type Account, chainTag } from "./account.ts";
import type { Client } from "./client.ts";
import type { Dataset } from "./dataset.ts";
import type { ProofEvent, ProofStep } from "./events.ts";
import { buildSubmission, type DrawnSlot, jobOf, preflight, signSubmission } from "./submission.ts";
import { pause, withPatience } from "./wait.ts";

export type JobContext = {
  readonly client: Client;
  readonly chainId: string;
  readonly account: Account;
  readonly secret: bigint;
  readonly dataset: Dataset;
  /** One proof at a time; others wait their turn in it. */
  readonly prover: Pick<Prover, "prove">;
  readonly onEvent: (event: ProofEvent) => void;
  readonly signal: AbortSignal;
  /** The chain's present epoch, kept by whoever watches it. */
  readonly epochNow: () => number;
};

/** The reasons of both signals become the event's. */
export type Job = {
  readonly drawn: DrawnSlot;
  /** The window is closed: a proof that is ready now is not sent. */
  readonly overdue: AbortController;
  /** The next slot needs the prover: this proof is ended. */
  readonly late: AbortController;
};

const NEXT: Partial<Record<ProofStage, ProofStage>> = {
  pooled: "included",
  included: "final",
  final: "scored",
  scored: "rewarded",
};
const PATH: readonly ProofStage[] = ["pooled", "included", "final", "scored", "rewarded"];
const WAIT_MS = 10_000;
const IDLE_MS = 100;
/** A proof that is not settled so many epochs later never will be. */
const SETTLE_EPOCHS = 2;
/** Progress is told in steps of at least so much. */
const PERCENT_STEP = 10;

/** Runs a job to its end. Expected failures become events; it throws at bugs and when the pod is stopped. */
export async function runJob(context: JobContext, job: Job): Promise<ProofEvent> {
  const { drawn, late, overdue } = job;
  const { onEvent, signal } = context;
  let last: ProofEvent = eventOf(drawn, "drawn");
  const emit = (stage: ProofStep, more: Partial<ProofEvent> = {}): void => {
    last = { ...eventOf(drawn, stage), ...more };
    onEvent(last);
  };
  emit("drawn");
  let submission: Uint8Array;
  try {
    overdue.signal.throwIfAborted();
    submission = await prove(context, drawn, AbortSignal.any([signal, late.signal]), emit);
    overdue.signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    const reason = late.signal.aborted ? late.signal.reason : error;
    if (!(reason instanceof FaultError)) throw reason;
    emit("skipped", explain(reason));
    return last;
  }
  try {
    await submitAndFollow(context, drawn, submission, emit);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof FaultError)) throw error;
    emit(LATE.has(error.code) ? "expired" : "rejected", explain(error));
  }
  return last;
}

const LATE: ReadonlySet<string> = new Set([
  "submission/window-closed",
  "submission/epoch-mismatch",
  "node/unreachable",
  "rpc/timeout",
  "rpc/busy",
]);

type Emit = (stage: ProofStep, more?: Partial<ProofEvent>) => void;

function eventOf(drawn: DrawnSlot, stage: ProofStep): ProofEvent {
  const { task, epoch, slot, batchIndex } = drawn;
  return { stage, task: toHex(task), epoch, slot, batchIndex };
}

function explain(error: FaultError): { code: string; reason: string } {
  return { code: error.code, reason: error.message };
}

async function prove(
  context: JobContext,
  drawn: DrawnSlot,
  signal: AbortSignal,
  emit: Emit,
): Promise<Uint8Array> {
  const { account, chainId, dataset, prover, secret } = context;
  const job = jobOf(dataset, drawn, secret);
  const input = gradientWitness(drawn.shape, job);
  emit("proving", { percent: 0 });
  const started = Date.now();
  let shown = 0;
  const proved = await prover.prove(input, {
    signal,
    onProgress: (percent) => {
      if (percent < shown + PERCENT_STEP) return;
      shown = Math.floor(percent);
      emit("proving", { percent: shown });
    },
  });
  emit("proved", { elapsedMs: Date.now() - started });
  preflight(drawn, job, proved);
  return SubmissionType.serialize(signSubmission(account, chainTag(chainId), buildSubmission(drawn, proved)));
}

/** Emits each stage that the proof reaches, once, until the last one. */
async function submitAndFollow(
  context: JobContext,
  drawn: DrawnSlot,
  submission: Uint8Array,
  emit: Emit,
): Promise<void> {
  const { client, epochNow, signal } = context;
  const submit = (): Promise<{ id: string; stage: ProofStage }> =>
    withPatience(() => client.call("proof_submit", { submission: toHex(submission) }, { signal }), {
      signal,
    });
  const { id, stage: first } = await submit();
  let stage: ProofStage = first;
  emit(stage, { id });
  while (NEXT[stage] !== undefined) {
    const status = await waitStatus(context, id, NEXT[stage] ?? "rewarded");
    if (status === undefined) {
      await pause(IDLE_MS, signal);
      await submit(); // a restarted node has lost its pool; the submission is the same, so this is no second one
      continue;
    }
    if (status.stage !== stage) {
      for (const passed of between(stage, status.stage)) {
        emit(passed, { id, ...(status.height === undefined ? {} : { height: status.height }) });
      }
      stage = status.stage;
      emit(stage, detailsOf(status));
    } else if (stage === "scored") {
      return; // measured, and worth nothing: no reward will follow
    } else if (epochNow() > drawn.epoch + SETTLE_EPOCHS) {
      emit("expired", { id, code: "rpc/timeout", reason: `still ${stage} ${SETTLE_EPOCHS} epochs later` });
      return;
    } else {
      await pause(IDLE_MS, signal); // a node that does not hold its long poll is not asked in a circle
    }
  }
}

/** The stages that passed within one long poll, which are told in their order too. */
function between(from: ProofStage, to: ProofStage): readonly ProofStage[] {
  return PATH.includes(to) ? PATH.slice(PATH.indexOf(from) + 1, PATH.indexOf(to)) : [];
}

async function waitStatus(
  { client, signal }: JobContext,
  id: string,
  until: ProofStage,
): Promise<ProofStatus | undefined> {
  try {
    return await withPatience(
      () => client.call("proof_wait", { id, until, timeoutMs: WAIT_MS }, { signal, timeoutMs: 2 * WAIT_MS }),
      { signal },
    );
  } catch (error) {
    if (error instanceof FaultError && error.code === "rpc/not-found") return undefined;
    throw error;
  }
}

function detailsOf({ id, height, reward, fault }: ProofStatus): Partial<ProofEvent> {
  return {
    id,
    ...(height === undefined ? {} : { height }),
    ...(reward === undefined ? {} : { reward }),
    ...(fault === undefined
      ? {}
      : { code: isFaultCode(fault.code) ? fault.code : "rpc/internal", reason: fault.reason }),
  };
}
