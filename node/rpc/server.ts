/**
 * The RPC server: JSON-RPC 2.0 over HTTP on `/`, `/health` and `/ready`, and a hook for other GETs. It
 * decodes strictly, limits everything, and maps faults; what methods there are is given to it by
 * node/rpc's chain methods. Results may hold bigints (sent as decimal strings) and bytes (as 0x-hex).
 */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { FAULTS, type Fault, type FaultCode, FaultError, fault } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import { createPacer } from "../turns.ts";
import { createHttpServer, type HttpGet, type HttpReply } from "./http.ts";
import { DEPTH_MAX, parseJson } from "./json.ts";

/** Calls of one batch that run at once. */
const BATCH_AT_ONCE = 16;
/** What the calls of all batches may take of one turn of the event loop before others have theirs. */
const BATCH_TURN_MS = 1;
const ID_LENGTH_MAX = 256;
const METHOD_LENGTH_MAX = 128;
const LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"] as const;

/** The standard's own numbers; every other fault has the positive number of the fault table. */
const STANDARD_NUMBERS: Partial<Record<FaultCode, number>> = {
  "rpc/parse": -32700,
  "rpc/request-invalid": -32600,
  "rpc/method-unknown": -32601,
  "rpc/params-invalid": -32602,
};

export type RpcContext = {
  /** Aborted when the client is gone or the server stops: long polls end. */
  readonly signal: AbortSignal;
};

export type RpcMethod<P = unknown> = {
  readonly params: z.ZodType<P>;
  handler(params: P, context: RpcContext): Promise<unknown>;
};
export type RpcMethods = Readonly<Record<string, RpcMethod>>;

/** Ties a handler's parameter to its schema; params are one object, `{}` where the request has none. */
export function defineMethod<P>(
  params: z.ZodType<P>,
  handler: (params: P, context: RpcContext) => Promise<unknown>,
): RpcMethod {
  const method: RpcMethod<P> = { params, handler };
  return method as RpcMethod; // the dispatcher hands a handler only what its own schema let through
}

export type RpcOptions = {
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Names that Host and Origin may have, any port; local ones by default, "*" for all. */
  readonly allowedHosts?: readonly string[];
  readonly bodyBytesMax?: number;
  readonly batchMax?: number;
  /** HTTP requests of one address that may be in hand, long polls included. */
  readonly inFlightMax?: number;
  /** How long a client may take to send a request. */
  readonly requestTimeoutMs?: number;
};

export type Readiness = {
  /** Ready, syncing, or not able to serve. */
  readonly status: 200 | 206 | 503;
  readonly [key: string]: string | number | boolean;
};

export type RpcComponents = {
  readonly methods: RpcMethods;
  readonly ready: () => Readiness;
  /** Other GETs, such as the explorer's; undefined is 404. */
  get?(request: HttpGet): Promise<HttpReply | undefined>;
  readonly log: Log;
};

export type RpcServer = ReturnType<typeof createRpcServer>;

export function createRpcServer(options: RpcOptions, components: RpcComponents) {
  const { ready, log } = components;
  const dispatch = createDispatcher({ batchMax: options.batchMax ?? 50 }, components);
  const server = createHttpServer(
    {
      host: options.host ?? "127.0.0.1",
      port: options.port,
      allowedHosts: options.allowedHosts ?? LOCAL_HOSTS,
      bodyBytesMax: options.bodyBytesMax ?? 1024 * 1024,
      inFlightMax: options.inFlightMax ?? 64,
      requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    },
    {
      log,
      async post({ path, body, signal }) {
        if (path !== "/") return json(404, { error: "POST to / only" });
        const answer = await dispatch(body, { signal });
        return answer === undefined ? { status: 204 } : { status: 200, body: answer };
      },
      async get(request) {
        if (request.path === "/health") return json(200, { status: "ok" });
        if (request.path === "/ready") {
          const readiness = ready();
          return json(readiness.status, readiness);
        }
        return (await components.get?.(request)) ?? json(404, { error: "not found" });
      },
      refuse: (code) => json(HTTP_STATUS[code] ?? 500, failure(null, fault(code))),
    },
  );
  return {
    /** Listens; its URL. Throws node/port-in-use, node/listen-failed. */
    start: server.start,
    /** Ends long polls, lets answers under way leave for a second, and closes. */
    stop: server.stop,
  };
}

const HTTP_STATUS: Partial<Record<FaultCode, number>> = {
  "rpc/host-forbidden": 403,
  "rpc/too-large": 413,
  "rpc/busy": 503,
};

const json = (status: number, value: unknown): HttpReply => ({ status, body: stringify(value) });

function stringify(value: unknown): string {
  return JSON.stringify(value, (_key, it: unknown) => {
    if (typeof it === "bigint") return it.toString();
    if (it instanceof Uint8Array) return toHex(it);
    return it;
  });
}

