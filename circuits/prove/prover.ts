/**
 * Proves in a worker thread, one proof at a time. Called by pods and the devnet; Node only.
 *
 * A proof is cancelled by terminating its thread; the next one starts a new thread, which loads the keys
 * again (0.3 s). A thread that shows no sign of life for a while is given up as stalled.
 */

import { extname } from "node:path";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import type { CircuitInputs } from "../gradient/witness.ts";
import { startThread, type Thread } from "../thread.ts";
import { FELL_BACK, type Proved } from "./engine.ts";
import type { KeyFile, ProverReply, ProverRequest } from "./worker.ts";

export type { KeyFile } from "./worker.ts";

export type ProverOptions = {
  /** The circuit's witness generator: a path, or the bytes. */
  readonly wasm: KeyFile;
  /** The proving key: a path, or the bytes. */
  readonly zkey: KeyFile;
  /** Silence after which a proof is given up. Default 60 s; the longest silent step takes about 1 s. */
  readonly stallMs?: number;
  /** Told when our own prover failed and snarkjs goes on in its place. Default: a warning of the process. */
  readonly onFallback?: () => void;
};

export type ProveOptions = {
  readonly signal?: AbortSignal;
  /** Percent done, not falling; 100 exactly once, at the end. */
  readonly onProgress?: (percent: number) => void;
};

/** 128 bytes, see proof.ts; and outputs, then public inputs, in the circuit's order. */
export type Proof = Proved;

export type Prover = {
  /** @throws `circuit/witness-failed`, `prover/cancelled`, `prover/stalled`, `prover/busy` */
  prove(inputs: CircuitInputs, options?: ProveOptions): Promise<Proof>;
  /** Ends the thread; open proofs end as cancelled. */
  stop(): Promise<void>;
};

const STALL_MS = 60_000;
const QUEUE_MAX = 64;

type ProverThread = Thread<ProverRequest, ProverReply>;

const warn = (): void =>
  process.emitWarning("The fast prover failed on this machine; proofs are made by snarkjs from now on.");

export function createProver({ wasm, zkey, stallMs = STALL_MS, onFallback = warn }: ProverOptions): Prover {
  const script = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
  const stopping = new AbortController();
  let thread: ProverThread | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let queued = 0;

  const drop = async (): Promise<void> => {
    const dropped = thread;
    thread = undefined;
    await dropped?.stop();
  };

  const loadedThread = async (onLife: () => void): Promise<ProverThread> => {
    if (thread !== undefined) return thread;
    const fresh = startThread<ProverRequest, ProverReply>(script);
    thread = fresh;
    await fresh.call({ kind: "load", wasm, zkey });
    onLife();
    return fresh;
  };

  const run = async (
    inputs: CircuitInputs,
    cancel: AbortSignal,
    onProgress: (percent: number) => void,
  ): Promise<Proof> => {
    let highest = 0;
    // Whatever ends the proof early terminates the thread, which makes the open call fail.
    let ended: FaultError | undefined;
    const end = (fault: FaultError): void => {
      ended ??= fault;
      // The proof fails with `ended`; a thread that can't be ended says nothing more.
      drop().catch(() => undefined);
    };
    const onAbort = (): void => end(new FaultError("prover/cancelled"));
    const watch = setTimeout(
      () => end(new FaultError("prover/stalled", { percent: highest, stallMs })),
      stallMs,
    );
    cancel.addEventListener("abort", onAbort);
    const report = (percent: unknown): void => {
      watch.refresh();
      if (percent === FELL_BACK) onFallback();
      if (ended !== undefined || typeof percent !== "number" || percent <= highest) return;
      highest = percent;
      onProgress(percent);
    };
    try {
      const loaded = await loadedThread(() => watch.refresh());
      const proof = await loaded.call({ kind: "prove", inputs }, report);
      invariant(proof !== undefined, "a prove request is answered with a proof");
      report(100);
      return proof;
    } catch (error) {
      if (ended === undefined && !(error instanceof FaultError)) await drop();
      throw ended ?? error;
    } finally {
      clearTimeout(watch);
      cancel.removeEventListener("abort", onAbort);
    }
  };

  return {
    prove: (inputs, { signal, onProgress = () => undefined } = {}) => {
      if (queued >= QUEUE_MAX) return Promise.reject(new FaultError("prover/busy", { queued }));
      queued++;
      const cancel = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]);
      const result = queue
        .then(async () => {
          if (cancel.aborted) throw new FaultError("prover/cancelled");
          return await run(inputs, cancel, onProgress);
        })
        .finally(() => {
          queued--;
        });
      queue = result.catch(() => undefined);
      return result;
    },
    stop: async () => {
      stopping.abort();
      await drop();
    },
  };
}
