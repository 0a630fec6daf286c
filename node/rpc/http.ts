/**
 * HTTP for the RPC: node:http with limits on headers, bodies, time, connections and requests in hand,
 * and the check of Host and Origin that keeps web pages of other sites away from a node on this
 * machine. Knows nothing of JSON-RPC; used by server.ts only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type FaultCode, FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";

const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 5000;
const CHECK_MS = 1000;
const CONNECTIONS_MAX = 1024;
/** How long answers under way may take when the server stops. */
const STOP_GRACE_MS = 1000;

export type HttpReply = {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

export type HttpGet = {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
};
export type HttpPost = { readonly path: string; readonly body: Uint8Array; readonly signal: AbortSignal };

export type HttpOptions = {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Host names, without port, that Host and Origin may name; "*" allows all. */
  readonly allowedHosts: readonly string[];
  readonly bodyBytesMax: number;
  /** Requests of one address that may be in hand. */
  readonly inFlightMax: number;
  /** How long a client may take to send a request; checked once a second. */
  readonly requestTimeoutMs: number;
};

export type HttpComponents = {
  get(request: HttpGet): Promise<HttpReply>;
  post(request: HttpPost): Promise<HttpReply>;
  /** The body of an answer that is none of the above: busy, too large, forbidden, internal. */
  readonly refuse: (code: FaultCode) => HttpReply;
  readonly log: Log;
};

export type HttpServer = {
  /** Its URL. Throws node/port-in-use, node/listen-failed. */
  readonly start: () => Promise<string>;
  readonly stop: () => Promise<void>;
};

export function createHttpServer(options: HttpOptions, components: HttpComponents): HttpServer {
  const { host, port, allowedHosts, bodyBytesMax, inFlightMax, requestTimeoutMs } = options;
  const { log, refuse } = components;
  const stopping = new AbortController();
  const inFlight = new Map<string, number>();

  const isAllowed = (name: string | undefined): boolean =>
    name !== undefined && (allowedHosts.includes("*") || allowedHosts.includes(name));

  const answer = async (request: IncomingMessage, signal: AbortSignal): Promise<HttpReply> => {
    const { origin } = request.headers;
    if (!isAllowed(hostOf(`http://${request.headers.host ?? ""}`))) return refuse("rpc/host-forbidden");
    if (origin !== undefined && !isAllowed(hostOf(origin))) return refuse("rpc/host-forbidden");
    const url = urlOf(request.url);
    if (url === undefined) return { status: 400 };
    switch (request.method ?? "") {
      case "OPTIONS":
        return { status: 204, headers: { "access-control-max-age": "600" } };
      case "GET":
      case "HEAD":
        return components.get({ path: url.pathname, query: url.searchParams, signal });
      case "POST": {
        const body = await readBody(request, bodyBytesMax);
        if (body === "too-large") return { ...refuse("rpc/too-large"), headers: { connection: "close" } };
        if (body === undefined) return { status: 400 }; // the client is gone, nobody reads this
        return components.post({ path: url.pathname, body, signal });
      }
      default:
        return { status: 405, headers: { allow: "GET, HEAD, POST, OPTIONS" } };
    }
  };

  const reply = (request: IncomingMessage, response: ServerResponse, it: HttpReply): void =>
    send(request, response, it, stopping.signal.aborted);
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const address = request.socket.remoteAddress ?? "";
    const count = inFlight.get(address) ?? 0;
    const gone = new AbortController();
    // Without a reason each would get an exception of its own, with a stack.
    response.once("close", () => gone.abort("gone"));
    if (count >= inFlightMax) {
      reply(request, response, {
        ...refuse("rpc/busy"),
        headers: { "retry-after": "1", connection: "close" },
      });
      return;
    }
    inFlight.set(address, count + 1);
    try {
      reply(request, response, await answer(request, AbortSignal.any([gone.signal, stopping.signal])));
    } catch (error) {
      log.error({ url: request.url, error }, "an HTTP request failed");
      reply(request, response, refuse("rpc/internal"));
    } finally {
      const left = (inFlight.get(address) ?? 1) - 1;
      if (left > 0) inFlight.set(address, left);
      else inFlight.delete(address);
    }
  };

  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => void serve(request, response),
  );
  server.headersTimeout = Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs);
  server.requestTimeout = requestTimeoutMs;
  server.maxConnections = CONNECTIONS_MAX;
  server.on("clientError", (error, socket) => {
    log.debug({ error: String(error) }, "malformed HTTP");
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    else socket.destroy();
  });

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", (error) => {
          const taken = "code" in error && error.code === "EADDRINUSE";
          reject(new FaultError(taken ? "node/port-in-use" : "node/listen-failed", { host, port }, error));
        });
        server.listen(port, host, () => {
          const address = server.address();
          const taken = typeof address === "object" && address !== null ? address.port : port;
          resolve(`http://${host.includes(":") ? `[${host}]` : host}:${taken}`);
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        const hard = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
        // Ends long polls, and stops listening; a server that never listened calls back with an error, which is as good.
        server.close(() => {
          clearTimeout(hard);
          resolve();
        });
        stopping.abort();
        server.closeIdleConnections();
      }),
  };
}

function send(request: IncomingMessage, response: ServerResponse, reply: HttpReply, last: boolean): void {
  if (response.destroyed || response.headersSent) return;
  if (last) response.shouldKeepAlive = false;
  const { origin } = request.headers;
  const body = reply.body ?? "";
  response.writeHead(reply.status, {
    ...(reply.body === undefined
      ? {}
      : { "content-type": reply.contentType ?? "application/json; charset=utf-8" }),
    ...(reply.status === 204 ? {} : { "content-length": Buffer.byteLength(body) }),
    "x-content-type-options": "nosniff",
    // Only origins that passed the check get an answer that a page may read.
    ...(origin === undefined || reply.status === 403
      ? {}
      : {
          "access-control-allow-origin": origin,
          "access-control-allow-headers": "content-type",
          "access-control-allow-methods": "GET, POST, OPTIONS",
          vary: "origin",
        }),
    ...reply.headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
  // A body that was not read to its end would otherwise be waited for; the connection closes with the answer.
  if (!request.complete) request.resume();
}

function hostOf(url: string): string | undefined {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined; // "null" and other things that are no URL: the check fails
  }
}

function urlOf(path: string | undefined): URL | undefined {
  try {
    return new URL(path ?? "/", "http://node");
  } catch {
    return undefined; // not a path
  }
}

/** The body; undefined if the client went away in the middle, or took too long: node:http closes the socket then. */
async function readBody(
  request: IncomingMessage,
  bytesMax: number,
): Promise<Uint8Array | "too-large" | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return "too-large";
  const { promise, resolve } = Promise.withResolvers<Uint8Array | "too-large" | undefined>();
  const chunks: Buffer[] = [];
  let length = 0;
  request.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= bytesMax) chunks.push(chunk);
    else {
      // The rest is dropped as it comes: the answer still has to leave on the same socket.
      chunks.length = 0;
      resolve("too-large");
    }
  });
  request.once("end", () => resolve(Buffer.concat(chunks)));
  request.once("error", () => resolve(undefined));
  request.once("close", () => resolve(undefined));
  return promise;
}
