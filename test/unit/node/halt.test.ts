import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { clearHalt, createHalt } from "../../../node/halt.ts";
import { silentLog } from "../../../node/log.ts";
import { openStore } from "../../../node/store/store.ts";
import { bytes, certificate, folder, notarize, nullify } from "./samples.ts";

test("a halt outlives a restart, until it is cleared, and its dump stays", async (t) => {
  const dir = await folder(t);
  const told: string[] = [];
  const log = { ...silentLog, error: (_: unknown, message: string) => void told.push(message) };
  const open = () => openStore(join(dir, "db"));

  let store = await open();
  const halt = createHalt(dir, { store, log });
  assert.equal(halt.get(), undefined);
  const halting = halt.halt({
    kind: "diverged",
    blockHash: bytes(32, 4),
    fault: { code: "block/reveal", data: { view: 3 } },
    certificates: [certificate(notarize(3, 4))],
  });
  assert.equal(halt.get()?.kind, "diverged", "nothing may be signed while it is being written");
  await halting;
  await store.close();

  store = await open();
  const again = createHalt(dir, { store, log });
  assert.deepEqual(again.get(), halt.get());
  assert.match(told.join(), /HALTED before this start/);
  assert.equal((await clearHalt(store))?.kind, "diverged");
  assert.equal(await clearHalt(store), undefined);
  await store.close();

  store = await open();
  assert.equal(createHalt(dir, { store, log }).get(), undefined);
  await store.close();
  const dump = JSON.parse(await readFile(join(dir, halt.get()?.dump ?? ""), "utf8")) as Record<
    string,
    unknown
  >;
  assert.equal(dump.blockHash, `0x${"04".repeat(32)}`);
  assert.deepEqual(dump.refusal, { code: "block/reveal", data: { view: 3 } });
  assert.equal((dump.certificates as { view: number }[])[0]?.view, 3);
});

test("each finding leaves a dump, and the first is the one that halts", async (t) => {
  const dir = await folder(t);
  const store = await openStore(join(dir, "db"));
  t.after(() => store.close());
  const halt = createHalt(dir, { store, log: silentLog });
  await halt.halt({
    kind: "contradiction",
    certificates: [certificate(notarize(3, 4)), certificate(nullify(3))],
  });
  await halt.halt({ kind: "diverged", certificates: [] });
  assert.equal(halt.get()?.kind, "contradiction");
  const dumps = (await readdir(dir)).filter((name) => name.startsWith("diverged-"));
  assert.equal(dumps.length, 2);
});
