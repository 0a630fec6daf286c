/** How a node's process is started. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { nodeArgs, nodeEnv } from "../../../node/process.ts";

test("this Node knows all arguments that nodes are started with", () => {
  // The script comes on stdin.
  const { status, stdout, stderr } = spawnSync(process.execPath, nodeArgs("folder", "-"), {
    env: nodeEnv(),
    encoding: "utf8",
    input: "console.log(process.argv.slice(2).join())",
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
  assert.equal(stdout.trim(), "--dir,folder");
});
