import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type BuiltCircuit, buildCircuit } from "../../../circuits/build/build.ts";
import { resolveParams } from "../../../consensus/primitives/params.ts";
import { shapeOf } from "../../../consensus/work/gradient.ts";
import { type DevnetFile, paths, readDevnet } from "../../../devnet/folder.ts";
import { accuracy } from "../../../devnet/monitor.ts";
import { checkOptions, paramOverrides, shapeForColumns } from "../../../devnet/options.ts";
import { createFolder, draftOf } from "../../../devnet/plan.ts";
import { type GenesisDocument, parseGenesis } from "../../../genesis/document.ts";
import { genesisState } from "../../../genesis/state.ts";
import { loadPod, loadPool } from "../../../pod/folder.ts";

const options = { shape: "gradient-8x4", features: 3, pods: 2, validators: 4, holdoutSlices: 8, copycats: 1 };
let dir: string;
let circuit: BuiltCircuit;
let file: DevnetFile;
let genesis: GenesisDocument;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "zkp-plan-"));
  circuit = await buildCircuit("gradient-8x4");
  file = await createFolder({
    dir,
    options,
    draft: await draftOf(options),
    circuit,
    timeMs: 1_700_000_000_000,
  });
  genesis = parseGenesis(await readFile(paths(dir).genesis, "utf8"));
});
after(() => rm(dir, { recursive: true }));

test("the genesis document that a plan writes builds a first state", () => {
  const { state } = genesisState(genesis);
  assert.equal(state.validators.length, 4);
  assert.equal(state.tasks.length, 1);
  assert.equal(genesis.tasks[0]?.lastRound, "1");
});

test("the pods' folders hold the roots and ids that genesis enrolled", async () => {
  for (const [i, pod] of genesis.pods.entries()) {
    const kept = await loadPod(paths(dir).pod(i));
    assert.equal(pod.datasets[0]?.batches, kept.dataset.batches.length);
    assert.equal(kept.task, file.task.id);
  }
  assert.deepEqual((await loadPool(paths(dir).pool)).slices.length, 8);
});

test("a copycat holds the first pod's rows under another root", async () => {
  const [first, second] = [await loadPod(paths(dir).pod(0)), await loadPod(paths(dir).pod(1))];
  assert.deepEqual(second.dataset.batches[0]?.rows, first.dataset.batches[0]?.rows);
  assert.notDeepEqual(second.dataset.dataRoot, first.dataset.dataRoot);
});

test("devnet.json reads back, and what holds seeds is for the owner alone", async () => {
  assert.deepEqual(await readDevnet(dir), file);
  for (const name of [
    "devnet.json",
    "faucet.json",
    "sponsor/account.json",
    "sponsor/pool.json",
    "test.json",
  ]) {
    assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600, name);
  }
});

test("the shape follows the number of columns, and more than 30 are an error", () => {
  assert.deepEqual([shapeForColumns(10).id, shapeForColumns(11).id], ["gradient-32x10", "gradient-32x30"]);
  assert.throws(() => shapeForColumns(31), /table\/invalid/);
});

test("any block interval gives a set of parameters that genesis accepts", () => {
  for (const blockIntervalMs of [50, 250, 500, 1_000, 60_000]) {
    resolveParams("dev", paramOverrides({ blockIntervalMs }, shapeOf("gradient-32x30")));
  }
  assert.equal(resolveParams("dev", paramOverrides({}, shapeOf("gradient-32x10"))).epochHeights, 40n);
});

test("options outside their limits are refused by name", () => {
  assert.throws(() => checkOptions({ validators: 0 }), /--validators/);
  assert.throws(() => checkOptions({ features: 31 }), /--features/);
  assert.throws(
    () => checkOptions({ features: 3, table: { file: "x", label: "y", positive: "1", ignore: [] } }),
    /--data/,
  );
});

test("accuracy counts the rows on the right side of the model", () => {
  const rows = { features: 1, x: Int16Array.of(256, -256, 256, -256), y: Uint8Array.of(1, 0, 0, 0) };
  assert.equal(accuracy([65_536, 0], rows), 0.75);
  assert.equal(accuracy([0, 0], rows), 0.75);
});
