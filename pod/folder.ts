/**
 * A pod's folder on disk: what it is (pod.json), its secrets (secret.json) and its private rows with their
 * salts (data.json), the last two readable by the owner alone. The sponsor's pool and a test set are kept
 * the same way. Written by the devnet and `zkp pod init`, read by `zkp pod run`. Node only.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { bytesToBigint, fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { fieldToBytes } from "../consensus/types/submission.ts";
import { FEATURE_MAX, FEATURE_MIN, FIELD_ORDER, type Rows, shapeOf } from "../consensus/work/gradient.ts";
import { Hash, hexOf } from "../rpc/encoding.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { type HoldoutPool, openHoldout } from "./holdout.ts";

const RowsText = z.strictObject({
  features: z.number().int().min(1).max(64),
  x: z.array(z.number().int().min(FEATURE_MIN).max(FEATURE_MAX)),
  y: z.array(z.union([z.literal(0), z.literal(1)])),
});

const PodText = z.strictObject({
  version: z.literal(1),
  name: z.string().min(1).max(64),
  task: Hash,
  shape: z.string(),
  /** The circuit's witness generator and proving key on this machine. */
  keys: z.strictObject({ wasm: z.string(), zkey: z.string() }),
});
const SecretText = z.strictObject({
  version: z.literal(1),
  /** Of the account's Ed25519 key. */
  seed: hexOf(32),
  /** The field element whose hash is the pod's id, little-endian. */
  podSecret: hexOf(32),
});
const DataText = z.strictObject({
  version: z.literal(1),
  mean: z.array(z.number()),
  scale: z.array(z.number()),
  batches: z.array(z.strictObject({ salt: hexOf(16), rows: RowsText })).max(1024),
});
const PoolText = z.strictObject({
  version: z.literal(1),
  slices: z.array(z.strictObject({ salt: hexOf(32), rows: RowsText })).max(4096),
});

export type PodFolder = {
  readonly name: string;
  readonly task: string;
  readonly keys: { readonly wasm: string; readonly zkey: string };
  readonly seed: Uint8Array;
  readonly secret: bigint;
  readonly dataset: Dataset;
};

const rowsText = ({ features, x, y }: Rows): z.input<typeof RowsText> => ({
  features,
  x: [...x],
  y: [...y].map((label) => (label === 1 ? 1 : 0)),
});
const rowsOf = ({ features, x, y }: z.output<typeof RowsText>): Rows => ({
  features,
  x: Int16Array.from(x),
  y: Uint8Array.from(y),
});

const PRIVATE = 0o600;
const PUBLIC = 0o644;

/** Whole or not at all: beside its place, then renamed. */
export async function writeJson(file: string, value: unknown, mode: number): Promise<void> {
  const draft = `${file}.${process.pid}.new`;
  await writeFile(draft, `${JSON.stringify(value, null, 1)}\n`, { mode });
  await rename(draft, file);
}

/** The error names file and field; it never quotes the text, which may be a secret. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    const missing = error instanceof Error && "code" in error;
    throw new FaultError("config/invalid", { file, problem: missing ? String(error.code) : "is not JSON" });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
    throw new FaultError("config/invalid", { file, field });
  }
  return parsed.data;
}

export async function savePod(folder: string, pod: PodFolder): Promise<void> {
  const { name, task, keys, dataset } = pod;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secret: z.input<typeof SecretText> = {
    version: 1,
    seed: toHex(pod.seed),
    podSecret: toHex(fieldToBytes(pod.secret)),
  };
  await writeJson(join(folder, "secret.json"), secret, PRIVATE);
  const data: z.input<typeof DataText> = {
    version: 1,
    mean: [...dataset.standard.mean],
    scale: [...dataset.standard.scale],
    batches: dataset.batches.map(({ rows, salt }) => ({
      salt: toHex(fieldToBytes(salt).slice(0, 16)),
      rows: rowsText(rows),
    })),
  };
  await writeJson(join(folder, "data.json"), data, PRIVATE);
  const text: z.input<typeof PodText> = { version: 1, name, task, shape: dataset.shape.id, keys };
  await writeJson(join(folder, "pod.json"), text, PUBLIC);
}

/** Points a kept pod at the proving keys of this machine's cache. */
export async function setPodKeys(folder: string, keys: PodFolder["keys"]): Promise<void> {
  const file = join(folder, "pod.json");
  const pod = await readJson(file, PodText);
  await writeJson(file, { ...pod, keys: { ...keys } } satisfies z.input<typeof PodText>, PUBLIC);
}

export async function loadPod(folder: string): Promise<PodFolder> {
  const pod = await readJson(join(folder, "pod.json"), PodText);
  const secret = await readJson(join(folder, "secret.json"), SecretText);
  const data = await readJson(join(folder, "data.json"), DataText);
  const shape = shapeOf(pod.shape);
  const batches = data.batches.map(({ salt, rows }) => ({
    salt: bytesToBigint(fromHex(salt, 16)),
    rows: rowsOf(rows),
  }));
  return {
    name: pod.name,
    task: pod.task,
    keys: pod.keys,
    seed: fromHex(secret.seed, 32),
    secret: bytesToBigint(fromHex(secret.podSecret, 32)),
    dataset: openDataset(batches, shape, { mean: data.mean, scale: data.scale }),
  };
}

export async function savePool(file: string, pool: HoldoutPool): Promise<void> {
  const slices = pool.slices.map(({ salt, rows }) => ({ salt: toHex(salt), rows: rowsText(rows) }));
  await writeJson(file, { version: 1, slices } satisfies z.input<typeof PoolText>, PRIVATE);
}

export async function loadPool(file: string): Promise<HoldoutPool> {
  const { slices } = await readJson(file, PoolText);
  return openHoldout(slices.map(({ salt, rows }) => ({ salt: fromHex(salt, 32), rows: rowsOf(rows) })));
}

export async function saveRows(file: string, rows: Rows): Promise<void> {
  await writeJson(file, rowsText(rows), PRIVATE);
}

export async function loadRows(file: string): Promise<Rows> {
  return rowsOf(await readJson(file, RowsText));
}

/** A uniformly random field element below r: 32 random bytes, drawn again until they are. */
export function randomSecret(): bigint {
  for (;;) {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    bytes[31] = (bytes[31] ?? 0) & 0x3f;
    const value = bytesToBigint(bytes);
    if (value > 0n && value < FIELD_ORDER) return value;
  }
}
