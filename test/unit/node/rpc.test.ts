import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { z } from "zod";
import { FAULTS, FaultError } from "../../../consensus/primitives/faults.ts";
import { silentLog } from "../../../node/log.ts";
import {
  createDispatcher,
  createRpcServer,
  defineMethod,
  type RpcComponents,
  type RpcMethods,
  type RpcOptions,
} from "../../../node/rpc/server.ts";
import { METHODS } from "../../../rpc/methods.ts";
import { bytes, until } from "./samples.ts";

type Reply = {
  jsonrpc: string;
  id: unknown;
  result?: unknown;
  error?: { code: number; message: string; data: Record<string, unknown> };
};

const logged: unknown[] = [];
const waits = { aborted: 0, running: 0 };
const methods: RpcMethods = {
  test_echo: defineMethod(
    z.strictObject({ text: z.string().max(100), times: z.int().min(1).optional() }),
    async (it) => it,
  ),
  test_none: defineMethod(z.strictObject({}), async () => undefined),
  test_types: defineMethod(z.strictObject({}), async () => ({ amount: 2n ** 63n, hash: bytes(2, 0xab) })),
  test_fault: defineMethod(z.strictObject({}), async () => {
    throw new FaultError("submission/nullifier-spent", { slot: 3, code: "forged" });
  }),
  test_crash: defineMethod(z.strictObject({}), async () => {
    throw new Error("secret path /home/somebody");
  }),
  test_wait: defineMethod(z.strictObject({}), async (_params, { signal }) => {
    waits.running += 1;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    waits.aborted += 1;
    return "ended";
  }),
};

async function serve(t: TestContext, options: Partial<RpcOptions> = {}, more: Partial<RpcComponents> = {}) {
  const server = createRpcServer(
    { port: 0, ...options },
    {
      methods,
      ready: () => ({ status: 206, height: 5 }),
      log: { ...silentLog, error: (data) => void logged.push(data) },
      ...more,
    },
  );
  const url = await server.start();
  t.after(() => server.stop());
  return { url, server };
}

async function post(url: string, body: string | Uint8Array<ArrayBuffer>): Promise<Response> {
  return fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
}
async function call(url: string, body: unknown): Promise<Reply> {
  return (await (await post(url, JSON.stringify(body))).json()) as Reply;
}
const ask = (method: string, params?: unknown, id: unknown = 1) => ({
  jsonrpc: "2.0",
  id,
  method,
  ...(params === undefined ? {} : { params }),
});

test("a call is answered under its id", async (t) => {
  const { url } = await serve(t);
  assert.deepEqual(await call(url, ask("test_echo", { text: "hello" }, "a")), {
    jsonrpc: "2.0",
    id: "a",
    result: { text: "hello" },
  });
  assert.deepEqual(await call(url, ask("test_none")), { jsonrpc: "2.0", id: 1, result: null });
  assert.deepEqual((await call(url, ask("test_types"))).result, {
    amount: "9223372036854775808",
    hash: "0xabab",
  });
});

