/**
 * The folder a devnet runs in: a new chain, or the kept one if it is what was asked for. Called when a
 * devnet starts, before ports and processes.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type BuildProgress, buildCircuit } from "../circuits/build/build.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { setPodKeys } from "../pod/folder.ts";
import { checkUnlocked, type DevnetFile, readDevnet } from "./folder.ts";
import { type ChainOptions, DEFAULTS } from "./options.ts";
import { createFolder, draftOf, storedOptions } from "./plan.ts";

export type PrepareOptions = {
  /** Wipes the chain in the folder first. */
  readonly fresh?: boolean | undefined;
  readonly cacheDir?: string | undefined;
};
export type PrepareEvent =
  | { readonly kind: "building"; readonly progress: BuildProgress }
  /** The keys are there: from here to the first block should take 5 s. */
  | { readonly kind: "built"; readonly shape: string; readonly elapsedMs: number };

export type Prepared = {
  readonly file: DevnetFile;
  /** When keys were there, and when the folder was. */
  readonly builtMs: { readonly built: number; readonly since: number };
};

/** The folder with a chain in it: the one that is kept there, or a new one. */
export async function prepare(
  dir: string,
  options: ChainOptions,
  { fresh, cacheDir }: PrepareOptions,
  onEvent: (event: PrepareEvent) => void,
): Promise<Prepared> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let kept = await readDevnet(dir);
  if (kept !== undefined) checkUnlocked(dir, kept);
  if (fresh === true) {
    await wipe(dir, kept !== undefined);
    kept = undefined;
  }
  if (kept !== undefined) checkAgreement(kept, options);
  const draft = kept === undefined ? await draftOf(options) : undefined;
  const began = Date.now();
  const circuit = await buildCircuit(draft?.shape.id ?? kept?.task.shape ?? "", {
    ...(cacheDir === undefined ? {} : { cacheDir }),
    onProgress: (progress) => onEvent({ kind: "building", progress }),
  });
  const built = Date.now();
  onEvent({ kind: "built", shape: circuit.shapeId, elapsedMs: built - began });
  if (kept !== undefined) {
    for (const pod of kept.pods)
      await setPodKeys(pod.dir, { wasm: circuit.wasmPath, zkey: circuit.zkeyPath });
  }
  const file =
    kept ??
    (draft === undefined
      ? undefined
      : await createFolder({ dir, options, draft, circuit, timeMs: Date.now() }));
  if (file === undefined) throw new FaultError("config/invalid", { dir, problem: "holds no devnet" });
  return { file, builtMs: { built, since: Date.now() } };
}

/** Only what is a devnet, or empty, is wiped: a wrong --dir must not cost anybody's files. */
async function wipe(dir: string, isDevnet: boolean): Promise<void> {
  const entries = await readdir(dir);
  if (!isDevnet && entries.length > 0) {
    throw new FaultError("config/invalid", {
      option: "--fresh",
      dir,
      problem: "is not empty and holds no devnet.json",
    });
  }
  for (const entry of entries) await rm(join(dir, entry), { recursive: true, force: true });
}

const FLAGS: Readonly<Record<string, string>> = { table: "--data", blockIntervalMs: "--block-interval" };

/** What is asked for must be what the kept chain was made with; nothing is ignored in silence. */
function checkAgreement(kept: DevnetFile, options: ChainOptions): void {
  for (const [name, value] of Object.entries(storedOptions(options))) {
    const before = kept.options[name] ?? (DEFAULTS as Readonly<Record<string, number>>)[name];
    if (JSON.stringify(value) === JSON.stringify(before)) continue;
    throw new FaultError("config/invalid", {
      option: FLAGS[name] ?? `--${name}`,
      found: JSON.stringify(value),
      kept: JSON.stringify(before) ?? "none",
      remedy: "leave the option out, or start anew with --fresh",
    });
  }
}
