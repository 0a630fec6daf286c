/**
 * Built circuits on disk, one folder each by content hash. Called by build.ts.
 *
 * An entry is written beside its place and renamed into it, so it is there whole or not at all, whoever else
 * builds. It carries a manifest with every file's length and SHA-256; an entry that does not match is
 * dropped and built again. A lock file spares a second process the same work; it is a courtesy, not what
 * keeps entries whole.
 */

import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const FILES = {
  r1cs: "circuit.r1cs",
  wasm: "circuit.wasm",
  zkey: "circuit.zkey",
  verificationKey: "verification_key.json",
} as const;
const MANIFEST = "manifest.json";
const WORK = ".work-";
const WORK_STALE_MS = 3_600_000;
const LOCK_STALE_MS = 60_000;
const LOCK_TOUCH_MS = 10_000;
const LOCK_POLL_MS = 200;

export type Manifest = {
  readonly shapeId: string;
  /** The entry's content hash. */
  readonly hash: string;
  readonly constraints: number;
  readonly vkHash: string;
  /** File → its length in bytes and SHA-256. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
};

/** `$ZKP_CACHE_DIR`, else `.cache/circuits` beside this project's package.json. */
export function defaultCacheDir(): string {
  return process.env.ZKP_CACHE_DIR ?? fileURLToPath(new URL("../../.cache/circuits", import.meta.url));
}

export function entryFolder(cacheDir: string, shapeId: string, hash: string): string {
  return join(cacheDir, `${shapeId}-${hash.slice(0, 32)}`);
}

async function describe(path: string): Promise<{ bytes: number; sha256: string }> {
  const data = await readFile(path);
  return { bytes: data.length, sha256: createHash("sha256").update(data).digest("hex") };
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== "object" || value === null) return false;
  const { shapeId, hash, constraints, vkHash, files } = value as Partial<Record<keyof Manifest, unknown>>;
  return (
    typeof shapeId === "string" &&
    typeof hash === "string" &&
    typeof constraints === "number" &&
    typeof vkHash === "string" &&
    typeof files === "object" &&
    files !== null
  );
}

/** The entry's manifest, if the entry is there and every file is what the manifest says. About 2 ms a MB. */
export async function readEntry(folder: string, hash: string): Promise<Manifest | undefined> {
  try {
    const manifest: unknown = JSON.parse(await readFile(join(folder, MANIFEST), "utf8"));
    if (!isManifest(manifest) || manifest.hash !== hash) return undefined;
    for (const name of Object.values(FILES)) {
      const expected = manifest.files[name];
      const found = await describe(join(folder, name));
      if (expected?.bytes !== found.bytes || expected.sha256 !== found.sha256) return undefined;
    }
    return manifest;
  } catch {
    // Missing, unreadable or not JSON: all the same, there is no entry to use.
    return undefined;
  }
}

/** A folder on the cache's own disk to build in. What killed builds left behind long ago goes first. */
export async function makeWorkFolder(cacheDir: string): Promise<string> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith(WORK)) continue;
    const left = join(cacheDir, name);
    const age = await stat(left).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > WORK_STALE_MS) await rm(left, { recursive: true, force: true });
  }
  const folder = join(cacheDir, `${WORK}${process.pid}-${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Completes `work`, which holds all {@link FILES}, with a manifest and moves it into place. */
export async function writeEntry(
  work: string,
  folder: string,
  about: Omit<Manifest, "files">,
): Promise<void> {
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const name of Object.values(FILES)) files[name] = await describe(join(work, name));
  await writeFile(join(work, MANIFEST), `${JSON.stringify({ ...about, files }, null, 2)}\n`);
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(work, folder);
      return;
    } catch (error) {
      // Somebody was faster, or what is there is damaged.
      if ((await readEntry(folder, about.hash)) !== undefined) return;
      if (attempt === 3) throw error;
      // If it can't be moved, the next attempt fails too, and the last one says why.
      await rename(folder, `${work}-damaged`).catch(() => undefined);
      await rm(`${work}-damaged`, { recursive: true, force: true });
    }
  }
}

/** Waits while another process holds the lock; takes it over when its holder has died. */
export async function acquireLock(folder: string): Promise<() => Promise<void>> {
  const path = `${folder}.lock`;
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      if (await lockIsStale(path)) await rm(path, { force: true });
      else await sleep(LOCK_POLL_MS);
    }
  }
  const touch = setInterval(() => {
    const now = new Date();
    // A lock that somebody removed is not ours to make again; the build goes on, and renaming settles who wins.
    utimes(path, now, now).catch(() => undefined);
  }, LOCK_TOUCH_MS);
  touch.unref();
  return async () => {
    clearInterval(touch);
    await rm(path, { force: true });
  };
}

async function lockIsStale(path: string): Promise<boolean> {
  try {
    const holder = Number(await readFile(path, "utf8"));
    if (Date.now() - (await stat(path)).mtimeMs > LOCK_STALE_MS) return true;
    return holder > 0 && !isAlive(holder);
  } catch {
    return false; // released meanwhile: try to take it
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
