/**
 * Waiting, always with an end: a pause that a signal ends, and repeats with a growing pause and a
 * limit. Used by the client's callers in pod/, devnet/ and cli/. Runs in a browser.
 */
import { FaultError } from "../consensus/primitives/faults.ts";

export type Waiting = { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | undefined };

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(reasonOf(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) reject(reasonOf(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("stopped");
}

/** Whether the same call may succeed later: the node is away, busy, or says so. */
export function isOutage(error: unknown): error is FaultError {
  return (
    error instanceof FaultError &&
    (error.code === "node/unreachable" || error.code === "rpc/busy" || error.code === "rpc/internal")
  );
}

export type Patience = Waiting & {
  /** First pause; it doubles up to `pauseMaxMs`. */
  readonly pauseMs?: number;
  readonly pauseMaxMs?: number;
  /** Told once before each pause. */
  readonly onRetry?: (error: FaultError, attempt: number) => void;
  /** Which failures are worth a repeat; outages by default. */
  readonly retry?: (error: unknown) => error is FaultError;
};

const PATIENCE_MS = 120_000;

/** Repeats `work` through outages until it succeeds, fails otherwise, or `timeoutMs` have passed. */
export async function withPatience<T>(work: () => Promise<T>, options: Patience = {}): Promise<T> {
  const {
    signal,
    timeoutMs = PATIENCE_MS,
    pauseMs = 200,
    pauseMaxMs = 3_000,
    onRetry,
    retry = isOutage,
  } = options;
  const end = Date.now() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const wait = Math.min(pauseMaxMs, pauseMs * 2 ** Math.min(attempt - 1, 16));
      if (!retry(error) || signal?.aborted === true || Date.now() + wait > end) throw error;
      onRetry?.(error, attempt);
      await pause(wait, signal);
    }
  }
}

/** Asks until `ready` says something; throws `rpc/timeout` naming what was awaited. */
export async function waitFor<T>(
  what: string,
  ready: () => Promise<T | undefined>,
  options: Waiting & { readonly everyMs?: number } = {},
): Promise<T> {
  const { signal, timeoutMs = 60_000, everyMs = 200 } = options;
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await ready();
    if (found !== undefined) return found;
    if (Date.now() >= end) throw new FaultError("rpc/timeout", { awaited: what, afterMs: timeoutMs });
    await pause(everyMs, signal);
  }
}
