import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { createClient } from "../../../pod/client.ts";

/** A server that answers each POST with what `answer` makes of it. */
async function serving(
  answer: (request: { method: string }) => unknown,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      const value = answer(JSON.parse(body) as { method: string });
      if (value === undefined) return; // never answers
      response.end(
        typeof value === "string" ? value : JSON.stringify({ jsonrpc: "2.0", id: 1, ...(value as object) }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const coded = (code: string) => (error: unknown) => error instanceof FaultError && error.code === code;

test("a fault of the chain arrives with its code and data", async () => {
  const error = {
    code: 1016,
    message: "no",
    data: { code: "submission/proof-invalid", reason: "no", retryable: false, hint: "", slot: 3 },
  };
  await serving(
    () => ({ error }),
    async (rpc) => {
      await assert.rejects(createClient({ rpc }).call("proof_submit", { submission: "0x" }), (thrown) => {
        assert.ok(coded("submission/proof-invalid")(thrown));
        assert.deepEqual((thrown as FaultError).fault.data, { slot: 3 });
        return true;
      });
    },
  );
});

test("JSON-RPC's own codes become faults too, and unknown ones keep their number", async () => {
  let code = -32601;
  await serving(
    () => ({ error: { code, message: "what" } }),
    async (rpc) => {
      await assert.rejects(createClient({ rpc }).callRaw("x", {}), coded("rpc/method-unknown"));
      code = 99_999;
      await assert.rejects(createClient({ rpc }).callRaw("x", {}), /99999.*what/);
    },
  );
});

test("a result of another form than agreed is named by its field", async () => {
  await serving(
    () => ({ result: { address: "zkp1", balance: 5 } }),
    async (rpc) => {
      await assert.rejects(
        createClient({ rpc }).call("chain_account", { address: "zkp1" }),
        coded("rpc/result-invalid"),
      );
    },
  );
});

test("an answer that is no JSON is refused", async () => {
  await serving(
    () => "<html>",
    async (rpc) => {
      await assert.rejects(createClient({ rpc }).call("chain_status", {}), coded("rpc/result-invalid"));
    },
  );
});

test("a node that is away is unreachable, and says how", async () => {
  let url = "";
  await serving(
    () => ({ result: 1 }),
    async (rpc) => {
      url = rpc;
    },
  );
  await assert.rejects(
    createClient({ rpc: url }).call("chain_status", {}),
    /ECONNREFUSED.*node\/unreachable/,
  );
});

test("of several nodes the next one is asked when one is away", async () => {
  await serving(
    () => ({ result: "here" }),
    async (rpc) => {
      const client = createClient({ rpc: ["http://127.0.0.1:9", rpc] });
      assert.equal(await client.callRaw("x", {}), "here");
    },
  );
});

test("a call that is not answered ends at its timeout", async () => {
  await serving(
    () => undefined,
    async (rpc) => {
      await assert.rejects(
        createClient({ rpc, timeoutMs: 30 }).call("chain_status", {}),
        coded("rpc/timeout"),
      );
    },
  );
});

test("a call ends with the signal's reason when it is aborted", async () => {
  await serving(
    () => undefined,
    async (rpc) => {
      const stop = new AbortController();
      const call = createClient({ rpc }).call("chain_status", {}, { signal: stop.signal });
      stop.abort(new Error("enough"));
      await assert.rejects(call, /enough/);
    },
  );
});
