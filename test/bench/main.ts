/**
 * `npm run bench [-- --json] [NAME…]`: runs the benches, each in a process of its own, and prints a table, or
 * a line of JSON a figure: {name, value, unit, ratio, against, machine}. Names are the files beside this one.
 * Without a name all run but `memory`, which takes an hour.
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Bench, type Figure, machine } from "./figure.ts";

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  verify: () => import("./verify.ts"),
  signatures: () => import("./signatures.ts"),
  prove: () => import("./prove.ts"),
  setup: () => import("./setup.ts"),
  transition: () => import("./transition.ts"),
  settle: () => import("./settle.ts"),
  admission: () => import("./admission.ts"),
  execution: () => import("./execution.ts"),
  sync: () => import("./sync.ts"),
  finality: () => import("./finality.ts"),
  blocks: () => import("./blocks.ts"),
  gossip: () => import("./gossip.ts"),
  throughput: () => import("./throughput.ts"),
  memory: () => import("./memory.ts"),
};
const ONLY_BY_NAME: ReadonlySet<string> = new Set(["memory"]);

type Line = Figure & { readonly machine: string };

const write = (text: string): void => void process.stdout.write(`${text}\n`);

/** In this process: ratios of one bench must not depend on another's threads and caches. */
async function runHere(name: string): Promise<void> {
  const load = BENCHES[name];
  if (load === undefined) throw new Error(`no bench ${name}; there are ${Object.keys(BENCHES).join(", ")}`);
  const { bench } = await load();
  for await (const figure of bench()) write(JSON.stringify({ ...figure, machine: machine() }));
}

async function runApart(name: string, onLine: (line: Line) => void): Promise<void> {
  const child = spawn(process.execPath, ["--max-old-space-size=6000", import.meta.filename, "--here", name], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Whoever ends this process means the bench.
  const end = (): void => void child.kill();
  process.once("SIGTERM", end);
  for await (const text of createInterface({ input: child.stdout })) onLine(JSON.parse(text) as Line);
  if (child.exitCode === null) await new Promise((resolve) => child.once("exit", resolve));
  process.off("SIGTERM", end);
  if (child.exitCode !== 0) throw new Error(`bench ${name} failed`);
}

function row({ name, value, unit, ratio, against }: Line): string {
  const number = value >= 100 ? value.toFixed(0) : value.toPrecision(3);
  const beside = ratio === undefined ? "" : `${ratio.toFixed(ratio < 10 ? 2 : 1)} × ${against ?? ""}`;
  return `${name.padEnd(58)} ${number.padStart(9)} ${unit.padEnd(12)} ${beside}`;
}

const args = process.argv.slice(2);
const names = args.filter((it) => !it.startsWith("--"));
const chosen = names.length > 0 ? names : Object.keys(BENCHES).filter((it) => !ONLY_BY_NAME.has(it));
if (args.includes("--here")) {
  for (const name of chosen) await runHere(name);
  process.exit(0); // snarkjs leaves threads behind
}
const asJson = args.includes("--json");
if (!asJson) write(machine());
for (const name of chosen) {
  await runApart(name, (line) => write(asJson ? JSON.stringify(line) : row(line)));
}
