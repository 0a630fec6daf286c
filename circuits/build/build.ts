/**
 * Builds circuits and their development keys into the cache, or finds them there. Called by the devnet, the
 * `circuits` commands and tests. Whether a chain may use such keys is genesis' question, not this one's.
 */

import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { type Circuit, catalogue, circuitOf } from "../catalogue.ts";
import { parseVerificationKey, type VerificationKey, vkHash } from "../verification-key.ts";
import {
  acquireLock,
  defaultCacheDir,
  entryFolder,
  FILES,
  type Manifest,
  makeWorkFolder,
  readEntry,
  writeEntry,
} from "./cache.ts";
import { hashOfSources, sourcesOf, writeSources } from "./compile.ts";
import { type BuilderPool, createBuilderPool } from "./pool.ts";
import { readR1cs } from "./r1cs.ts";
import { developmentSetup, type Multiply } from "./setup.ts";
import { SCALAR_BYTES } from "./zkey.ts";

export type BuiltCircuit = {
  readonly shapeId: string;
  /** SHA-256 of sources, compiler and options: which circuit this is. */
  readonly hash: string;
  readonly r1csPath: string;
  readonly wasmPath: string;
  readonly zkeyPath: string;
  readonly vkPath: string;
  readonly verificationKey: VerificationKey;
  /** SHA-256 of the verification key's canonical bytes, hex. */
  readonly vkHash: string;
  readonly constraints: number;
};

export type BuildProgress = {
  readonly shapeId: string;
  readonly phase: "compile" | "setup" | "write";
  /** 0 to 100 within the phase. The compiler tells nothing, so its part is an estimate. */
  readonly percent: number;
};

export type BuildOptions = {
  /** Ids of the shapes to build; all of the catalogue if absent. */
  readonly shapes?: readonly string[];
  /** Default: `$ZKP_CACHE_DIR`, else `.cache/circuits` in the project. */
  readonly cacheDir?: string;
  /** Not called for what is found in the cache. */
  readonly onProgress?: (progress: BuildProgress) => void;
};

/** Scalars a thread multiplies at once: small enough to share work evenly, big enough to be worth a message. */
const MULTIPLY_CHUNK = 2048;
const COMPILE_ESTIMATE_MS = 7_000;
const COMPILE_TICK_MS = 250;

/** @throws `circuit/unknown`, `circuit/build-failed` */
export async function buildCircuits(options: BuildOptions = {}): Promise<Map<string, BuiltCircuit>> {
  const { shapes, cacheDir = defaultCacheDir(), onProgress = () => undefined } = options;
  const circuits = shapes === undefined ? catalogue() : shapes.map(circuitOf);
  await mkdir(cacheDir, { recursive: true });
  const pool = createBuilderPool();
  try {
    const results = await Promise.allSettled(
      circuits.map((circuit) => buildOne(circuit, cacheDir, pool, onProgress)),
    );
    const built = new Map<string, BuiltCircuit>();
    for (const result of results) {
      if (result.status === "rejected") throw result.reason;
      built.set(result.value.shapeId, result.value);
    }
    return built;
  } finally {
    await pool.stop();
  }
}

/** One circuit of {@link buildCircuits}. */
export async function buildCircuit(
  shapeId: string,
  options: Omit<BuildOptions, "shapes"> = {},
): Promise<BuiltCircuit> {
  const built = (await buildCircuits({ ...options, shapes: [shapeId] })).get(shapeId);
  invariant(built !== undefined, "the shape that was asked for is built");
  return built;
}

async function buildOne(
  circuit: Circuit,
  cacheDir: string,
  pool: BuilderPool,
  onProgress: (progress: BuildProgress) => void,
): Promise<BuiltCircuit> {
  const sources = await sourcesOf(circuit.source);
  const hash = hashOfSources(sources);
  const folder = entryFolder(cacheDir, circuit.id, hash);
  const found = await readEntry(folder, hash);
  if (found !== undefined) return openEntry(folder, found);

  const release = await acquireLock(folder);
  const work = await makeWorkFolder(cacheDir);
  try {
    const meanwhile = await readEntry(folder, hash);
    if (meanwhile !== undefined) return await openEntry(folder, meanwhile);
    const report = (phase: BuildProgress["phase"], percent: number): void =>
      onProgress({ shapeId: circuit.id, phase, percent });

    const { r1csPath, wasmPath } = await writeSources(join(work, "source"), sources);
    await withTicks(
      (percent) => report("compile", percent),
      () => pool.run({ kind: "compile", shapeId: circuit.id, folder: join(work, "source") }),
    );
    const r1cs = await readFile(r1csPath);
    const keys = await developmentSetup(r1cs, spreadOver(pool), (percent) => report("setup", percent));

    report("write", 0);
    await copyFile(r1csPath, join(work, FILES.r1cs));
    await copyFile(wasmPath, join(work, FILES.wasm));
    await writeFile(join(work, FILES.zkey), keys.zkey);
    await writeFile(join(work, FILES.verificationKey), `${JSON.stringify(keys.verificationKey, null, 1)}\n`);
    await rm(join(work, "source"), { recursive: true });
    const { constraints } = readR1cs(r1cs);
    const about = { shapeId: circuit.id, hash, constraints, vkHash: vkHash(keys.verificationKey) };
    await writeEntry(work, folder, about);
    report("write", 100);
    const written = await readEntry(folder, hash);
    if (written === undefined) throw new FaultError("circuit/build-failed", { shape: circuit.id, folder });
    return await openEntry(folder, written);
  } finally {
    await rm(work, { recursive: true, force: true });
    await release();
  }
}

async function openEntry(folder: string, manifest: Manifest): Promise<BuiltCircuit> {
  const vkPath = join(folder, FILES.verificationKey);
  return {
    shapeId: manifest.shapeId,
    hash: manifest.hash,
    r1csPath: join(folder, FILES.r1cs),
    wasmPath: join(folder, FILES.wasm),
    zkeyPath: join(folder, FILES.zkey),
    vkPath,
    verificationKey: parseVerificationKey(JSON.parse(await readFile(vkPath, "utf8"))),
    vkHash: manifest.vkHash,
    constraints: manifest.constraints,
  };
}

/** Cuts a multiplication into chunks for all threads and joins their points. */
export function spreadOver(pool: BuilderPool): Multiply {
  return async (group, scalars) => {
    const chunks: Promise<Uint8Array>[] = [];
    for (let at = 0; at < scalars.length; at += MULTIPLY_CHUNK * SCALAR_BYTES) {
      const part = scalars.slice(at, at + MULTIPLY_CHUNK * SCALAR_BYTES);
      chunks.push(
        pool.run({ kind: "multiply", group, scalars: part }).then((points) => {
          invariant(points !== undefined, "a multiplication returns points");
          return points;
        }),
      );
    }
    return Buffer.concat(await Promise.all(chunks));
  };
}

/** Reports an estimate of the percentage while `run` runs, and 100 at its end. */
async function withTicks(report: (percent: number) => void, run: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  report(0);
  const timer = setInterval(
    () => report(Math.min(95, Math.floor((100 * (performance.now() - start)) / COMPILE_ESTIMATE_MS))),
    COMPILE_TICK_MS,
  );
  try {
    await run();
    report(100);
  } finally {
    clearInterval(timer);
  }
}
