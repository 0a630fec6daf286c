import assert from "node:assert/strict";
import { test } from "node:test";
import { CommanderError } from "commander";
import { commandExitCode } from "../../../cli/exit.ts";
import { type FaultCode, FaultError } from "../../../consensus/primitives/faults.ts";
import { exitCodeOf } from "../../../node/exit.ts";

test("a process ends with the code of its fault's group, a lock with its own, and what is no fault as a bug", () => {
  const codes: [FaultCode, number][] = [
    ["node/store-failed", 3],
    ["genesis/invalid", 3],
    ["circuit/unknown", 3],
    ["node/store-locked", 7],
    ["node/key-in-use", 7],
    ["node/unreachable", 4],
    ["rpc/timeout", 5],
    ["transaction/malformed", 6],
    ["rpc/internal", 1],
    ["config/usage", 2],
  ];
  for (const [code, exit] of codes) {
    const error = new FaultError(code);
    assert.deepEqual([exitCodeOf(error), commandExitCode(error)], [exit, exit], code);
  }
  assert.equal(exitCodeOf(new Error("a bug")), 1);
  assert.equal(commandExitCode(new CommanderError(1, "commander.unknownOption", "unknown option")), 2);
  assert.equal(commandExitCode(new CommanderError(0, "commander.helpDisplayed", "help")), 0);
});
