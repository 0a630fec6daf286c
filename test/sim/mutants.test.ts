/**
 * The mutation check: with a rule deleted, the simulator must find a violation. A mutant is a copy
 * of the engine in a temporary folder with one line changed, so that production has no switches.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

type Mutant = {
  readonly rule: string;
  readonly file: string;
  /** The text that is replaced, once. */
  readonly from: string;
  readonly to: string;
  readonly scenarios: string;
};

const RULES = "consensus/engine/rules.ts";

const MUTANTS: readonly Mutant[] = [
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
    rule: "the quorum",
    file: "consensus/types/validator-set.ts",
    from: "totalWeight - (totalWeight - 1n) / 3n",
    to: "totalWeight / 2n",
    scenarios: "equivocating-proposer,twins,partition-and-heal",
  },
];

const ROOT = join(import.meta.dirname, "../..");
const SEEDS = "40";

/** Whether a violation was printed; a mutant that merely crashes or hangs shows nothing. */
function findsViolation(mutant: Mutant | undefined, scenarios: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), "zkp-mutant-"));
  try {
    for (const part of [
      "consensus/engine",
      "consensus/primitives",
      "consensus/types",
      "test/sim",
      "package.json",
    ]) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    if (mutant !== undefined) {
      const path = join(folder, mutant.file);
      const text = readFileSync(path, "utf8");
      assert.equal(text.split(mutant.from).length, 2, `"${mutant.from}" is in ${mutant.file} once`);
      writeFileSync(path, text.replace(mutant.from, mutant.to));
    }
    const seeds = mutant === undefined ? "2" : SEEDS;
    const main = join(folder, "test/sim/main.ts");
    const args = [main, "--first", "--seeds", seeds, "--scenario", scenarios];
    const { stderr, status } = spawnSync(process.execPath, args, { timeout: 120_000, encoding: "utf8" });
    const found = stderr.includes("npm run sim -- --scenario");
    assert.ok(found || status === 0, stderr.slice(0, 2000));
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the unchanged engine passes where the mutants fail", () => {
  const scenarios = new Set(MUTANTS.flatMap((it) => it.scenarios.split(",")));
  assert.equal(findsViolation(undefined, [...scenarios].join(",")), false);
});

for (const mutant of MUTANTS) {
  test(`without rule ${mutant.rule}, the simulator finds a violation`, () => {
    assert.equal(findsViolation(mutant, mutant.scenarios), true);
  });
}
