/**
 * A sponsor and a pod that come to a running chain from the command line: a task from a holdout table and a
 * model file, rounds that are opened and paid, and what is shown of them.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { generatedTable } from "../../devnet/data.ts";
import type { Devnet } from "../../devnet/devnet.ts";
import { waitFor } from "../../pod/wait.ts";
import { START_MS, startSmallDevnet } from "./helpers.ts";

const launcher = fileURLToPath(new URL("../../zkp.js", import.meta.url));
const PAY = 2n * 10n ** 9n;

let devnet: Devnet;
let dir: string;
let rpc: string;
const running: ChildProcess[] = [];

/** Runs a command to its end; what it printed. */
function zkp(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [launcher, ...args, "--rpc", rpc], (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`zkp ${args.join(" ")}: ${stderr}`));
    });
  });
}

/** Starts a command that stays. */
function keep(...args: readonly string[]): void {
  running.push(spawn(process.execPath, [launcher, ...args, "--rpc", rpc, "--json"], { stdio: "ignore" }));
}

function csvOf(seed: number, rows: number): string {
  const table = generatedTable({ seed: 7, rows: 1_000, features: 4 });
  const lines = table.rows
    .map((row, i) => [...row, table.labels[i] === 1 ? "yes" : "no"].join(","))
    .slice(seed, seed + rows);
  return `a,b,c,d,ill\n${lines.join("\n")}\n`;
}

before(
  async () => {
    dir = await mkdtemp(join(tmpdir(), "zkp-economy-"));
    devnet = await startSmallDevnet({ pods: 1 });
    rpc = devnet.info.nodes[0]?.rpc ?? "";
    await writeFile(join(dir, "holdout.csv"), csvOf(0, 400));
    await writeFile(join(dir, "data.csv"), csvOf(400, 320));
    await writeFile(join(dir, "model.json"), "[0.05, 0.05, 0.05, 0.05, 0]");
  },
  { timeout: START_MS },
);

after(async () => {
  for (const child of running) child.kill("SIGTERM");
  await devnet?.stop();
  await rm(dir, { recursive: true, force: true });
});

type Shown = {
  readonly lane: string;
  readonly model: readonly string[];
  readonly rate: { readonly numerator: number; readonly shift: number };
  readonly rounds: readonly { readonly paid: number; readonly fee?: string; readonly paidToPods?: string }[];
  readonly terms: { readonly escrow: string; readonly bond: string; readonly notice: string };
};
const shown = async (): Promise<Shown> => JSON.parse(await zkp("task", "show", "lesions", "--json")) as Shown;

test("a task is made of a holdout table and a model file", { timeout: 120_000 }, async () => {
  const table = ["--holdout", join(dir, "holdout.csv"), "--label", "ill", "--positive", "yes"];
  const terms = ["--pay", "2", "--rate", "1/2", "--rounds", "8", "--notice", "eight rows a batch"];
  await zkp(
    ...["task", "create", "--dir", join(dir, "sponsor"), "--name", "lesions", "--shape", "gradient-8x4"],
    ...[...table, ...terms, "--model", join(dir, "model.json")],
  );
  const task = await shown();
  assert.deepEqual(task.model, ["3277", "3277", "3277", "3277", "0"]);
  assert.deepEqual(task.rate, { numerator: 1, shift: 1 });
  assert.deepEqual(
    [task.lane, task.terms.escrow, task.terms.bond, task.terms.notice],
    ["sponsored", String(8n * PAY), String(2n * PAY), "eight rows a batch"],
  );
  keep("task", "run", "--dir", join(dir, "sponsor"));
});