test("malformed bodies get the standard's errors", async (t) => {
  const { url } = await serve(t);
  const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
  const cases: [string | Uint8Array<ArrayBuffer>, number][] = [
    ["", -32700],
    ["{", -32700],
    [new Uint8Array([0x22, 0xff, 0x22]), -32700],
    ["[]", -32600],
    ["7", -32600],
    ["null", -32600],
    [deep, -32600],
    [JSON.stringify({ id: 1, method: "test_none" }), -32600],
    [JSON.stringify({ jsonrpc: "1.0", id: 1, method: "test_none" }), -32600],
    [JSON.stringify({ jsonrpc: "2.0", id: {}, method: "test_none" }), -32600],
    [JSON.stringify({ jsonrpc: "2.0", id: "i".repeat(257), method: "test_none" }), -32600],
    ['{"jsonrpc":"2.0","id":1e999,"method":"test_none"}', -32600],
    [JSON.stringify({ jsonrpc: "2.0", id: 1, method: "m".repeat(129) }), -32600],
    [JSON.stringify({ jsonrpc: "2.0", id: 1, method: "test_none", params: null }), -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"test_echo","params":{"text":"a","__proto__":{}}}', -32602],
    [JSON.stringify({ jsonrpc: "2.0", id: 1, method: 5 }), -32600],
    [JSON.stringify({ jsonrpc: "2.0", id: 1, method: "test_none", params: "x" }), -32600],
    [JSON.stringify(ask("test_unknown")), -32601],
    [JSON.stringify(ask("__proto__")), -32601],
    [JSON.stringify(ask("toString")), -32601],
    [JSON.stringify(ask("test_echo", { text: 5 })), -32602],
    [JSON.stringify(ask("test_echo", ["hello"])), -32602],
    [JSON.stringify(ask("test_echo", { text: "a", other: 1 })), -32602],
  ];
  for (const [body, code] of cases) {
    const reply = (await (await post(url, body)).json()) as Reply;
    assert.equal(reply.error?.code, code, String(body).slice(0, 60));
    assert.equal(reply.jsonrpc, "2.0");
  }
  assert.equal((await call(url, { id: 9, method: "x" })).id, 9, "the id is kept where it is readable");
});

test("depth is what brackets outside strings make, whatever the strings hold", async (t) => {
  const { url } = await serve(t);
  const brackets = "[{".repeat(20);
  for (const text of [brackets, `"${brackets}`, `\\${brackets}`, `\\"${brackets}\\`, '\\\\"', '"\\'])
    assert.deepEqual((await call(url, ask("test_echo", { text }))).result, { text }, text);
  const nested = (depth: number): unknown => (depth === 0 ? [] : [nested(depth - 1)]);
  for (const text of ['"', "\\", '\\"', "]}]}"]) {
    const { error } = await call(url, ask("test_echo", [text, nested(29), text]));
    assert.equal(error?.code, -32602, "as deep as may be, and no such parameters");
    const deeper = await call(url, ask("test_echo", [text, nested(30), text]));
    assert.equal(deeper.error?.code, -32600, `too deep after ${text}`);
  }
});

test("bytes are lower-case hex digits, two each, up to their limit, and nothing else", () => {
  const holds = (submission: string): boolean =>
    METHODS.proof_submit.params.safeParse({ submission }).success;
  const most = `0x${"a9".repeat(64 * 1024)}`;
  for (const text of ["0x", "0x00", "0xabcdef0123456789", most]) assert.ok(holds(text), text.slice(0, 40));
  const wrong = [
    "",
    "0",
    "00",
    "0x0",
    "0xAB",
    "0X00",
    "0xg0",
    "0x00 ",
    " 0x00",
    "0x00\n",
    "0x0é",
    `${most}00`,
  ];
  for (const text of wrong) assert.ok(!holds(text), text.slice(0, 40));
});

test("a wrong parameter is named, with what is expected", async (t) => {
  const { url } = await serve(t);
  const { error } = await call(url, ask("test_echo", { text: "a", times: 0 }));
  assert.equal(error?.data.field, "times");
  assert.equal(error?.data.code, "rpc/params-invalid");
  assert.equal(error?.data.retryable, false);
  assert.equal(typeof error?.data.hint, "string");
});

test("a fault carries its number, reason, hint and data, and its data can't forge them", async (t) => {
  const { url } = await serve(t);
  const { error } = await call(url, ask("test_fault"));
  const [number, retryable, reason, hint] = FAULTS["submission/nullifier-spent"];
  assert.deepEqual(error, {
    code: number,
    message: reason,
    data: { slot: 3, code: "submission/nullifier-spent", reason, retryable, hint },
  });
});

