/**
 * The mutation check: with a rule deleted, the simulator must find a violation. A mutant is a copy
 * of the engine in a temporary folder with one line changed, so that production has no switches. Used
 * by main.ts and mutants.test.ts.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Mutant = {
  readonly rule: string;
  readonly file: string;
  /** The text that is replaced, once. */
  readonly from: string;
  readonly to: string;
  readonly scenarios: string;
};

const RULES = "consensus/engine/rules.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    rule: "N2, one notarize a view",
    file: RULES,
    from: "if (own.notarize !== undefined || own.finalize !== undefined) return false;",
    to: "",
    scenarios: "equivocator-and-crashes",
  },
  {
    rule: "N2, no notarize after nullify",
    file: RULES,
    from: "if (own.nullify) return false; // N2",
    to: "//",
    scenarios: "bursts,slow-and-lossy-links",
  },
  {
    rule: "N4, a nullification for every skipped view",
    file: "consensus/engine/proposals.ts",
    from: "const [first] = missing;",
    to: "const first: View | undefined = missing.length > 1e9 ? missing[0] : undefined;",
    scenarios: "skipper",
  },
  {
    rule: "L, no nullify after finalize",
    file: RULES,
    from: "if (own.finalize !== undefined) return false; // L",
    to: "//",
    scenarios: "crash-forgets-certificates",
  },
  {
    rule: "L, own nullify again while stuck",
    file: "consensus/engine/timers.ts",
    from: "repeatVotes(core, core.view, [VoteKind.nullify, VoteKind.finalize]);",
    to: "void repeatVotes; void VoteKind;",
    scenarios: "partition-and-heal,slow-and-lossy-links",
  },
  {
    rule: "F3, no finalize after nullify",
    file: RULES,
    from: "if (own.nullify) return false; // F3",
    to: "//",
    scenarios: "bursts,slow-and-lossy-links",
  },
  {
    rule: "F4, no finalize of another block",
    file: RULES,
    from: "if (own.notarize !== undefined && !sameNotarize(own.notarize, notarized)) return false;",
    to: "void sameNotarize;",
    scenarios: "equivocating-proposer,equivocator-and-crashes",
  },
  {
    rule: "flags are restored",
    file: "consensus/engine/engine.ts",
    from: "if (subject.kind === VoteKind.nullify) state.own.nullify = true;",
    to: "if (subject.kind === VoteKind.nullify) state.own.nullify = false;",
    scenarios: "crash-forgets-certificates,crash-matrix,crash-restart",
  },
  {
    rule: "flags are restored, the notarized block too",
    file: "consensus/engine/engine.ts",
    from: "else state.own.notarize = subject;",
    to: "",
    scenarios: "equivocator-and-crashes,crash-matrix",
  },
  {
    rule: "P, the gap check: a proposer has a nullification of every view it skips",
    file: "consensus/engine/proposing.ts",
    from: "const [first] = missing;",
    to: "const first: View | undefined = missing.length > 1e9 ? missing[0] : undefined;",
    scenarios: "crash-forgets-certificates,split-views,slow-and-lossy-links",
  },
  {
    rule: "N6, the sync before publish",
    file: "test/sim/effects.ts",
    from: "for (const write of writes) write(machine.disk);",
    to: "later(machine, world.nowMs + syncMs, () => writes.forEach((write) => write(machine.disk)));",
    scenarios: "crash-matrix,crash-between-effects",
  },
  {
    rule: "the quorum's rounding: down instead of up",
    file: "consensus/types/validator-set.ts",
    from: "totalWeight - (totalWeight - 1n) / 3n",
    to: "(2n * totalWeight) / 3n",
    scenarios: "equivocating-proposer,twins,partition-and-heal",
  },
];

const ROOT = join(import.meta.dirname, "../..");
const COPIED = ["consensus/engine", "consensus/primitives", "consensus/types", "test/sim", "package.json"];
const SEEDS = 40;
const TIMEOUT_MS = 240_000;

/** A copy of what the simulator needs, with the mutant's line changed. */
function copyWith(mutant: Mutant | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "zkp-mutant-"));
  for (const part of COPIED) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  if (mutant === undefined) return folder;
  const path = join(folder, mutant.file);
  const text = readFileSync(path, "utf8");
  const times = text.split(mutant.from).length - 1;
  if (times !== 1) throw new Error(`"${mutant.from}" is in ${mutant.file} ${times} times`);
  writeFileSync(path, text.replace(mutant.from, mutant.to));
  return folder;
}

/** The first violation that the simulator prints, with the run that shows it; undefined if there is none. */
export async function violationOf(
  mutant: Mutant | undefined,
  scenarios: string,
  seeds = SEEDS,
): Promise<string | undefined> {
  const folder = copyWith(mutant);
  try {
    const main = join(folder, "test/sim/main.ts");
    const args = [main, "--first", "--seeds", String(seeds), "--scenario", scenarios];
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    const child = spawn(process.execPath, args, { timeout: TIMEOUT_MS, stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => (text += String(chunk)));
    child.on("error", reject).on("close", resolve);
    const status = await promise;
    if (text.includes("npm run sim -- --scenario")) return text.split("\n")[0];
    // A mutant that merely crashes or hangs shows nothing.
    if (status !== 0) throw new Error(`${mutant?.rule ?? "unchanged"}: ${status} ${text.slice(0, 2000)}`);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
