/**
 * The test command: `node test/main.ts [--long] [FILTER…]`; --long runs test/long instead. Runs node:test over the folders, what is heavy one at
 * a time, and ends with a line "N passed, N failed" (", N skipped" if any). A filter is a part of a path; a file that has one of them runs.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const root = join(import.meta.dirname, "..");
/** Folders in the order they run, and how many files at once: two cores are the least machine. */
const STAGES = [
  { pattern: "test/tidy.test.ts", concurrency: 1 },
  { pattern: "test/unit/**/*.test.ts", concurrency: 2 },
  { pattern: "test/circuits/**/*.test.ts", concurrency: 1 },
  { pattern: "test/sim/**/*.test.ts", concurrency: 2 },
  { pattern: "test/quint/**/*.test.ts", concurrency: 1 },
  { pattern: "test/e2e/**/*.test.ts", concurrency: 1 },
] as const;
/** A file that hangs fails; none takes a third of it. */
const FILE_TIMEOUT_MS = 600_000;

const LONG_STAGES = [{ pattern: "test/long/**/*.test.ts", concurrency: 1 }] as const;
const LONG_TIMEOUT_MS = 3_600_000;

const long = process.argv.includes("--long");
const filters = process.argv.slice(2).filter((it) => it !== "--long");
const counts = { passed: 0, failed: 0, skipped: 0 };

for (const { pattern, concurrency } of long ? LONG_STAGES : STAGES) {
  const files = globSync(pattern, { cwd: root })
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort()
    .map((file) => join(root, file));
  if (files.length === 0) continue;
  const stream = run({ files, concurrency, timeout: long ? LONG_TIMEOUT_MS : FILE_TIMEOUT_MS });
  stream.on("test:pass", ({ skip, details }) => {
    if (details.type === "suite") return;
    if (skip === undefined || skip === false) counts.passed += 1;
    else counts.skipped += 1;
  });
  stream.on("test:fail", ({ details }) => {
    if (details.type !== "suite") counts.failed += 1;
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.compose(spec).on("end", resolve).on("error", reject).pipe(process.stdout, { end: false });
  await promise;
}

const { passed, failed, skipped } = counts;
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
