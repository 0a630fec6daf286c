/**
 * Questions and answers between nodes: tips, blocks, certificates. One long-lived stream a peer and
 * direction carries requests one way and responses the other, matched by ids. Four at a time, two
 * seconds each; what is asked beyond that waits in a bounded queue. Made by network.ts.
 */
import type { Stream } from "@libp2p/interface";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import { encodeFrame } from "./frames.ts";
import { FRAME_BYTES_MAX } from "./messages.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Request,
  type Response,
  type ResponseTo,
} from "./requests.ts";

export const REQUESTS_AT_ONCE = 4;
const REQUESTS_WAITING_MAX = 64;
const RESPONSE_TIMEOUT_MS = 2000;
/** How long a peer may take to read an answer. */
const ANSWER_DRAIN_TIMEOUT_MS = 10_000;
const ID_MAX = 2 ** 32 - 1;

type Pending = {
  readonly request: Request;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: FaultError) => void;
  timer?: NodeJS.Timeout;
};

export type Requester = {
  /** Throws node/request-timeout, -refused, node/peer-lost, or rpc/busy where too many wait already. */
  request<R extends Request>(request: R): Promise<ResponseTo<R>>;
  /** A frame from the peer; false if it is malformed or answers another question. */
  onMessage(message: Uint8Array): boolean;
  /** The stream is gone: what was asked on it will not be answered. */
  onStreamLost(): void;
  stop(): void;
};

export function createRequester(peerId: string, send: (frame: Uint8Array) => void): Requester {
  const active = new Map<number, Pending>();
  const waiting: Pending[] = [];
  let nextId = 1;
  let stopped = false;

  const settle = (id: number): Pending | undefined => {
    const pending = active.get(id);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    active.delete(id);
    startNext();
    return pending;
  };
  const startNext = (): void => {
    while (!stopped && active.size < REQUESTS_AT_ONCE) {
      const pending = waiting.shift();
      if (pending === undefined) return;
      const id = nextId;
      nextId = nextId === ID_MAX ? 1 : nextId + 1;
      pending.timer = setTimeout(() => {
        settle(id)?.reject(new FaultError("node/request-timeout", { peerId, request: pending.request.kind }));
      }, RESPONSE_TIMEOUT_MS);
      active.set(id, pending);
      send(encodeFrame(encodeRequest(id, pending.request)));
    }
  };
  const lose = (): void => {
    for (const [id, pending] of [...active]) {
      clearTimeout(pending.timer);
      active.delete(id);
      pending.reject(new FaultError("node/peer-lost", { peerId }));
    }
  };

  return {
    request<R extends Request>(request: R): Promise<ResponseTo<R>> {
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      if (stopped) reject(new FaultError("node/peer-lost", { peerId }));
      else if (waiting.length >= REQUESTS_WAITING_MAX) reject(new FaultError("rpc/busy", { peerId }));
      else {
        waiting.push({ request, resolve, reject });
        startNext();
      }
      return promise as Promise<ResponseTo<R>>; // onMessage lets only the kind asked for through
    },
    onMessage(message) {
      const answer = decodeResponse(message);
      if (answer === undefined) return false;
      const pending = settle(answer.id);
      if (pending === undefined) return true; // came after its timeout
      if (answer.response === undefined) {
        pending.reject(new FaultError("node/request-refused", { peerId, request: pending.request.kind }));
        return true;
      }
      if (answer.response.kind !== pending.request.kind) {
        pending.reject(new FaultError("node/request-refused", { peerId, answered: answer.response.kind }));
        return false;
      }
      pending.resolve(answer.response);
      return true;
    },
    onStreamLost() {
      lose();
      startNext();
    },
    stop() {
      stopped = true;
      lose();
      for (const pending of waiting.splice(0)) pending.reject(new FaultError("node/peer-lost", { peerId }));
    },
  };
}

/**
 * Answers one request on the stream it came on; false if it is malformed. Never rejects. `answering` gives
 * undefined, and does nothing, where the peer asks too much.
 */
export function answerRequest(
  message: Uint8Array,
  stream: Stream,
  answering: (answer: () => Promise<Uint8Array>) => Promise<Uint8Array | undefined>,
  answer: (request: Request) => Promise<Response | undefined>,
  log: Log,
): false | Promise<void> {
  const asked = decodeRequest(message);
  if (asked === undefined) return false;
  const { id, request } = asked;
  const encoded = async (): Promise<Uint8Array> => encodeResponse(id, await answer(request));
  return respond(id, request, stream, () => answering(encoded), log);
}

async function respond(
  id: number,
  request: Request,
  stream: Stream,
  answer: () => Promise<Uint8Array | undefined>,
  log: Log,
): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = (await answer()) ?? encodeResponse(id, undefined);
    if (bytes.length > FRAME_BYTES_MAX.response) {
      log.error(
        { request: request.kind, bytes: bytes.length },
        "the answer is larger than a frame and was not sent",
      );
      bytes = encodeResponse(id, undefined);
    }
  } catch (error) {
    log.error({ request: request.kind, error: String(error) }, "a request failed");
    bytes = encodeResponse(id, undefined);
  }
  try {
    if (!stream.send(encodeFrame(bytes))) {
      await stream.onDrain({ signal: AbortSignal.timeout(ANSWER_DRAIN_TIMEOUT_MS) });
    }
  } catch (error) {
    log.debug({ request: request.kind, error: String(error) }, "the answer was not read");
    stream.abort(new Error("answer not read"));
  }
}
