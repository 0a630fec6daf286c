import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { verifySignature } from "../../../consensus/primitives/bls.ts";
import { type FaultCode, FaultError } from "../../../consensus/primitives/faults.ts";
import { Epoch, View } from "../../../consensus/primitives/units.ts";
import { possessionRoot, revealRoot, type Subject, signingRoot } from "../../../consensus/types/vote.ts";
import { blsSecretKey, devKey } from "../../../node/keys.ts";
import { helloRoot } from "../../../node/network/hello.ts";
import { createSigner, LEASE_VIEWS } from "../../../node/signer.ts";
import { openStore } from "../../../node/store/store.ts";
import { block, bytes, CHAIN, finalize, folder, notarize, nullify } from "./samples.ts";

const hasCode = (code: FaultCode) => (error: unknown) => error instanceof FaultError && error.code === code;
const secretKey = blsSecretKey(devKey("bls", "signer").seed);
const blsKey = secretKey.toPublicKey().toBytes();

async function openSigner(dir: string, label = "data") {
  const store = await openStore(join(dir, label));
  const floorFile = join(dir, "signer-floor.json");
  try {
    const signer = await createSigner({ secretKey, chain: CHAIN, floorFile }, { store });
    return { store, signer, floorFile };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function fresh(t: TestContext) {
  const dir = await folder(t);
  const opened = await openSigner(dir);
  t.after(() => opened.store.close());
  return { dir, ...opened };
}

test("a vote is durable before its signature is given, with what belongs to it", async (t) => {
  const { signer, store } = await fresh(t);
  const { block: it, hash } = block(3);
  const subject = { ...notarize(3, 0), blockHash: hash };
  const signature = await signer.signVote(subject, [{ kind: "block", hash, block: it }]);
  assert.ok(verifySignature(signingRoot(CHAIN, subject), blsKey, signature));
  assert.deepEqual(await store.ownVotes(Epoch(1)), [subject]);
  assert.ok(store.blockByHash(hash));
  assert.deepEqual(await signer.signVote(subject, []), signature, "the same vote may be asked for again");
});

test("reveal, possession and hello verify under their own messages", async (t) => {
  const { signer } = await fresh(t);
  assert.ok(verifySignature(revealRoot(CHAIN, Epoch(1), View(2)), blsKey, signer.reveal(Epoch(1), View(2))));
  assert.ok(verifySignature(possessionRoot(CHAIN, blsKey), blsKey, signer.possession()));
  assert.ok(verifySignature(helloRoot(CHAIN, bytes(38, 1)), blsKey, signer.signHello(bytes(38, 1))));
});

const refused: readonly (readonly [string, Subject, Subject])[] = [
  ["a second notarize", notarize(4, 1), notarize(4, 2)],
  ["a notarize on another parent", notarize(4, 1), { ...notarize(4, 1), parentView: View(2) }],
  ["a second finalize", finalize(4, 1), finalize(4, 2)],
  ["notarize after nullify", nullify(4), notarize(4, 1)],
  ["finalize after nullify", nullify(4), finalize(4, 1)],
  ["nullify after finalize", finalize(4, 1), nullify(4)],
  ["finalize of another block than notarized", notarize(4, 1), finalize(4, 2)],
  ["notarize of another block than finalized", finalize(4, 1), notarize(4, 2)],
];
for (const [name, first, second] of refused) {
  test(`${name} is refused, before and after a restart`, async (t) => {
    const dir = await folder(t);
    const before = await openSigner(dir);
    await before.signer.signVote(first, []);
    await assert.rejects(before.signer.signVote(second, []), hasCode("node/vote-conflict"));
    await before.store.close();
    const { signer, store } = await openSigner(dir);
    t.after(() => store.close());
    assert.equal(signer.blockedBy(), undefined);
    await assert.rejects(signer.signVote(second, []), hasCode("node/vote-conflict"));
    await signer.signVote(first, []);
  });
}

test("of two conflicting votes asked for at once one is signed", async (t) => {
  const { signer } = await fresh(t);
  const results = await Promise.allSettled([
    signer.signVote(notarize(4, 1), []),
    signer.signVote(notarize(4, 2), []),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
});

test("notarize then nullify, and notarize then finalize of one block, are allowed", async (t) => {
  const { signer } = await fresh(t);
  await signer.signVote(notarize(4, 1), []);
  await signer.signVote(nullify(4), []);
  await signer.signVote(notarize(5, 1), []);
  await signer.signVote(finalize(5, 1), []);
});

test("after the first vote of an epoch nothing is signed in an earlier one", async (t) => {
  const { signer, store } = await fresh(t);
  await signer.signVote(nullify(4, 2), []);
  await assert.rejects(signer.signVote(nullify(9, 1), []), hasCode("node/signer-floor"));
  await store.pruneEpoch(Epoch(4));
  await assert.rejects(signer.signVote(nullify(9, 3), []), hasCode("node/signer-floor"));
});

test("the lease is ahead of every signed view and rewritten once in 64", async (t) => {
  const { signer, floorFile } = await fresh(t);
  const read = async (): Promise<{ view: number; serial: number }> =>
    JSON.parse(await readFile(floorFile, "utf8"));
  await signer.signVote(nullify(1), []);
  const first = await read();
  assert.equal(first.view, 1 + LEASE_VIEWS);
  await signer.signVote(nullify(1 + LEASE_VIEWS), []);
  assert.deepEqual(await read(), first);
  await signer.signVote(nullify(2 + LEASE_VIEWS), []);
  assert.deepEqual(await read(), { ...first, view: 2 + 2 * LEASE_VIEWS, serial: first.serial + 1 });
});

test("with a lost database nothing is signed until finality is beyond the lease", async (t) => {
  const dir = await folder(t);
  const before = await openSigner(dir);
  await before.signer.signVote(notarize(4, 1), []);
  await before.store.close();
  await rm(join(dir, "data"), { recursive: true });
  const lease = 4 + LEASE_VIEWS;

  const lost = await openSigner(dir);
  assert.deepEqual(lost.signer.blockedBy(), { epoch: 1, view: lease });
  await assert.rejects(lost.signer.signVote(notarize(4, 2), []), hasCode("node/signer-floor"));
  await assert.rejects(lost.signer.signVote(notarize(lease + 1, 2), []), hasCode("node/signer-floor"));
  await lost.signer.observeFinalized(Epoch(1), View(lease));
  await assert.rejects(lost.signer.signVote(notarize(lease + 1, 2), []), hasCode("node/signer-floor"));
  await lost.store.close();

  const still = await openSigner(dir);
  assert.deepEqual(still.signer.blockedBy(), { epoch: 1, view: lease }, "a restart changes nothing");
  await still.signer.observeFinalized(Epoch(1), View(lease + 1));
  assert.equal(still.signer.blockedBy(), undefined);
  await assert.rejects(
    still.signer.signVote(notarize(4, 2), []),
    hasCode("node/signer-floor"),
    "at or below: never",
  );
  await still.signer.signVote(notarize(lease + 2, 2), []);
  await still.store.close();

  const after = await openSigner(dir);
  t.after(() => after.store.close());
  assert.equal(after.signer.blockedBy(), undefined);
  await assert.rejects(after.signer.signVote(notarize(lease, 2), []), hasCode("node/signer-floor"));
});

test("an older copy of the database is noticed too", async (t) => {
  const dir = await folder(t);
  const copy = await openSigner(dir, "copy");
  await copy.signer.signVote(notarize(4, 1), []);
  await copy.store.close();
  await cp(join(dir, "copy"), join(dir, "data"), { recursive: true });
  const used = await openSigner(dir, "data");
  assert.equal(used.signer.blockedBy(), undefined);
  await used.signer.signVote(notarize(5, 1), []);
  await used.store.close();
  const old = await openSigner(dir, "copy");
  t.after(() => old.store.close());
  await assert.rejects(old.signer.signVote(notarize(5, 2), []), hasCode("node/signer-floor"));
});

test("data wiped before the first vote is no loss", async (t) => {
  const dir = await folder(t);
  const before = await openSigner(dir);
  await before.store.close();
  await rm(join(dir, "data"), { recursive: true });
  const { signer, store } = await openSigner(dir);
  t.after(() => store.close());
  await signer.signVote(nullify(1), []);
});

test("a damaged floor file, or one of another key, stops the signer", async (t) => {
  const dir = await folder(t);
  const { store, floorFile } = await openSigner(dir);
  await store.close();
  const floor = JSON.parse(await readFile(floorFile, "utf8"));
  await writeFile(floorFile, JSON.stringify({ ...floor, publicKey: "0x00" }));
  await assert.rejects(openSigner(dir), hasCode("node/signer-floor"));
  await writeFile(floorFile, JSON.stringify({ ...floor, chain: "0x00" }));
  await assert.rejects(openSigner(dir), hasCode("node/chain-mismatch"));
  await writeFile(floorFile, "{");
  await assert.rejects(openSigner(dir), hasCode("node/signer-floor"));
});

test("every vote that left before the process was killed is on disk", async (t) => {
  const dir = await folder(t);
  const script = `
    const { createSigner } = await import(${JSON.stringify(import.meta.resolve("../../../node/signer.ts"))});
    const { openStore } = await import(${JSON.stringify(import.meta.resolve("../../../node/store/store.ts"))});
    const { blsSecretKey, devKey } = await import(${JSON.stringify(import.meta.resolve("../../../node/keys.ts"))});
    const store = await openStore(${JSON.stringify(join(dir, "data"))});
    const secretKey = blsSecretKey(devKey("bls", "signer").seed);
    const options = { secretKey, chain: new Uint8Array(32).fill(7), floorFile: ${JSON.stringify(join(dir, "signer-floor.json"))} };
    const signer = await createSigner(options, { store });
    for (let view = 1; view < 100000; view++) {
      await signer.signVote({ kind: 2, epoch: 1, view, parentView: 0, blockHash: new Uint8Array(32) }, []);
      process.stdout.write(view + "\\n");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split("\n").length > 150) child.kill("SIGKILL");
    });
    child.once("close", () => resolve());
  });
  const signed = Number(output.trim().split("\n").at(-1));
  assert.ok(signed >= 149);
  const { signer, store } = await openSigner(dir);
  t.after(() => store.close());
  assert.equal(signer.blockedBy(), undefined);
  const durable = await store.ownVotes(Epoch(1));
  assert.ok(durable.length >= signed, `${signed} votes left, ${durable.length} are on disk`);
  await assert.rejects(signer.signVote(finalize(signed, 1), []), hasCode("node/vote-conflict"));
});
