/** A node's config.json: paths of its folder, defaults, and a clear fault for each mistake. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { loadConfig } from "../../../node/config.ts";
import { folder } from "./samples.ts";

const least = {
  name: "node-0",
  genesis: "../genesis.json",
  listen: "/ip4/127.0.0.1/tcp/0",
  peers: [],
  rpc: { host: "127.0.0.1", port: 8545 },
  networkKey: "network.json",
};

async function load(dir: string, config: unknown) {
  await writeFile(join(dir, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
  return loadConfig(dir);
}
const names = (field: string) => (error: unknown) =>
  error instanceof FaultError && error.code === "config/invalid" && error.fault.data?.field === field;

test("the least configuration has defaults and paths within its folder", async (t) => {
  const dir = await folder(t);
  assert.deepEqual(await load(dir, least), {
    ...least,
    genesis: join(dir, "../genesis.json"),
    networkKey: join(dir, "network.json"),
    snapshotSync: true,
    logLevel: "info",
  });
});

test("keys are found beside the file or by their absolute path", async (t) => {
  const dir = await folder(t);
  const found = await load(dir, {
    ...least,
    blsKey: "bls.json",
    accountKey: "/keys/a.json",
    faucetKey: "f.json",
  });
  assert.equal(found.blsKey, join(dir, "bls.json"));
  assert.equal(found.accountKey, "/keys/a.json");
  assert.equal(found.faucetKey, join(dir, "f.json"));
});

test("each mistake is a fault that names the field", async (t) => {
  const dir = await folder(t);
  await assert.rejects(loadConfig(join(dir, "nowhere")), FaultError);
  await assert.rejects(load(dir, "{"), FaultError);
  await assert.rejects(load(dir, { ...least, name: "" }), names("name"));
  await assert.rejects(load(dir, { ...least, rpc: { host: "x", port: 70_000 } }), names("rpc.port"));
  await assert.rejects(load(dir, { ...least, logLevel: "loud" }), names("logLevel"));
  await assert.rejects(load(dir, { ...least, peers: "one" }), names("peers"));
  await assert.rejects(load(dir, { ...least, extra: 1 }), FaultError);
});
