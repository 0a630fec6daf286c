import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { verifyBranch } from "../../../consensus/primitives/merkle.ts";
import { decodeFeatures, encodeFeatures, sliceLeaf } from "../../../consensus/types/holdout.ts";
import { commitTable } from "../../../pod/commit.ts";
import { commitRows, openDataset, padRows, padStandard, shuffleRows } from "../../../pod/dataset.ts";
import { loadPod, loadPool, randomSecret, savePod, savePool } from "../../../pod/folder.ts";
import { commitHoldout } from "../../../pod/holdout.ts";
import { dataset, SHAPE, STANDARD, someRows } from "./fake-chain.ts";

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-pod-"));
  try {
    await use(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test("incomplete batches are dropped, and too few rows are an error", () => {
  assert.equal(commitRows(someRows(23), SHAPE, STANDARD).batches.length, 2);
  assert.throws(() => commitRows(someRows(7), SHAPE, STANDARD), /too-small/);
});

test("two commitments to the same rows have different roots, because salts are fresh", () => {
  const [a, b] = [commitRows(someRows(8), SHAPE, STANDARD), commitRows(someRows(8), SHAPE, STANDARD)];
  assert.notDeepEqual(a.dataRoot, b.dataRoot);
  assert.deepEqual(openDataset(a.batches, SHAPE, STANDARD).dataRoot, a.dataRoot);
});

test("fewer columns are padded with zeros, more are an error", () => {
  const padded = padRows(someRows(2, 3), 4);
  assert.deepEqual([padded.features, padded.x[3], padded.x[7]], [4, 0, 0]);
  assert.deepEqual(padStandard({ mean: [5], scale: [2] }, 3), { mean: [5, 0, 0], scale: [2, 1, 1] });
  assert.throws(() => padRows(someRows(2, 5), 4), FaultError);
});

test("shuffling keeps rows and labels together", () => {
  const rows = someRows(64);
  const texts = ({ features, x, y }: typeof rows): string[] =>
    [...y].map((label, i) => `${x.slice(i * features, (i + 1) * features).join(" ")} ${label}`).sort();
  assert.deepEqual(texts(shuffleRows(rows)), texts(rows));
});

test("a table of another number of columns than the task's is refused", () => {
  const table = (columns: number) => ({
    columns: Array.from({ length: columns }, (_, i) => `c${i}`),
    rows: Array.from({ length: 8 }, (_, i) => new Array<number>(columns).fill(i)),
    labels: Array.from({ length: 8 }, (_, i): 0 | 1 => (i % 2 === 0 ? 0 : 1)),
  });
  const task = { shape: SHAPE.id, mean: [3, 3, 3, 0], scale: [2, 2, 2, 1] };
  assert.equal(commitTable(table(3), task).batches.length, 1);
  assert.throws(() => commitTable(table(2), task), /3 … 4 feature columns/);
  assert.throws(() => commitTable(table(5), task), /3 … 4 feature columns/);
});

test("a pod's folder gives back what was saved, and only its owner can read its secrets", async () => {
  await inFolder(async (dir) => {
    const pod = {
      name: "clinic",
      task: `0x${"11".repeat(32)}`,
      keys: { wasm: "a.wasm", zkey: "a.zkey" },
      seed: new Uint8Array(32).fill(9),
      secret: randomSecret(),
      dataset,
    };
    await savePod(dir, pod);
    const loaded = await loadPod(dir);
    assert.deepEqual(loaded.dataset.dataRoot, dataset.dataRoot);
    assert.deepEqual([loaded.seed, loaded.secret, loaded.keys], [pod.seed, pod.secret, pod.keys]);
    for (const file of ["secret.json", "data.json"])
      assert.equal((await stat(join(dir, file))).mode & 0o777, 0o600);
    assert.ok(!(await readFile(join(dir, "pod.json"), "utf8")).includes("seed"));
  });
});

test("a slice opens against the pool's root, from disk too", async () => {
  const pool = commitHoldout(someRows(30), SHAPE.features);
  assert.equal(pool.slices.length, 3);
  await inFolder(async (dir) => {
    await savePool(join(dir, "pool.json"), pool);
    const loaded = await loadPool(join(dir, "pool.json"));
    const slice = loaded.open(2);
    assert.ok(verifyBranch(pool.root, sliceLeaf(slice), 2, slice.branch));
    assert.ok(!verifyBranch(pool.root, sliceLeaf({ ...slice, salt: new Uint8Array(32) }), 2, slice.branch));
    assert.throws(() => loaded.open(3), /reveal-wrong-slices/);
  });
});

test("features keep their sign through their bytes", () => {
  const values = Int16Array.of(-2048, -1, 0, 1, 2047);
  assert.deepEqual(decodeFeatures(encodeFeatures(values)), values);
});