test("an unknown exception leaks nothing and is logged under the id that the caller sees", async (t) => {
  const { url } = await serve(t);
  logged.length = 0;
  const { error } = await call(url, ask("test_crash"));
  assert.equal(error?.code, FAULTS["rpc/internal"][0]);
  assert.ok(!JSON.stringify(error).includes("secret"));
  assert.equal((logged[0] as { correlation: string }).correlation, error?.data.correlation);
});

test("batches answer calls in order, without notifications, up to the limit", async (t) => {
  const { url } = await serve(t, { batchMax: 20 });
  const batch = [
    ask("test_echo", { text: "1" }, 1),
    { jsonrpc: "2.0", method: "test_none" },
    5,
    ask("test_unknown", undefined, 2),
    ...Array.from({ length: 16 }, (_, i) => ask("test_none", {}, i + 10)),
  ];
  const replies = (await (await post(url, JSON.stringify(batch))).json()) as Reply[];
  assert.deepEqual(
    replies.map(({ id }) => id),
    [1, null, 2, ...Array.from({ length: 16 }, (_, i) => i + 10)],
  );
  const tooMany = (await (await post(url, JSON.stringify([...batch, 5]))).json()) as Reply;
  assert.equal(tooMany.error?.data.code, "rpc/too-large");
});

test("the calls of batches leave other events their turn between them, and are answered in order", async () => {
  let turns = 0;
  let isDone = false;
  const others = (): void => {
    turns += 1;
    if (!isDone) setImmediate(others);
  };
  const begun: number[] = [];
  const slow = defineMethod(z.strictObject({ n: z.int() }), async ({ n }) => {
    if (begun.length === 0) others();
    begun.push(turns);
    const endMs = performance.now() + 2;
    while (performance.now() < endMs);
    return n;
  });
  const dispatch = createDispatcher({ batchMax: 50 }, { methods: { slow }, log: silentLog });
  const { signal } = new AbortController();
  // Eight requests that come at once: 128 calls, a quarter of a second.
  const replies = await Promise.all(
    Array.from({ length: 8 }, (_, batch) => {
      const calls = Array.from({ length: 16 }, (_, i) => ask("slow", { n: 16 * batch + i }, i));
      return dispatch(new TextEncoder().encode(JSON.stringify(calls)), { signal });
    }),
  );
  isDone = true;
  for (const [batch, text] of replies.entries()) {
    assert.deepEqual(
      (JSON.parse(text ?? "") as Reply[]).map(({ id, result }) => [id, result]),
      Array.from({ length: 16 }, (_, i) => [i, 16 * batch + i]),
    );
  }
  assert.equal(begun.length, 128);
  const ofOneTurn = Map.groupBy(begun, (turn) => turn);
  assert.ok([...ofOneTurn.values()].every(({ length }) => length <= 8));
});

test("notifications alone are answered with nothing", async (t) => {
  const { url } = await serve(t);
  for (const body of [{ jsonrpc: "2.0", method: "test_none" }, [{ jsonrpc: "2.0", method: "test_crash" }]]) {
    const reply = await post(url, JSON.stringify(body));
    assert.equal(reply.status, 204);
    assert.equal(await reply.text(), "");
  }
});

test("giant bodies are refused, announced or not, and the server lives on", async (t) => {
  const { url } = await serve(t, { bodyBytesMax: 1000 });
  const announced = await post(url, "x".repeat(2000));
  assert.equal(announced.status, 413);
  assert.equal(((await announced.json()) as Reply).error?.data.code, "rpc/too-large");
  const { port } = new URL(url);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest({ port, host: "127.0.0.1", method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", reject);
    request.write("y".repeat(800));
    request.end("y".repeat(800));
  });
  assert.equal(status, 413);
  assert.equal((await call(url, ask("test_none"))).result, null);
});

function get(
  url: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<{ status: number | undefined; headers: unknown }> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { headers, method }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    })
      .on("error", reject)
      .end();
  });
}

