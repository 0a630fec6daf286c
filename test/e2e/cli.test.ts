/** The command line as a person or a script meets it: help, exit codes, where the output goes. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../zkp.js", import.meta.url));

type Result = { readonly code: number; readonly stdout: string; readonly stderr: string };

function zkp(...args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [launcher, ...args], (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

test("help opens with examples", async () => {
  const { code, stdout } = await zkp("--help");
  assert.equal(code, 0);
  assert.match(stdout, /^Examples:/);
  for (const noun of ["devnet", "node", "pod", "task", "proof", "tx", "rpc", "genesis"])
    assert.match(stdout, new RegExp(`^  ${noun}`, "m"));
});

test("unknown commands and options are usage errors with a suggestion", async () => {
  const command = await zkp("devent");
  assert.equal(command.code, 2);
  assert.match(command.stderr, /Did you mean devnet/);
  const option = await zkp("devnet", "--blok-interval", "5");
  assert.equal(option.code, 2);
  assert.match(option.stderr, /Did you mean --block-interval/);
});

test("a value that is no number is a usage error", async () => {
  assert.equal((await zkp("devnet", "--pods", "many")).code, 2);
  assert.equal((await zkp("devnet", "--data", "x.csv")).code, 2);
});

test("a node that is away is exit code 4, and nothing is on stdout", async () => {
  const { code, stdout, stderr } = await zkp("rpc", "chain_status", "--rpc", "http://127.0.0.1:9", "--json");
  assert.deepEqual([code, stdout], [4, ""]);
  assert.match(stderr, /node\/unreachable/);
});

test("a bad genesis document is exit code 3, and names the field", async () => {
  const dir = await mkdtemp(join(tmpdir(), "zkp-cli-"));
  try {
    await writeFile(join(dir, "genesis.json"), '{"chainId": "dev-x", "preset": "other"}');
    const { code, stderr } = await zkp("genesis", "verify", join(dir, "genesis.json"));
    assert.equal(code, 3);
    assert.match(stderr, /field: preset/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("a table with a bad cell is exit code 3 before anything is built, and names row and column", async () => {
  const dir = await mkdtemp(join(tmpdir(), "zkp-cli-"));
  try {
    await writeFile(join(dir, "cells.csv"), "size,kind\n1,a\nlarge,b\n");
    const { code, stderr } = await zkp(
      "devnet",
      "--data",
      join(dir, "cells.csv"),
      "--label",
      "kind",
      "--positive",
      "a",
    );
    assert.equal(code, 3);
    assert.match(stderr, /row: 3[\s\S]*column: .*size/);
  } finally {
    await rm(dir, { recursive: true });
  }
});
