/**
 * What memory the nodes of a devnet take, over an hour or `ZKP_BENCH_MINUTES`: four validators, and three pods
 * that prove in every epoch, on the generated data with every fourth label wrong: a model that is right about all
 * rows leaves nothing to prove. Each node is asked every ten seconds, by `node_status`. Held
 * against testing.md: flat, and at most 300 MB. Called by main.ts, only by name; progress is on stderr.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FaultError, invariant } from "../../consensus/primitives/faults.ts";
import { PARAMS } from "../../consensus/primitives/params.ts";
import { SLICE_ROWS } from "../../consensus/types/transaction.ts";
import { generatedTable } from "../../devnet/data.ts";
import { type Devnet, startDevnet } from "../../devnet/devnet.ts";
import {
  type ChainOptions,
  DEFAULTS,
  GENERATED_SEED,
  GENERATED_TEST_ROWS,
  shapeForColumns,
} from "../../devnet/options.ts";
import type { Figure } from "./figure.ts";

const MINUTES = Number(process.env.ZKP_BENCH_MINUTES ?? 60);
const EVERY_MS = 10_000;
const LIMIT_MB = 300;
/** When caches are warm. */
const EARLY_MINUTES = Math.min(10, MINUTES / 2);
const MINUTE_MS = 60_000;

type Sample = {
  /** Since the devnet was ready. */
  readonly atMs: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly externalMb: number;
};

/** A task for the whole time: as many rounds as there will be epochs, and batches that nobody uses up. */
async function endlessTask(dir: string): Promise<ChainOptions> {
  const epochMs = Number(PARAMS.epochHeights.dev * PARAMS.blockIntervalMs.dev);
  const rounds = Math.ceil((MINUTES * MINUTE_MS) / epochMs) + 8;
  const { pods, features, batchesPerPod: least } = DEFAULTS;
  const holdoutSlices = rounds * Number(PARAMS.slicesPerRound.dev);
  const batchesPerPod = Math.max(least, Math.ceil(rounds / Number(PARAMS.batchReuseMax.dev)));
  const count =
    pods * batchesPerPod * shapeForColumns(features).rows + holdoutSlices * SLICE_ROWS + GENERATED_TEST_ROWS;
  const { rows, labels } = generatedTable({ seed: GENERATED_SEED, rows: count, features });
  const lines = rows.map((row, i) => [...row, i % 4 === 0 ? 1 - (labels[i] ?? 0) : labels[i]].join());
  const file = join(dir, "table.csv");
  await writeFile(file, lines.join("\n"));
  const table = { file, label: String(features), positive: "1", ignore: [] };
  return { table, holdoutSlices, batchesPerPod };
}

async function sampled(devnet: Devnet): Promise<Sample[][]> {
  const nodes = devnet.info.nodes.map((_, i) => ({ client: devnet.client(i), samples: [] as Sample[] }));
  const started = performance.now();
  const end = started + MINUTES * MINUTE_MS;
  for (let at = started; at <= end; at += EVERY_MS) {
    await sleep(Math.max(0, at - performance.now()));
    for (const { client, samples } of nodes) {
      const atMs = performance.now() - started;
      try {
        const { memory } = await client.call("node_status", {});
        const [rssMb, heapMb, externalMb] = [
          memory.rssBytes / 1e6,
          memory.heapUsedBytes / 1e6,
          memory.externalBytes / 1e6,
        ];
        samples.push({ atMs, rssMb, heapMb, externalMb });
      } catch (error) {
        // A node that is too busy for one answer has the next one; the figures need hundreds.
        if (!(error instanceof FaultError)) throw error;
      }
    }
    if (Math.round((at - started) / EVERY_MS) % (MINUTE_MS / EVERY_MS) === 0)
      await tell(
        devnet,
        nodes.map(({ samples }) => samples),
      );
  }
  return nodes.map(({ samples }) => samples);
}

async function tell(devnet: Devnet, nodes: readonly (readonly Sample[])[]): Promise<void> {
  const newest = nodes.map((samples) => samples.at(-1));
  const minutes = ((newest[0]?.atMs ?? 0) / MINUTE_MS).toFixed(0);
  const { chain } = await devnet.status();
  const each = newest.map((it) =>
    it === undefined ? "-" : [it.rssMb, it.heapMb, it.externalMb].map((mb) => mb.toFixed(0)).join("/"),
  );
  process.stderr.write(
    `minute ${minutes}, height ${chain.height}, ${chain.proofs.verified} proofs: RSS/heap/external MB ${each.join("  ")}\n`,
  );
}

/** Megabytes an hour, by least squares over the second half. */
function growth(samples: readonly Sample[]): number {
  const half = samples.slice(samples.length >> 1);
  const mean = (of: (it: Sample) => number): number =>
    half.reduce((sum, it) => sum + of(it), 0) / half.length;
  const [atMs, rssMb] = [mean((it) => it.atMs), mean((it) => it.rssMb)];
  const together = half.reduce((sum, it) => sum + (it.atMs - atMs) * (it.rssMb - rssMb), 0);
  return (60 * MINUTE_MS * together) / half.reduce((sum, it) => sum + (it.atMs - atMs) ** 2, 0);
}

const most = (values: readonly number[]): number => Math.max(...values);

export async function* bench(): AsyncGenerator<Figure> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-bench-memory-"));
  const devnet = await startDevnet({ ...(await endlessTask(dir)), rpcPort: 0 });
  try {
    const nodes = await sampled(devnet);
    const { proofs, restarts, height } = await devnet.summary();
    invariant(restarts === 0, "a node that was started again forgot its memory");
    const against = `${LIMIT_MB} MB, the limit`;
    const at = (name: string, value: number): Figure => ({
      name: `memory: RSS of the largest node, ${name}`,
      value,
      unit: "MB",
      ratio: value / LIMIT_MB,
      against,
    });
    const rssAfter = (minutes: number): number =>
      most(nodes.map((them) => them.find(({ atMs }) => atMs >= minutes * MINUTE_MS)?.rssMb ?? 0));
    const last = nodes.map((them) => them.at(-1));
    yield at(`after ${EARLY_MINUTES} minutes`, rssAfter(EARLY_MINUTES));
    yield at(`after ${MINUTES} minutes`, most(last.map((it) => it?.rssMb ?? 0)));
    yield at("peak", most(nodes.flat().map(({ rssMb }) => rssMb)));
    yield {
      name: "memory: growth over the second half, the fastest node",
      value: most(nodes.map(growth)),
      unit: "MB/hour",
    };
    yield {
      name: "memory: main thread's heap at the end, the largest",
      value: most(last.map((it) => it?.heapMb ?? 0)),
      unit: "MB",
    };
    yield {
      name: "memory: outside of heaps at the end, the largest",
      value: most(last.map((it) => it?.externalMb ?? 0)),
      unit: "MB",
    };
    // Without these the hour says nothing.
    yield { name: "memory: proofs in blocks meanwhile", value: proofs.verified, unit: "proofs" };
    yield { name: "memory: blocks meanwhile", value: height, unit: "blocks" };
  } finally {
    await devnet.stop();
    await rm(dir, { recursive: true });
  }
}
