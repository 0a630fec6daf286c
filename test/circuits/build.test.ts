/** Building circuits: sizes, the development set-up's bytes, snarkjs' view of the keys, the cache. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { buildBn128 } from "ffjavascript";
import { zKey } from "snarkjs";
import { type BuildProgress, type BuiltCircuit, buildCircuits } from "../../circuits/build/build.ts";
import { readR1cs } from "../../circuits/build/r1cs.ts";
import { parseVerificationKey, verificationKeyBytes, vkHash } from "../../circuits/verification-key.ts";

/** Of the smallest shape: they change with its circuit, the compiler or the set-up, and with no machine. */
const GOLDEN = {
  zkey: "1ea1020150dc39f2b4012408db87241818103258b2e42e450ff068a4d25e100d",
  vkHash: "461008d0c4da0861110ff33ebc5ce9368ce8812f850e46644fc41cf81a038459",
};

let built: Map<string, BuiltCircuit>;
let scratch: string;

before(async () => {
  // snarkjs would start threads for the curve, which keep the process alive.
  Object.assign(globalThis, { curve_bn128: await buildBn128(true) });
  built = await buildCircuits();
  scratch = await mkdtemp(join(tmpdir(), "zkp-cache-"));
});

after(() => rm(scratch, { recursive: true, force: true }));

function circuit(id: string): BuiltCircuit {
  const found = built.get(id);
  assert.ok(found !== undefined);
  return found;
}

async function sha256Of(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

test("circuits stay within their constraints", async () => {
  for (const [id, most] of [
    ["gradient-32x10", 10_629],
    ["gradient-32x30", 20_807],
  ] as const) {
    const { constraints } = readR1cs(await readFile(circuit(id).r1csPath));
    assert.equal(constraints, circuit(id).constraints);
    assert.ok(constraints <= most, `${id}: ${constraints}`);
  }
});

test("the development set-up gives the same bytes on every machine", async () => {
  const { zkeyPath, vkHash: hash } = circuit("gradient-4x2");
  assert.deepEqual({ zkey: await sha256Of(zkeyPath), vkHash: hash }, GOLDEN);
});

test("circuits have different keys", () => {
  assert.equal(new Set([...built.values()].map(({ vkHash: hash }) => hash)).size, built.size);
});

test("snarkjs exports the same verification key", async () => {
  for (const { zkeyPath, vkPath, verificationKey, vkHash: hash } of built.values()) {
    const exported = parseVerificationKey(await zKey.exportVerificationKey(zkeyPath));
    assert.deepEqual(exported, verificationKey);
    assert.deepEqual(verificationKeyBytes(exported), verificationKeyBytes(verificationKey));
    assert.equal(vkHash(parseVerificationKey(JSON.parse(await readFile(vkPath, "utf8")))), hash);
  }
});

test("what is cached is found without building, and an unknown shape is a fault", async () => {
  const phases: BuildProgress[] = [];
  const again = await buildCircuits({ shapes: ["gradient-4x2"], onProgress: (p) => phases.push(p) });
  assert.deepEqual(again.get("gradient-4x2"), circuit("gradient-4x2"));
  assert.deepEqual(phases, []);
  await assert.rejects(buildCircuits({ shapes: ["gradient-1x1"] }), { code: "circuit/unknown" });
});

test("a damaged entry is built again, to the same bytes, by two at once", async () => {
  const good = circuit("gradient-4x2");
  const folder = join(scratch, basename(dirname(good.zkeyPath)));
  await cp(dirname(good.zkeyPath), folder, { recursive: true });
  const zkey = await readFile(join(folder, "circuit.zkey"));
  zkey[1000] = (zkey[1000] ?? 0) ^ 1;
  await writeFile(join(folder, "circuit.zkey"), zkey);

  const phases: BuildProgress[] = [];
  const build = () =>
    buildCircuits({ shapes: ["gradient-4x2"], cacheDir: scratch, onProgress: (p) => phases.push(p) });
  const results = await Promise.all([build(), build()]);
  for (const result of results) {
    const rebuilt = result.get("gradient-4x2");
    assert.ok(rebuilt !== undefined);
    assert.equal(rebuilt.vkHash, good.vkHash);
    assert.equal(await sha256Of(rebuilt.zkeyPath), await sha256Of(good.zkeyPath));
    assert.equal(await sha256Of(rebuilt.wasmPath), await sha256Of(good.wasmPath));
  }
  // The second waited for the first; both phases ended once, in order, and nothing was left behind.
  assert.deepEqual(
    phases.filter(({ percent }) => percent === 100).map(({ phase }) => phase),
    ["compile", "setup", "write"],
  );
  assert.deepEqual(await readdir(scratch), [basename(folder)]);
});
