/**
 * Runs the model checker's simulator on simplex.qnt and reads its traces. Quint is a package of this
 * project; its TypeScript backend needs neither Java nor anything from the network. Used by
 * simplex.test.ts.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const MODEL = join(import.meta.dirname, "simplex.qnt");
const CLI = fileURLToPath(import.meta.resolve("@informalsystems/quint/dist/src/cli.js"));
const RUN_TIMEOUT_MS = 120_000;

export type Run = {
  /** Module of simplex.qnt. */
  readonly rules: string;
  /** `step` lets anything happen; `calm` gives up only when nothing else is left. */
  readonly step: "step" | "calm";
  readonly seed: number;
  readonly samples: number;
  /** How many traces to return. */
  readonly traces?: number;
};

const block = z.object({
  name: z.tuple([z.number(), z.number()]),
  parent: z.tuple([z.number(), z.number()]),
});
const node = z.object({
  view: z.number(),
  finalized: z.number(),
  notarize: z.array(block),
  nullify: z.array(z.number()),
  finalize: z.array(block),
  notarizations: z.array(block),
  nullifications: z.array(z.number()),
  finalizations: z.array(block),
});
const state = z.object({
  nodes: z.map(z.number(), node),
  blocks: z.array(block),
  last: z.object({
    what: z.enum(["init", "propose", "propose-byzantine", "deliver", "fetch", "give-up", "learn", "restart"]),
    node: z.number(),
    kind: z.string(),
    view: z.number(),
    twin: z.number(),
  }),
});
export type ModelBlock = z.infer<typeof block>;
export type ModelNode = z.infer<typeof node>;
export type ModelState = z.infer<typeof state>;

/** ITF's marked values as plain ones: sets and tuples are arrays, maps are Maps. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  for (const [key, held] of Object.entries(value)) {
    if (key === "#bigint") return Number(held);
    if (key === "#set" || key === "#tup") return plain(held);
    if (key === "#map") return new Map(z.array(z.tuple([z.unknown(), z.unknown()])).parse(plain(held)));
  }
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, plain(held)]));
}

function readTrace(path: string): readonly ModelState[] {
  const { states } = z
    .object({ states: z.array(z.record(z.string(), z.unknown())) })
    .parse(JSON.parse(readFileSync(path, "utf8")));
  return states.map((it) => {
    const named = Object.entries(it).map(([name, held]) => [name.replace(/^.*::/, ""), plain(held)]);
    return state.parse(Object.fromEntries(named));
  });
}

export type Outcome = {
  readonly violated: boolean;
  /** Traces with two final blocks, in per cent. */
  readonly twoFinalPercent: number;
  readonly traces: readonly (readonly ModelState[])[];
};

export async function runModel({ rules, step, seed, samples, traces = 0 }: Run): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "zkp-quint-"));
  const args = ["run", MODEL, "--backend=typescript", `--main=${rules}`, `--step=${step}`, `--seed=${seed}`];
  args.push(`--max-samples=${samples}`, "--max-steps=40", "--invariant=safe", "--witnesses=twoFinal");
  args.push("--verbosity=1");
  if (traces > 0) args.push(`--n-traces=${traces}`, `--out-itf=${join(folder, "{seq}.itf.json")}`);
  try {
    const { text, status } = await spawnQuint(args);
    const violated = text.includes("[violation]");
    if (!violated && status !== 0) throw new Error(text);
    const witnessed = /twoFinal was witnessed in .*\(([\d.]+)%\)/.exec(text);
    const files = readdirSync(folder).sort();
    return {
      violated,
      twoFinalPercent: Number(witnessed?.[1] ?? 0),
      traces: files.map((file) => readTrace(join(folder, file))),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function spawnQuint(
  args: readonly string[],
): Promise<{ readonly text: string; readonly status: number | null }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ text: string; status: number | null }>();
  const child = spawn(process.execPath, [CLI, ...args], { timeout: RUN_TIMEOUT_MS });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
  child.on("error", reject).on("close", (status) => resolve({ text, status }));
  return promise;
}
