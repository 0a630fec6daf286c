/**
 * Compiles a circuit of the catalogue with circom2 (circom 2.2.3 as WebAssembly). Called by build.ts, and by
 * the builder's thread for the compiling itself, which blocks for 6 to 9 s.
 *
 * circom2 sees only its working folder and below, so every source that a circuit includes is copied there,
 * circomlib's too. The same files, with the compiler's version and options, make the circuit's hash.
 */

import * as fs from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, posix } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";

const MAIN = "main.circom";
const OPTIONS = ["--r1cs", "--wasm", "--O2", "-l", "."];
/** Part of every hash: raise it when the set-up or the layout of a built circuit changes. */
const BUILD_FORMAT = "zkp-circuit-build-1";

const require = createRequire(import.meta.url);
const circuitsFolder = new URL("..", import.meta.url);

/** Path inside the working folder → text. */
export type Sources = ReadonlyMap<string, string>;

/** The main component and everything it includes, in the order of discovery. */
export async function sourcesOf(main: string): Promise<Sources> {
  const sources = new Map([[MAIN, main]]);
  const open = [MAIN];
  for (let path = open.shift(); path !== undefined; path = open.shift()) {
    for (const [, target] of (sources.get(path) ?? "").matchAll(/^\s*include\s+"([^"]+)"/gm)) {
      invariant(target !== undefined, "the pattern has one group");
      // "circomlib/…" is found from the folder's top (option -l), anything else from the including file.
      const found = target.startsWith("circomlib/") ? target : posix.join(posix.dirname(path), target);
      if (sources.has(found)) continue;
      const file = found.startsWith("circomlib/") ? require.resolve(found) : new URL(found, circuitsFolder);
      sources.set(found, await readFile(file, "utf8"));
      open.push(found);
    }
  }
  return sources;
}

function compilerVersion(): string {
  const manifest: unknown = require("circom2/package.json");
  invariant(
    typeof manifest === "object" && manifest !== null && "version" in manifest,
    "circom2 has a version",
  );
  return String(manifest.version);
}

/** SHA-256 in hex of sources, compiler version and options: the name of what they are compiled to. */
export function hashOfSources(sources: Sources): string {
  const parts = [BUILD_FORMAT, compilerVersion(), ...OPTIONS];
  for (const path of [...sources.keys()].sort()) parts.push(path, sources.get(path) ?? "");
  // Each part by its own hash, so that no two lists of parts can have the same text.
  return bytesToHex(sha256(utf8ToBytes(parts.map((part) => bytesToHex(sha256(utf8ToBytes(part)))).join())));
}

/** Writes the sources into an empty folder and says where the compiler will put its output. */
export async function writeSources(
  folder: string,
  sources: Sources,
): Promise<{ r1csPath: string; wasmPath: string }> {
  for (const [path, text] of sources) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const name = MAIN.replace(".circom", "");
  return { r1csPath: join(folder, `${name}.r1cs`), wasmPath: join(folder, `${name}_js`, `${name}.wasm`) };
}

export type CompileRequest = { readonly shapeId: string; readonly folder: string };

/** Compiles the sources in `folder`, in the builder's thread. @throws `circuit/build-failed` */
export async function compileInThread({ shapeId, folder }: CompileRequest): Promise<void> {
  const { CircomRunner, bindings } = await import("circom2");
  const output: string[] = [];
  // WASI's streams 1 and 2 are ours: the compiler's words belong into an error, not on a terminal.
  const writeSync = (fd: number, buffer: Uint8Array, ...rest: [number?, number?, number?]): number => {
    if (fd !== 1 && fd !== 2) return fs.writeSync(fd, buffer, ...rest);
    const [offset = 0, length = buffer.length - offset] = rest;
    output.push(Buffer.from(buffer.subarray(offset, offset + length)).toString());
    return length;
  };
  const circom = new CircomRunner({
    args: [MAIN, ...OPTIONS, "-o", "."],
    env: {},
    preopens: { ".": folder },
    bindings: { ...bindings, fs: { ...fs, writeSync } },
  });
  try {
    await circom.execute(await readFile(require.resolve("circom2/circom.wasm")));
  } catch (error) {
    throw new FaultError("circuit/build-failed", { shape: shapeId, compiler: lastWords(output) }, error);
  }
}

/** The compiler's output without colours, from its first error on, cut to what one can read. */
function lastWords(output: readonly string[]): string {
  const text = stripVTControlCharacters(output.join(""));
  const start = text.indexOf("error");
  return text.slice(Math.max(0, start)).trim().slice(0, 2000);
}
