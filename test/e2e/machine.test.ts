/**
 * What a machine may do to a validator while the others go on: a clock that is wrong, a disk that takes no
 * more, a network that is gone, a key that is in use. Real processes; pauses, kills and old databases are in test/long/durability.test.ts.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Epoch } from "../../consensus/primitives/units.ts";
import { VoteKind } from "../../consensus/types/vote.ts";
import { openStore } from "../../node/store/store.ts";
import { waitFor } from "../../pod/wait.ts";
import { createLocalChain, type LocalChain } from "../helpers/local-chain.ts";

const SKEWED = fileURLToPath(new URL("./skewed/main.ts", import.meta.url));
const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../node/main.ts", import.meta.url));
/** One epoch, views short enough for a proposer that never gets through. */
const PARAMS = {
  blockIntervalMs: "150",
  proposalTimeoutMs: "600",
  notarizationTimeoutMs: "900",
  retryMs: "500",
  epochHeights: "10000",
};

async function linesOf(chain: LocalChain, i: number): Promise<string[]> {
  return (await readFile(join(chain.dirOf(i), "node.log"), "utf8")).split("\n");
}

/** Nobody alarmed, nobody called another's block invalid, nobody was slashed. */
async function assertCalm(chain: LocalChain, nodes: readonly number[]): Promise<void> {
  for (const i of nodes) {
    const wrong = (await linesOf(chain, i)).filter((line) =>
      /block refused|DIVERGED|contradict|equivocation|misbehave/.test(line),
    );
    assert.deepEqual(wrong, [], `node-${i}`);
  }
  const { validators } = await chain.client().call("validator_list", {});
  assert.ok(validators.every(({ slashes, status }) => slashes === 0 && status === "active"));
}

/** Of each node: 2 s ahead is the most that a block may be, so the second's blocks wait at the third. */
const CLOCKS_MS = [0, 1_500, -1_500, 10_000];

test("with clocks that are 1.5 s fast, 1.5 s slow and 10 s fast the chain goes on, and no block is called invalid", {
  timeout: 180_000,
}, async (t) => {
  const chain = await createLocalChain({ chainId: "dev-clocks", validators: 4, params: PARAMS });
  t.after(() => chain.stop());
  for (const [i, ms] of CLOCKS_MS.entries())
    chain.start(i, ms === 0 ? {} : { entry: SKEWED, args: [`--ms=${ms}`] });
  const goal = 20;
  for (const i of CLOCKS_MS.keys()) await chain.finalAt(goal, i, 120_000);
  const proposers = new Map<number, number>();
  let last = 0;
  for (let height = 1; height <= goal; height++) {
    const block = await chain.client().call("chain_block", { height: String(height) });
    proposers.set(block.proposer, (proposers.get(block.proposer) ?? 0) + 1);
    const stamp = Number(block.timestampMs);
    assert.ok(stamp >= last + 150, "time goes on in the chain");
    assert.ok(stamp <= Date.now() + 2_000, "and never further ahead than a block may be");
    last = stamp;
    for (const i of [1, 2, 3])
      assert.equal((await chain.client(i).call("chain_block", { height: String(height) })).hash, block.hash);
  }
  // 1.5 s is within what is allowed: it proposes like anybody. Ten are not: its blocks wait, and its views pass.
  // The slow one may lose its turn after the fast one's block, which is 3 s ahead of it; it follows and votes.
  for (const i of [0, 1]) assert.ok((proposers.get(i) ?? 0) >= 3, `node-${i} proposes`);
  assert.equal(proposers.get(3), undefined);
  const missed = (await linesOf(chain, 0)).filter((line) => line.includes("view missed here"));
  assert.ok(
    missed.some((line) => line.includes('"reason":"ahead of this clock"')),
    missed.join("\n"),
  );
  await assertCalm(chain, [0, 1, 2, 3]);
  assert.deepEqual(chain.crashes, []);
});

/** No file of the process may grow beyond this; a write that would fails with EFBIG, as it would with ENOSPC. */
const FILE_BYTES_MAX = 256 * 1024;

