/**
 * `npm run sim -- --seeds N [--scenario NAME] [--seed S] [--json]`: runs scenarios and prints, for
 * each violation, the one command that replays it.
 */
import { parseArgs } from "node:util";
import { median, type RunResult, runScenario } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10" },
    seed: { type: "string" },
    scenario: { type: "string" },
    json: { type: "boolean", default: false },
    /** Stops at the first violation. */
    first: { type: "boolean", default: false },
  },
});

const names = values.scenario === undefined ? Object.keys(SCENARIOS) : values.scenario.split(",");
const seeds =
  values.seed === undefined
    ? Array.from({ length: Number(values.seeds) }, (_, i) => i + 1)
    : [Number(values.seed)];

type Line = { runs: number; p50FinalityDelta: number; p50IntervalDelta: number };
const scenarios: Record<string, Line> = {};
const violations: { scenario: string; seed: number; what: string; replay: string }[] = [];

for (const name of names) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) {
    console.error(`There is no scenario "${name}". There are: ${Object.keys(SCENARIOS).join(", ")}.`);
    process.exit(2);
  }
  const startedMs = performance.now();
  const results: RunResult[] = [];
  for (const seed of seeds) {
    const result = runScenario(scenario, seed);
    results.push(result);
    for (const what of result.violations) {
      const replay = `npm run sim -- --scenario ${name} --seed ${seed}`;
      violations.push({ scenario: name, seed, what, replay });
      console.error(`${name}, seed ${seed}: ${what}\n  ${replay}`);
    }
    if (values.first && violations.length > 0) process.exit(1);
  }
  const round = (value: number): number => Math.round(value * 100) / 100;
  const p50FinalityDelta = round(median(results.map((it) => it.finalityDelta)));
  const p50IntervalDelta = round(median(results.map((it) => it.intervalDelta)));
  scenarios[name] = { runs: results.length, p50FinalityDelta, p50IntervalDelta };
  if (!values.json) {
    const views = results.reduce((sum, it) => sum + it.views, 0);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(
      `${name.padEnd(26)} ${results.length} runs, ${views} views, finality ${p50FinalityDelta} δ, interval ${p50IntervalDelta} δ, ${seconds} s`,
    );
  }
}

const runs = names.length * seeds.length;
if (values.json) console.log(JSON.stringify({ runs, violations, scenarios }, null, 2));
else console.log(`${runs} runs, ${violations.length} violations`);
if (violations.length > 0) process.exitCode = 1;
