/**
 * The economics simulator: `npm run simulate -- [--scenario NAME] [--years 8] [--csv | --json] [--data FILE]`.
 * Drives the chain's own operations and settlements (world.ts) and prints who earned what. What it shows is in
 * docs/economics.md.
 */
import { parseArgs } from "node:util";
import { simulateRules } from "./rules.ts";
import { findWdbc, wdbcAttacks } from "./wdbc.ts";
import { simulateYears } from "./years.ts";

const SCENARIOS = {
  population: "years of epochs with honest pods, liars, sponsors and a censor; who gained what",
  rules: "the failures that rules exist for, with each rule off and on",
  "wdbc-attacks": "attacks on the score, on real rows; --data FILE, mean of eight dealings",
} as const;
type Scenario = keyof typeof SCENARIOS;

type Cell = string | number;
type Table = readonly Readonly<Record<string, Cell>>[];

const { values: options } = parseArgs({
  options: {
    scenario: { type: "string", default: "population" },
    years: { type: "string", default: "8" },
    "epoch-hours": { type: "string", default: "24" },
    data: { type: "string" },
    csv: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function help(): string {
  const lines = Object.entries(SCENARIOS).map(([name, what]) => `  ${name.padEnd(14)} ${what}`);
  return `npm run simulate -- --scenario NAME [--years 8] [--epoch-hours 24] [--data FILE] [--csv | --json]\n\n${lines.join("\n")}\n`;
}

function print(table: Table, title: string): void {
  if (options.json) process.stdout.write(`${JSON.stringify({ scenario: title, rows: table })}\n`);
  else if (options.csv) {
    const quote = (cell: Cell): string => (/[",\n]/.test(String(cell)) ? JSON.stringify(cell) : String(cell));
    const [first = {}] = table;
    const lines = [Object.keys(first), ...table.map((row) => Object.values(row).map(quote))];
    process.stdout.write(`${lines.map((cells) => cells.join(",")).join("\n")}\n`);
  } else process.stdout.write(`${title}\n${pretty(table)}\n`);
}

function pretty(table: Table): string {
  const [first = {}] = table;
  const names = Object.keys(first);
  const widths = names.map((name) =>
    Math.max(name.length, ...table.map((row) => String(row[name] ?? "").length)),
  );
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, i) =>
        typeof cell === "number" ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(names), ...table.map((row) => line(Object.values(row)))].join("\n");
}

function natural(text: string, name: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1_000) return value;
  process.stderr.write(`--${name} is a natural number from 1\n`);
  process.exit(2);
}

const DEALINGS = 8;

/** Sums over dealings of the rows; a share is the mean of the shares. */
function meanOfDealings(file: string): Table {
  const runs = Array.from({ length: DEALINGS }, (_, i) => wdbcAttacks(file, i + 1, "warm"));
  return (runs[0] ?? []).map((row, i) => {
    const same = runs.map((run) => run[i] ?? row);
    const sum = (of: (it: typeof row) => number): number => same.reduce((total, it) => total + of(it), 0);
    return {
      pod: row.pod,
      "share %": Math.round((sum(({ share }) => share) * 10) / DEALINGS) / 10,
      "most %": Math.max(...same.map(({ share }) => share)),
      "paid rounds of 40": sum(({ rounds }) => rounds),
      refused: sum(({ refused }) => refused),
    };
  });
}

function run(scenario: Scenario): void {
  const years = natural(options.years, "years");
  switch (scenario) {
    case "population": {
      const onYear = (year: number, minted: number): void => {
        process.stderr.write(`year ${year}: minted ${minted} ZKP\n`);
      };
      const epochHours = natural(options["epoch-hours"], "epoch-hours");
      const { rows, minted, burned } = simulateYears({ years, epochHours, onYear });
      print(rows, `population, ${years} years: minted ${minted} ZKP, settlements burned ${burned} ZKP`);
      return;
    }
    case "rules":
      print(simulateRules(years), "rules, off and on");
      return;
    case "wdbc-attacks": {
      const file = findWdbc(options.data);
      if (file === undefined) process.stderr.write("skipped: no wdbc.data (say where with --data FILE)\n");
      else print(meanOfDealings(file), "wdbc-attacks: five honest pods, and each of these beside them");
      return;
    }
  }
}

if (options.help) process.stdout.write(help());
else if (Object.hasOwn(SCENARIOS, options.scenario)) run(options.scenario as Scenario);
else {
  process.stderr.write(`unknown scenario ${options.scenario}\n${help()}`);
  process.exitCode = 2;
}
