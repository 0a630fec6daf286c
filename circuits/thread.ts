/**
 * A worker thread that answers one call at a time, and the other end of it. Used by the prover, the verifier
 * and the builder, whose work would block the main thread for seconds. Node only.
 *
 * Its work may wait: where cores are short, whoever answers others goes first.
 *
 * A thread keeps the process alive only while a call is open. It is stopped by terminating it, in the middle
 * of a computation too, which takes a few milliseconds.
 */

import { registerHooks } from "node:module";
import { getPriority, setPriority } from "node:os";
import { parentPort, Worker } from "node:worker_threads";
import {
  type FaultCode,
  type FaultData,
  FaultError,
  invariant,
  isFaultCode,
} from "../consensus/primitives/faults.ts";

type Wire<Reply> =
  | { readonly kind: "progress"; readonly progress: unknown }
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "fault"; readonly code: FaultCode; readonly data: FaultData | undefined }
  | { readonly kind: "error"; readonly message: string };

/** What a request gives away, so that it is not copied. */
type Transferred = readonly ArrayBuffer[];

export type Thread<Request, Reply> = {
  /** @throws what the handler threw; or an Error when the thread is stopped or dies meanwhile */
  call(request: Request, onProgress?: (progress: unknown) => void, transfer?: Transferred): Promise<Reply>;
  stop(): Promise<void>;
};

/** On Linux' scale of 0 to 19: where both want one core, a tenth of what a thread of ordinary priority gets. */
const NICENESS = 10;

type OpenCall<Reply> = {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: (progress: unknown) => void;
};

/** `script` must call {@link serveThread}; its extension follows the running file's. */
export function startThread<Request, Reply>(script: URL): Thread<Request, Reply> {
  const worker = new Worker(script);
  worker.unref();
  let open: OpenCall<Reply> | undefined;
  let ended: Error | undefined;

  const close = (settle: (call: OpenCall<Reply>) => void): void => {
    const call = open;
    open = undefined;
    worker.unref();
    if (call !== undefined) settle(call);
  };
  const end = (error: Error): void => {
    ended ??= error;
    close((call) => call.reject(error));
  };
  worker.on("message", (message: Wire<Reply>) => {
    if (message.kind === "progress") open?.onProgress(message.progress);
    else if (message.kind === "reply") close((call) => call.resolve(message.reply));
    else if (message.kind === "fault") {
      close((call) => call.reject(new FaultError(message.code, message.data)));
    } else close((call) => call.reject(new Error(message.message)));
  });
  worker.on("error", (error: unknown) => end(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => end(new Error("the thread ended")));

  return {
    call: (request, onProgress = () => undefined, transfer = []) => {
      invariant(open === undefined, "a thread has one call at a time");
      if (ended !== undefined) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        open = { resolve, reject, onProgress };
        worker.ref();
        worker.postMessage(request, transfer);
      });
    },
    stop: async () => {
      await worker.terminate();
    },
  };
}

/** Linux has priorities of single threads; elsewhere this would be the whole process'. */
function stepBack(): void {
  if (process.platform === "linux" && getPriority() < NICENESS) setPriority(NICENESS);
}

/** Answers the calls of {@link startThread} inside the worker. */
export function serveThread<Request, Reply>(
  handle: (request: Request, progress: (progress: unknown) => void) => Promise<Reply>,
): void {
  const port = parentPort;
  invariant(port !== null, "serveThread runs inside a worker");
  stepBack();
  const send = (message: Wire<Reply>): void => port.postMessage(message);
  const answer = async (request: Request): Promise<void> => {
    try {
      send({
        kind: "reply",
        reply: await handle(request, (progress) => send({ kind: "progress", progress })),
      });
    } catch (error) {
      if (error instanceof FaultError && isFaultCode(error.code)) {
        send({ kind: "fault", code: error.code, data: error.fault.data });
      } else send({ kind: "error", message: error instanceof Error ? error.message : String(error) });
    }
  };
  port.on("message", (request: Request) => void answer(request));
}

/**
 * Makes snarkjs and ffjavascript usable inside a worker; call it before importing either, dynamically.
 * Their dependency `web-worker` takes our worker for one of its own: it patches globals, the thread never
 * exits, and anything threaded throws. A stub in its place leaves them single-threaded.
 */
export function stubWebWorker(): void {
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "web-worker"
        ? { url: "data:text/javascript,export default class {}", shortCircuit: true }
        : next(specifier, context),
  });
}
