/** One process of a machine signs with a validator's key, whatever folder it runs in. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { lockKey } from "../../../node/key-lock.ts";
import { bytes } from "./samples.ts";

const MODULE = new URL("../../../node/key-lock.ts", import.meta.url).href;
const KEY = { chain: bytes(32, 1), blsKey: bytes(48, 2) };
const inUse = (error: unknown): boolean => error instanceof FaultError && error.code === "node/key-in-use";

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-locks-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Another process that holds the lock of {@link KEY}, once it has said so. */
async function holder(t: TestContext, locksDir: string): Promise<ChildProcess> {
  const source = `
    import { lockKey } from ${JSON.stringify(MODULE)};
    await lockKey({
      chain: new Uint8Array(${JSON.stringify([...KEY.chain])}),
      blsKey: new Uint8Array(${JSON.stringify([...KEY.blsKey])}),
      locksDir: ${JSON.stringify(locksDir)},
    });
    process.stdout.write("locked");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  assert.ok(child.stdout !== null);
  await once(child.stdout, "data");
  return child;
}

test("a second process with the key is refused, until the first has ended, even by SIGKILL", async (t) => {
  const locksDir = await folder(t);
  const child = await holder(t, locksDir);
  await assert.rejects(lockKey({ ...KEY, locksDir }), inUse);
  const other = await lockKey({ ...KEY, blsKey: bytes(48, 3), locksDir });
  const elsewhere = await lockKey({ ...KEY, chain: bytes(32, 4), locksDir });
  child.kill("SIGKILL");
  await once(child, "exit");
  const own = await lockKey({ ...KEY, locksDir });
  for (const lock of [other, elsewhere, own]) await lock.release();
});

test("a released key can be taken again", async (t) => {
  const locksDir = await folder(t);
  const first = await lockKey({ ...KEY, locksDir });
  await assert.rejects(lockKey({ ...KEY, locksDir }), inUse);
  await first.release();
  await (await lockKey({ ...KEY, locksDir })).release();
});

test("where no lock can be had the key counts as in use", async (t) => {
  const locksDir = join(await folder(t), "a", "\0");
  await assert.rejects(lockKey({ ...KEY, locksDir }), inUse);
});