type Id = string | number | null;
type RpcReply = Readonly<Record<string, unknown>>;

function failure(id: Id, { code, data }: Fault): RpcReply {
  const [number, retryable, reason, hint] = FAULTS[code];
  return {
    jsonrpc: "2.0",
    id,
    // The fault's own data cannot replace what every fault has.
    error: {
      code: STANDARD_NUMBERS[code] ?? number,
      message: reason,
      data: { ...data, code, reason, retryable, hint },
    },
  };
}

const Call = z.object({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string().max(ID_LENGTH_MAX), z.number(), z.null()]).optional(),
  method: z.string().max(METHOD_LENGTH_MAX),
  params: z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).optional(),
});
const ID = z.object({ id: Call.shape.id.unwrap() });
/** What {@link Call} lets through, at a glance: it is needed only to say what is wrong. */
function isCall(request: unknown): request is z.output<typeof Call> {
  if (typeof request !== "object" || request === null) return false;
  const { jsonrpc, id, method, params } = request as Readonly<Record<string, unknown>>;
  const isId = id === null || Number.isFinite(id) || (typeof id === "string" && id.length <= ID_LENGTH_MAX);
  return (
    jsonrpc === "2.0" &&
    (id === undefined || isId) &&
    typeof method === "string" &&
    method.length <= METHOD_LENGTH_MAX &&
    (params === undefined || (typeof params === "object" && params !== null))
  );
}

/** Answers one body; undefined where it held notifications only. Exported for the WebSocket to come, and for tests. */
export function createDispatcher(
  { batchMax }: { readonly batchMax: number },
  { methods, log }: Pick<RpcComponents, "methods" | "log">,
): (body: Uint8Array, context: RpcContext) => Promise<string | undefined> {
  const call = async (request: unknown, context: RpcContext): Promise<RpcReply | undefined> => {
    if (!isCall(request)) {
      const id = ID.safeParse(request);
      const { error } = Call.safeParse(request);
      const data = error === undefined ? {} : fieldOf(error);
      return failure(id.success ? id.data.id : null, fault("rpc/request-invalid", data));
    }
    const { id, method, params = {} } = request;
    const reply = await run(id ?? null, method, params, context);
    return id === undefined ? undefined : reply;
  };
  const run = async (id: Id, name: string, raw: unknown, context: RpcContext): Promise<RpcReply> => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (method === undefined) return failure(id, fault("rpc/method-unknown", { method: name }));
    try {
      const params = method.params.safeParse(raw);
      if (!params.success) return failure(id, fault("rpc/params-invalid", fieldOf(params.error)));
      return { jsonrpc: "2.0", id, result: (await method.handler(params.data, context)) ?? null };
    } catch (error) {
      if (error instanceof FaultError) return failure(id, error.fault);
      const correlation = randomUUID();
      log.error({ method: name, correlation, err: error }, "an RPC method failed");
      return failure(id, fault("rpc/internal", { correlation }));
    }
  };
  const pace = createPacer(BATCH_TURN_MS);
  const callInTurn = async (request: unknown, context: RpcContext): Promise<RpcReply | undefined> => {
    await pace();
    return call(request, context);
  };
  const runBatch = async (requests: readonly unknown[], context: RpcContext): Promise<RpcReply[]> => {
    const replies: (RpcReply | undefined)[] = [];
    for (let i = 0; i < requests.length; i += BATCH_AT_ONCE) {
      const some = requests.slice(i, i + BATCH_AT_ONCE).map((request) => callInTurn(request, context));
      replies.push(...(await Promise.all(some)));
    }
    return replies.filter((reply) => reply !== undefined);
  };

  return async (body, context) => {
    const request = parseJson(body);
    if (request === undefined) return stringify(failure(null, fault("rpc/parse")));
    if (request === "too-deep") {
      return stringify(failure(null, fault("rpc/request-invalid", { depthMax: DEPTH_MAX })));
    }
    if (!Array.isArray(request.value)) {
      const reply = await call(request.value, context);
      return reply === undefined ? undefined : stringify(reply);
    }
    if (request.value.length === 0)
      return stringify(failure(null, fault("rpc/request-invalid", { batch: 0 })));
    if (request.value.length > batchMax) {
      return stringify(failure(null, fault("rpc/too-large", { batch: request.value.length, batchMax })));
    }
    const replies = await runBatch(request.value, context);
    return replies.length === 0 ? undefined : stringify(replies);
  };
}

/** The first problem: which field, and what is expected of it. */
function fieldOf(error: z.ZodError): { field: string; problem: string } {
  const [issue] = error.issues;
  return { field: issue?.path.map(String).join(".") ?? "", problem: issue?.message ?? "" };
}