test("a disk that takes no more ends the node with a clear fault and no vote that is not on it; with room it goes on", {
  timeout: 180_000,
}, async (t) => {
  const chain = await createLocalChain({
    chainId: "dev-disk",
    validators: 4,
    params: PARAMS,
    logLevel: "warn",
  });
  t.after(() => chain.stop());
  const victim = 3;
  const others = [0, 1, 2].map((i) => chain.start(i));
  // The limit is of the shell and what it becomes, in units of 512 bytes.
  const command = `ulimit -f ${FILE_BYTES_MAX / 512}; exec "$0" "$@"`;
  const child = spawn("sh", ["-c", command, process.execPath, MAIN, "--dir", chain.dirOf(victim)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const { promise: ended, resolve } = Promise.withResolvers<number | null>();
  child.once("close", resolve);
  await chain.finalAt(1, victim);
  assert.equal(await ended, 3, said);
  assert.match(said, /node\/store-failed/);
  const atEnd = await chain.finalAt(1);
  // Three of four are a quorum; the fourth comes back where it was.
  await chain.finalAt(atEnd + 5);
  assert.ok((await stat(join(chain.dirOf(victim), "db"))).isDirectory());

  const again = chain.start(victim);
  await chain.finalAt(atEnd + 10, victim);
  const status = await waitFor(
    "its signing",
    async () => {
      const it = await chain.client(victim).call("node_status", {});
      return it.signer.state === "signing" ? it : undefined;
    },
    { timeoutMs: 30_000, everyMs: 100 },
  );
  await chain.finalAt(atEnd + 30, victim);
  await assertCalm(chain, [0, 1, 2, victim]);
  await again.stop();
  await others[0]?.stop();

  // Whatever left it is on its disk: what another one heard of it, and wrote down, is among its own votes.
  const own = await openStore(join(chain.dirOf(victim), "db"));
  const heard = await openStore(join(chain.dirOf(0), "db"));
  let compared = 0;
  for (let view = 1; view <= Number(status.view); view++) {
    for (const kind of [VoteKind.notarize, VoteKind.nullify, VoteKind.finalize]) {
      const vote = heard.seenVote(Epoch(0), view, kind, status.position ?? -1);
      if (vote === undefined) continue;
      assert.deepEqual(own.ownVote(vote.subject.epoch, vote.subject.view, kind), vote.subject);
      compared++;
    }
  }
  assert.ok(compared > 20, `${compared} votes were heard`);
  await own.close();
  await heard.close();
  assert.deepEqual(chain.crashes, []);
});

test("a validator whose connections are cut is behind, alone; healed, all finalize again within 20 s", {
  timeout: 180_000,
}, async (t) => {
  const lost = 3;
  const chain = await createLocalChain({
    chainId: "dev-cut",
    validators: 4,
    params: PARAMS,
    logLevel: "warn",
    gated: lost,
  });
  t.after(() => chain.stop());
  const nodes = [0, 1, 2, lost].map((i) => chain.start(i));
  for (const i of [0, lost]) await chain.finalAt(3, i);

  chain.cut();
  const atCut = await chain.finalAt(0, lost);
  await chain.finalAt(atCut + 15);
  const alone = await chain.client(lost).call("node_status", {});
  assert.deepEqual(alone.peers, []);
  assert.ok(Number(alone.finalizedHeight) <= atCut + 2, `${alone.finalizedHeight} after ${atCut}`);
  chain.heal();
  await chain.finalAt(await chain.finalAt(0), lost, 20_000);

  // Without a quorum nothing is final; with one it is, soon after.
  await nodes[2]?.stop();
  chain.cut();
  const stuckFrom = await chain.finalAt(0);
  await new Promise((resolve) => setTimeout(resolve, 3_000)); // the time it has to stand still
  const stuckAt = await chain.finalAt(0);
  assert.ok(stuckAt <= stuckFrom + 2, `${stuckAt} after ${stuckFrom}`);
  chain.heal();
  for (const i of [0, 1, lost]) await chain.finalAt(stuckAt + 3, i, 20_000);
  nodes[2]?.start();
  await chain.finalAt(stuckAt + 5, 2);
  await assertCalm(chain, [0, 1, 2, lost]);
  assert.deepEqual(chain.crashes, []);
});

test("a second process with a validator's key is refused in its own folder and in a copy of it", {
  timeout: 120_000,
}, async (t) => {
  const chain = await createLocalChain({ chainId: "dev-twice", validators: 4, params: PARAMS });
  t.after(() => chain.stop());
  for (const i of [0, 1, 2, 3]) chain.start(i);
  const height = await chain.finalAt(2, 3);
  const copy = join(chain.dir, "copy");
  await mkdir(copy);
  for (const name of ["bls", "account", "network", "config"])
    await copyFile(join(chain.dirOf(3), `${name}.json`), join(copy, `${name}.json`));
  for (const [dir, code] of [
    [chain.dirOf(3), "node/store-locked"],
    [copy, "node/key-in-use"],
  ] as const) {
    const started = run(process.execPath, [CLI, "node", "start", "--dir", dir]);
    await assert.rejects(started, (error: Error & { code?: number; stderr?: string }) => {
      assert.equal(error.code, 7, error.stderr);
      assert.ok(error.stderr?.includes(code), error.stderr);
      return true;
    });
  }
  await chain.finalAt(height + 5, 3);
  await assertCalm(chain, [0, 1, 2, 3]);
  assert.deepEqual(chain.crashes, []);
});