test("only local names are served as Host and Origin, unless others are allowed", async (t) => {
  const { url } = await serve(t);
  const { port } = new URL(url);
  const status = async (headers: Record<string, string>, to = url) =>
    (await get(`${to}/health`, headers)).status;
  assert.equal(await status({ host: `localhost:${port}` }), 200);
  assert.equal(await status({ host: "127.0.0.1:1" }), 200);
  assert.equal(await status({ host: "evil.example" }), 403);
  assert.equal(await status({ host: "localhost.evil.example" }), 403);
  assert.equal(await status({ host: "localhost@evil.example" }), 403);
  assert.equal(await status({ origin: "http://localhost:3000" }), 200);
  assert.equal(await status({ origin: "https://evil.example" }), 403);
  assert.equal(await status({ origin: "null" }), 403);
  const open = await serve(t, { allowedHosts: ["node.example"] });
  assert.equal(await status({ host: "node.example" }, open.url), 200);
  assert.equal(await status({ host: "localhost" }, open.url), 403);
  const preflight = await get(url, { origin: "http://localhost:3000" }, "OPTIONS");
  assert.equal(preflight.status, 204);
});

test("health, readiness, the hook for other pages, and 404 for the rest", async (t) => {
  const { url } = await serve(
    t,
    {},
    {
      get: async ({ path }) =>
        path === "/page" ? { status: 200, contentType: "text/html", body: "<p>" } : undefined,
    },
  );
  assert.equal((await fetch(`${url}/health`)).status, 200);
  const ready = await fetch(`${url}/ready`);
  assert.equal(ready.status, 206);
  assert.deepEqual(await ready.json(), { status: 206, height: 5 });
  assert.equal(await (await fetch(`${url}/page`)).text(), "<p>");
  assert.equal((await fetch(`${url}/other`)).status, 404);
  assert.equal((await post(`${url}/other`, "{}")).status, 404);
  assert.equal((await fetch(url, { method: "DELETE" })).status, 405);
});

test("an address with too much in hand is told that the node is busy", async (t) => {
  const { url } = await serve(t, { inFlightMax: 2 });
  const before = waits.running;
  const gone = new AbortController();
  const polls = [1, 2].map((id) =>
    fetch(url, { method: "POST", body: JSON.stringify(ask("test_wait", {}, id)), signal: gone.signal }).catch(
      () => "aborted",
    ),
  );
  await until(() => waits.running === before + 2, "two polls are in hand");
  const reply = await post(url, JSON.stringify(ask("test_none")));
  assert.equal(reply.status, 503);
  assert.equal(((await reply.json()) as Reply).error?.data.code, "rpc/busy");
  gone.abort();
  await Promise.all(polls);
  await until(() => waits.aborted >= waits.running, "handlers notice that the client is gone");
  await until(() => true, "the count goes down");
  assert.equal((await call(url, ask("test_none"))).result, null);
});

test("a body that never ends is cut off", async (t) => {
  const { url } = await serve(t, { requestTimeoutMs: 500 });
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
  const startMs = performance.now();
  await new Promise((resolve) => socket.once("close", resolve).resume());
  assert.ok(performance.now() - startMs < 4000);
});

test("stopping ends long polls and closes connections that are kept alive", async (t) => {
  const { url, server } = await serve(t);
  const before = waits.running;
  const poll = call(url, ask("test_wait"));
  await until(() => waits.running === before + 1, "the poll is in hand");
  const startMs = performance.now();
  await server.stop();
  assert.ok(performance.now() - startMs < 900);
  assert.equal((await poll).result, "ended");
  await assert.rejects(call(url, ask("test_none")));
});

test("a taken port is node/port-in-use", async (t) => {
  const { url } = await serve(t);
  const second = createRpcServer(
    { port: Number(new URL(url).port) },
    { methods, ready: () => ({ status: 200 }), log: silentLog },
  );
  await assert.rejects(
    second.start(),
    (error) => error instanceof FaultError && error.code === "node/port-in-use",
  );
  await second.stop();
});
