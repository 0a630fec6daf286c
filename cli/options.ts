/** Options that many commands share, and how their values are read. */
import type { Command } from "commander";
import { FaultError } from "../consensus/primitives/faults.ts";

export type Globals = { readonly json: boolean; readonly verbose: boolean; readonly rpc: string };

/** Global options wherever they stand: before the noun or after the verb. */
export function globalsOf(command: Command): Globals {
  const { json, verbose, rpc } = command.optsWithGlobals<Globals>();
  return { json, verbose, rpc };
}

/** "90s", "3m", "1500ms" or "90" (seconds) in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,7})(ms|s|m|h)?$/.exec(text);
  if (match === null)
    throw new FaultError("config/usage", { found: text, expected: "a duration such as 90s or 3m" });
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"] ?? 1_000;
  return Number(match[1]) * unit;
}

export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new FaultError("config/usage", { found: text, expected: "a natural number" });
  return Number(text);
}

/** A document for stdout: JSON with --json, else what `text` makes of it. */
export function print(globals: Globals, value: unknown, text: () => string): void {
  process.stdout.write(`${globals.json ? JSON.stringify(value) : text()}\n`);
}
