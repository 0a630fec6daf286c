/**
 * The JSON-RPC client: typed calls to one node, or to the next of several when one does not answer.
 * Results are checked against rpc/methods.ts; every failure is a FaultError with the chain's code.
 * Called by pods, the sponsor, the devnet and the CLI. Runs in a browser.
 */
import {
  FAULTS,
  type FaultCode,
  type FaultData,
  FaultError,
  isFaultCode,
} from "../consensus/primitives/faults.ts";
import { METHODS, type MethodName, type ParamsOf, type ResultOf } from "../rpc/methods.ts";
import { reasonOf, type Waiting } from "./wait.ts";

export type Client = {
  /** Addresses in the order of preference. */
  readonly urls: readonly string[];
  /** @throws FaultError: the chain's fault, or `node/unreachable`, `rpc/timeout`, `rpc/result-invalid` */
  call<Name extends MethodName>(
    name: Name,
    params: ParamsOf<Name>,
    options?: Waiting,
  ): Promise<ResultOf<Name>>;
  /** A call whose name is not known when this is compiled: the result as it came. */
  callRaw(name: string, params: unknown, options?: Waiting): Promise<unknown>;
};

export type ClientOptions = {
  /** URL of a node's RPC, or several. */
  readonly rpc: string | readonly string[];
  /** For calls that do not say; long polls should say more than their own `timeoutMs`. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 15_000;
/** A result larger than this is refused before it is read as JSON. */
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;

const CODES = new Map<number, FaultCode>(
  Object.entries(FAULTS).flatMap(([code, [number]]) => (isFaultCode(code) ? [[number, code] as const] : [])),
);
/** JSON-RPC's own codes. */
const STANDARD = new Map<number, FaultCode>([
  [-32700, "rpc/parse"],
  [-32600, "rpc/request-invalid"],
  [-32601, "rpc/method-unknown"],
  [-32602, "rpc/params-invalid"],
]);

export function createClient({ rpc, timeoutMs = TIMEOUT_MS }: ClientOptions): Client {
  const urls = typeof rpc === "string" ? [rpc] : [...rpc];
  let preferred = 0;
  let id = 0;

  const callRaw = async (name: string, params: unknown, options: Waiting = {}): Promise<unknown> => {
    const request = JSON.stringify({ jsonrpc: "2.0", id: ++id, method: name, params });
    let last: unknown;
    for (let attempt = 0; attempt < urls.length; attempt++) {
      const at = (preferred + attempt) % urls.length;
      try {
        const result = readResponse(await post(urls[at] ?? "", request, { timeoutMs, ...options }), name);
        preferred = at;
        return result;
      } catch (error) {
        if (!(error instanceof FaultError && error.code === "node/unreachable")) throw error;
        last = error;
      }
    }
    throw last ?? new FaultError("config/invalid", { field: "rpc", expected: "the URL of a node" });
  };

  return {
    urls,
    callRaw,
    call: async (name, params, options) => {
      const parsed = METHODS[name].result.safeParse(await callRaw(name, params, options));
      if (parsed.success) return parsed.data as ResultOf<typeof name>;
      const issue = parsed.error.issues[0];
      throw new FaultError("rpc/result-invalid", {
        method: name,
        field: issue?.path.join(".") ?? "",
        expected: issue?.message ?? "",
      });
    },
  };
}

async function post(url: string, body: string, { signal, timeoutMs = TIMEOUT_MS }: Waiting): Promise<string> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    return await textOf(response, url);
  } catch (error) {
    if (error instanceof FaultError) throw error;
    if (signal?.aborted === true) throw reasonOf(signal);
    if (limit.aborted) throw new FaultError("rpc/timeout", { url, afterMs: timeoutMs }, error);
    throw new FaultError("node/unreachable", { url, cause: causeOf(error) }, error);
  }
}

/** The body, read up to the limit: an answer that is too long is cut off while it arrives. */
async function textOf(response: Response, url: string): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > RESPONSE_BYTES_MAX)
      throw new FaultError("rpc/too-large", { url, bytesMax: RESPONSE_BYTES_MAX });
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** "ECONNREFUSED" rather than "fetch failed". */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return cause instanceof Error ? cause.message : error.message;
}

function readResponse(text: string, method: string): unknown {
  let response: unknown;
  try {
    response = JSON.parse(text);
  } catch (error) {
    throw new FaultError("rpc/result-invalid", { method, field: "(body)", expected: "JSON" }, error);
  }
  if (isRecord(response)) {
    if (isRecord(response.error)) throw faultOf(response.error);
    if ("result" in response) return response.result;
  }
  throw new FaultError("rpc/result-invalid", { method, field: "(body)", expected: "a JSON-RPC response" });
}

/** The chain's fault where the number is in the table; its data is kept where it is plain. */
function faultOf(error: Record<string, unknown>): FaultError {
  const number = typeof error.code === "number" ? error.code : 0;
  const code = CODES.get(number) ?? STANDARD.get(number);
  const details = plainOf(isRecord(error.data) ? error.data : {});
  if (code !== undefined) return new FaultError(code, details);
  return new FaultError("rpc/internal", {
    ...details,
    code: number,
    message: typeof error.message === "string" ? error.message : "",
  });
}

/** What the fault table says by itself is not repeated as data. */
const FROM_TABLE: ReadonlySet<string> = new Set(["code", "reason", "retryable", "hint"]);

function plainOf(record: Record<string, unknown>): FaultData {
  const entries = Object.entries(record).flatMap(([key, value]): [string, string | number | boolean][] => {
    if (FROM_TABLE.has(key)) return [];
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      return [[key, value]];
    return isRecord(value) && key === "data" ? Object.entries(plainOf(value)) : [];
  });
  return Object.fromEntries(entries.slice(0, 16));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
