import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Child, type Crash, createChild } from "../../../devnet/child.ts";
import { isAlive } from "../../../devnet/folder.ts";
import { waitFor } from "../../../pod/wait.ts";

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "zkp-child-"));
  await writeFile(
    join(dir, "waits.ts"),
    'process.stdout.write("up\\n"); setInterval(() => undefined, 1000);',
  );
  await writeFile(join(dir, "fails.ts"), 'process.stderr.write("because\\n"); process.exitCode = 3;');
  await writeFile(join(dir, "ends.ts"), 'process.stdout.write("done\\n");');
});
after(() => rm(dir, { recursive: true }));

function watched(script: string, ends = false) {
  const lines: string[] = [];
  const crashes: Crash[] = [];
  const child: Child = createChild({
    name: "it",
    args: [join(dir, script)],
    onLine: (line) => lines.push(line),
    onCrash: (crash) => crashes.push(crash),
    mayEnd: () => ends,
  });
  const until = (what: string, ready: () => boolean): Promise<true> =>
    waitFor(what, async () => (ready() ? true : undefined), { everyMs: 20, timeoutMs: 20_000 });
  return { child, lines, crashes, until };
}

test("a child that dies by itself is started again and counted, with what it said", async () => {
  const { child, crashes, until } = watched("fails.ts");
  child.start();
  await until("restart", () => child.restarts >= 1);
  await child.stop();
  assert.deepEqual([crashes[0]?.how, crashes[0]?.errors], ["exit code 3", "because"]);
});

test("a child that is killed from outside is started again, one that is killed here stays down", async () => {
  const { child, lines, crashes, until } = watched("waits.ts");
  child.start();
  await until("up", () => lines.length === 1);
  process.kill(child.pid ?? 0, "SIGKILL");
  await until("up again", () => lines.length === 2);
  assert.equal(crashes[0]?.how, "signal SIGKILL");
  await child.kill();
  assert.deepEqual([child.running, child.pid, child.restarts], [false, undefined, 1]);
  child.start();
  await until("started", () => lines.length === 3);
  await child.stop();
});

test("a child whose work is done is not started again", async () => {
  const { child, crashes, until } = watched("ends.ts", true);
  child.start();
  await until("end", () => !child.running);
  assert.deepEqual([crashes, child.restarts], [[], 0]);
});

test("a child ends when its parent is killed", async () => {
  const script = join(dir, "parent.ts");
  const childModule = new URL("../../../devnet/child.ts", import.meta.url).href;
  await writeFile(
    script,
    `import { createChild } from "${childModule}";
     const child = createChild({ name: "c", args: [${JSON.stringify(join(dir, "waits.ts"))}], onLine: () => process.stdout.write(child.pid + "\\n"), onCrash: () => undefined });
     child.start();`,
  );
  const parent = watched("parent.ts");
  parent.child.start();
  await parent.until("grandchild", () => parent.lines.length === 1);
  const grandchild = Number(parent.lines[0]);
  assert.ok(isAlive(grandchild));
  await parent.child.kill();
  await parent.until("grandchild gone", () => !isAlive(grandchild));
});
