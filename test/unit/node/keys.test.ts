import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fromHex, toHex } from "../../../consensus/primitives/bytes.ts";
import { type FaultCode, FaultError } from "../../../consensus/primitives/faults.ts";
import { formatAddress, parseAddress } from "../../../consensus/types/address.ts";
import {
  createKey,
  devKey,
  ed25519PublicKey,
  loadKey,
  saveKey,
  signEd25519,
  verifyEd25519,
} from "../../../node/keys.ts";
import { bytes, folder } from "./samples.ts";

const hasCode = (code: FaultCode) => (error: unknown) => error instanceof FaultError && error.code === code;

test("Ed25519 agrees with RFC 8032's second test vector", () => {
  const seed = fromHex("0x4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const publicKey = ed25519PublicKey(seed);
  assert.equal(toHex(publicKey), "0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = signEd25519(seed, new Uint8Array([0x72]));
  assert.equal(
    toHex(signature),
    "0x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  assert.ok(verifyEd25519(publicKey, new Uint8Array([0x72]), signature));
  assert.ok(!verifyEd25519(publicKey, new Uint8Array([0x73]), signature));
  assert.ok(!verifyEd25519(bytes(32, 0xff), new Uint8Array([0x72]), signature), "malformed keys are false");
  assert.ok(!verifyEd25519(publicKey, new Uint8Array([0x72]), signature.subarray(1)));
});

test("development keys follow from their labels, and kinds never share one", () => {
  assert.deepEqual(devKey("bls", "node-0"), devKey("bls", "node-0"));
  assert.notDeepEqual(devKey("account", "node-0").seed, devKey("network", "node-0").seed);
  assert.equal(devKey("bls", "node-0").publicKey.length, 48);
});

test("a key file is read back, is private, and is never overwritten", async (t) => {
  const file = join(await folder(t), "bls.json");
  const key = createKey("bls");
  await saveKey(file, key);
  assert.deepEqual(await loadKey(file, "bls"), key);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await assert.rejects(saveKey(file, createKey("bls")), hasCode("key/invalid"));
  await assert.rejects(loadKey(file, "account"), hasCode("key/invalid"));
});

test("damaged key files are refused without showing what is in them", async (t) => {
  const file = join(await folder(t), "account.json");
  const key = createKey("account");
  await saveKey(file, key);
  const good = JSON.parse(await readFile(file, "utf8"));
  const secret = toHex(key.seed);
  const bad = [
    "",
    `{"seed": "${secret}`,
    JSON.stringify({ ...good, publicKey: toHex(bytes(32, 1)) }),
    JSON.stringify({ ...good, more: 1 }),
  ];
  for (const text of bad) {
    await writeFile(file, text);
    await assert.rejects(loadKey(file, "account"), (error) => {
      assert.ok(hasCode("key/invalid")(error));
      assert.ok(
        !`${String(error)}${String(error instanceof Error ? error.cause : "")}`.includes(secret.slice(2, 20)),
      );
      return true;
    });
  }
  await assert.rejects(loadKey(`${file}.none`, "account"), hasCode("key/invalid"));
});

test("addresses are bech32m with the prefix zkp, and mistyped ones are refused", () => {
  const address = bytes(20, 0xa5);
  const text = formatAddress(address);
  assert.match(text, /^zkp1[a-z0-9]{38}$/);
  assert.deepEqual(parseAddress(text), address);
  const wrong = [
    text.slice(0, -1),
    `${text.slice(0, -1)}${text.endsWith("q") ? "p" : "q"}`,
    text.replace("zkp", "zkq"),
    "",
    "0x00",
  ];
  for (const it of wrong) assert.throws(() => parseAddress(it), hasCode("config/invalid"));
});
