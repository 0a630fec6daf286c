#!/usr/bin/env node
// Runs cli/main.ts: here if this Node runs TypeScript as it is, else with the Node of the package "node".
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("./cli/main.ts", import.meta.url));

function newerNode() {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node");
  } catch {
    process.stderr.write(
      `error: Node ${process.version} cannot run this.\n  fix: use Node 24, or install the package "node" beside it (npm ci does)\n`,
    );
    process.exit(3);
  }
}

if (process.features.typescript) {
  process.argv[1] = main;
  await import(main);
} else {
  const child = spawn(newerNode(), [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone is passed on.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("error", (error) => {
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("close", (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}
