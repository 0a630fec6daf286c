/**
 * `npm run sim -- --seeds N [--scenario NAME,…] [--seed S] [--jobs J] [--json]` runs scenarios and
 * prints, for each violation, the one command that replays it. Slow ones run a fifth of the seeds; each
 * scenario has a process, as many at a time as there are cores.
 * `npm run sim -- --mutants [--json]` deletes one rule after the other and says what caught it.
 *
 * With --json, standard output has one object: `{runs, violations, scenarios}`, violations a count; if
 * there are any, `failures` lists them.
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { z } from "zod";
import { MUTANTS, violationOf } from "./mutants.ts";
import { median, type RunResult, runScenario, type Scenario } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    seed: { type: "string" },
    scenario: { type: "string" },
    jobs: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    /** Stops at the first violation; one process. */
    first: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
  },
});

/** Null, in JSON, if nothing became final. */
const Delta = z.number().nullable();
const Line = z.object({ runs: z.number(), p50FinalityDelta: Delta, p50IntervalDelta: Delta });
const Failure = z.object({ scenario: z.string(), seed: z.number(), what: z.string(), replay: z.string() });
const Result = z.object({
  runs: z.number(),
  violations: z.number(),
  scenarios: z.record(z.string(), Line),
  failures: z.array(Failure).optional(),
});
type Result = z.infer<typeof Result>;

const round = (value: number): number => Math.round(value * 100) / 100;

function seedsOf(scenario: Scenario): number[] {
  if (values.seed !== undefined) return [Number(values.seed)];
  const count = scenario.slow === true ? Math.ceil(Number(values.seeds) / 5) : Number(values.seeds);
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** One scenario, here. */
function runHere(name: string, scenario: Scenario): Result {
  const results: RunResult[] = [];
  const failures: z.infer<typeof Failure>[] = [];
  for (const seed of seedsOf(scenario)) {
    const result = runScenario(scenario, seed);
    results.push(result);
    for (const what of result.violations) {
      const replay = `npm run sim -- --scenario ${name} --seed ${seed}`;
      failures.push({ scenario: name, seed, what, replay });
      console.error(`${name}, seed ${seed}: ${what}\n  ${replay}`);
    }
    if (values.first && failures.length > 0) break;
  }
  const runs = results.length;
  const p50FinalityDelta = round(median(results.map((it) => it.finalityDelta)));
  const p50IntervalDelta = round(median(results.map((it) => it.intervalDelta)));
  const scenarios = { [name]: { runs, p50FinalityDelta, p50IntervalDelta } };
  return { runs, violations: failures.length, scenarios, ...(failures.length > 0 ? { failures } : {}) };
}

/** One scenario, in a process of its own. */
async function runApart(name: string): Promise<Result> {
  const seeds = values.seed === undefined ? ["--seeds", values.seeds] : ["--seed", values.seed];
  const args = [import.meta.filename, "--jobs", "1", "--json", "--scenario", name, ...seeds];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  child.on("error", reject).on("close", () => resolve());
  await promise;
  return Result.parse(JSON.parse(text));
}

/** All scenarios, `jobs` at a time; in the order of the names. */
async function runAll(names: readonly string[], jobs: number): Promise<readonly Result[]> {
  const results = new Map<string, Result>();
  const queue = [...names];
  const work = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const scenario = SCENARIOS[name];
      if (scenario === undefined) continue;
      const startedMs = performance.now();
      const result = jobs > 1 ? await runApart(name) : runHere(name, scenario);
      results.set(name, result);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const line = result.scenarios[name];
      if (!values.json && line !== undefined) {
        const { runs, p50FinalityDelta, p50IntervalDelta } = line;
        console.log(
          `${name.padEnd(29)} ${runs} runs, finality ${p50FinalityDelta} δ, interval ${p50IntervalDelta} δ, ${seconds} s`,
        );
      }
      if (values.first && result.violations > 0) return;
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return names.flatMap((name) => results.get(name) ?? []);
}

async function runScenarios(): Promise<void> {
  const names = values.scenario === undefined ? Object.keys(SCENARIOS) : values.scenario.split(",");
  const unknown = names.find((name) => SCENARIOS[name] === undefined);
  if (unknown !== undefined) {
    console.error(`There is no scenario "${unknown}". There are: ${Object.keys(SCENARIOS).join(", ")}.`);
    process.exitCode = 2;
    return;
  }
  const jobs = values.first || names.length === 1 ? 1 : Math.max(1, Number(values.jobs));
  const results = await runAll(names, jobs);
  const runs = results.reduce((sum, it) => sum + it.runs, 0);
  const failures = results.flatMap((it) => it.failures ?? []);
  const violations = failures.length;
  const scenarios = Object.assign({}, ...results.map((it) => it.scenarios)) as Result["scenarios"];
  const all: Result = { runs, violations, scenarios, ...(violations > 0 ? { failures } : {}) };
  if (values.json) console.log(JSON.stringify(all, null, 2));
  else console.log(`${runs} runs, ${violations} violations`);
  if (violations > 0) process.exitCode = 1;
}

async function runMutants(): Promise<void> {
  const mutants: { rule: string; caught: boolean; by: string | null }[] = [];
  for (const mutant of MUTANTS) {
    const by = await violationOf(mutant, mutant.scenarios);
    mutants.push({ rule: mutant.rule, caught: by !== undefined, by: by ?? null });
    if (!values.json)
      console.log(`without ${mutant.rule}: ${by === undefined ? "NOT CAUGHT" : `caught, ${by}`}`);
  }
  const caught = mutants.filter((it) => it.caught).length;
  if (values.json) console.log(JSON.stringify({ mutants }, null, 2));
  else console.log(`${caught} of ${mutants.length} caught`);
  if (caught < mutants.length) process.exitCode = 1;
}

if (values.mutants) await runMutants();
else await runScenarios();