test("a pod of one's own proves for it, and a round is paid", { timeout: 240_000 }, async () => {
  const table = ["--data", join(dir, "data.csv"), "--label", "ill", "--positive", "yes"];
  await zkp("pod", "init", "--dir", join(dir, "pod"), "--task", "lesions", ...table);
  keep("pod", "run", "--dir", join(dir, "pod"));
  const paid = async (): Promise<true | undefined> =>
    (await shown()).rounds.some((round) => round.paid > 0) ? true : undefined;
  await waitFor("a paid round", paid, { timeoutMs: 200_000, everyMs: 1_000 });
});

test("task show says what rounds gained and cost, and what is left", { timeout: 60_000 }, async () => {
  const task = await shown();
  const text = await zkp("task", "show", "lesions");
  assert.match(text, /sponsored lane: 2 ZKP a round, [\d.]+ ZKP left in escrow; sponsor's bond 4 ZKP/);
  assert.match(text, /notice: eight rows a batch/);
  assert.match(text, /round \d+ {2}block \d+ {2}loss \d+ → \d+ \(−[\d.]+ %\).*fee 2 ZKP, burned 0\.6 ZKP/);
  const rounds = task.rounds.filter(({ paid }) => paid > 0);
  assert.ok(BigInt(task.terms.escrow) < 8n * PAY);
  for (const { fee, paidToPods } of rounds) {
    assert.equal(fee, String(PAY));
    // The pods' 65 % of the fee, and 72 % of a mint of at most nine tenths of the burn.
    assert.ok(BigInt(paidToPods ?? 0) >= (PAY * 65n) / 100n - 64n);
    assert.ok(BigInt(paidToPods ?? 0) <= (PAY * 65n) / 100n + (((PAY * 27n) / 100n) * 72n) / 100n);
  }
});

test("pod explain makes the amount again from its factors", { timeout: 60_000 }, async () => {
  const { rounds } = JSON.parse(await zkp("task", "show", "lesions", "--json")) as {
    rounds: readonly { readonly height: string; readonly epoch: string }[];
  };
  assert.ok(rounds.length > 0);
  let explained = 0;
  const height = Number(
    (JSON.parse(await zkp("rpc", "chain_status")) as { finalizedHeight: string }).finalizedHeight,
  );
  for (let at = height; at > 0 && explained < 2; at--) {
    const block = await devnet.client(0).call("chain_block", { height: String(at) });
    for (const id of block.submissions) {
      const proof = JSON.parse(await zkp("pod", "explain", id, "--json")) as {
        recomputed?: string;
        reward?: { amount: string };
      };
      if (proof.reward === undefined) continue;
      assert.equal(proof.recomputed, proof.reward.amount);
      if (proof.reward.amount !== "0") explained++;
    }
  }
  assert.ok(explained > 0);
});

test("a validator approves the task for the public lane, by its id or its only name", {
  timeout: 60_000,
}, async () => {
  const node = devnet.info.nodes[0];
  assert.ok(node !== undefined);
  const sent = JSON.parse(
    await zkp("validator", "approve", "lesions", "--dir", join(devnet.dir, node.name), "--json"),
  ) as { task: string; id: string; height: string };
  assert.equal(sent.task, (JSON.parse(await zkp("task", "show", "lesions", "--json")) as { id: string }).id);
  const { transactions } = await devnet.client(1).call("chain_block", { height: String(sent.height) });
  assert.ok(transactions.includes(sent.id), "the chain took it, which it does of seated validators only");
});

test("a pod's bond is filled up and given back on request", { timeout: 120_000 }, async () => {
  const bondOf = async (...args: string[]): Promise<Record<string, unknown>> =>
    JSON.parse(await zkp("pod", ...args, "--dir", join(dir, "pod"), "--json")) as Record<string, unknown>;
  const before = await bondOf("top-up", "--amount", "1");
  assert.ok(BigInt(String(before.bond)) > 10n ** 9n);
  const more = await bondOf("top-up", "--amount", "2");
  assert.equal(BigInt(String(more.bond)) - BigInt(String(before.bond)), 2n * 10n ** 9n);
  assert.notEqual((await bondOf("exit")).exitEpoch, undefined);
});
