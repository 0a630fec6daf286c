/**
 * Makes docs/errors.md from the fault table: `npx node docs/errors.ts`. test/unit/docs holds the file equal
 * to what this makes, so that no code is added without its line.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS, type FaultCode } from "../consensus/primitives/faults.ts";

export const ERRORS_FILE = join(import.meta.dirname, "errors.md");

/** By the thousands of a code's number. */
const GROUPS: Readonly<Record<number, string>> = {
  1: "Submissions",
  2: "Transactions",
  3: "Pods",
  4: "Tasks",
  5: "Blocks",
  6: "RPC",
  7: "Nodes",
  8: "Configuration, keys, tables, circuits",
  9: "Validators and evidence",
};

const HEAD = `# Errors

Every failure that a person can meet has a code of the form \`group/name\` and a permanent number. This file is made from \`consensus/primitives/faults.ts\` by \`npx node docs/errors.ts\`; change the table there, not here.

- **RPC.** The number is the JSON-RPC error code, except for four faults that have the standard's own: \`rpc/parse\` −32700, \`rpc/request-invalid\` −32600, \`rpc/method-unknown\` −32601, \`rpc/params-invalid\` −32602. \`error.data\` holds \`code\`, \`reason\`, \`retryable\`, \`hint\` and what is needed to find the fault: a field, a position, what was found and expected.
- **Command line.** An error is printed with its reason, its data, what to do, and its code. How codes map to exit codes is in [operating.md](operating.md#exit-codes).
- **Retryable** means that the same request may succeed later without being changed.
- Numbers and names are never reused. A code that is no longer needed leaves a gap.
`;

const cell = (text: string): string => text.replaceAll("|", "\\|");

/** The whole file. */
export function errorsMarkdown(): string {
  const codes = Object.keys(FAULTS) as FaultCode[];
  const sections = Object.entries(GROUPS).map(([thousand, title]) => {
    const rows = codes
      .filter((code) => Math.floor(FAULTS[code][0] / 1000) === Number(thousand))
      .sort((a, b) => FAULTS[a][0] - FAULTS[b][0])
      .map((code) => {
        const [number, retryable, reason, hint] = FAULTS[code];
        return `| ${number} | \`${code}\` | ${retryable ? "yes" : "no"} | ${cell(reason)} | ${cell(hint)} |`;
      });
    return [
      `## ${title}`,
      "",
      "| number | code | retryable | what happened | what to do |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n");
  });
  return `${[HEAD, ...sections].join("\n\n").replaceAll("\n\n\n", "\n\n")}\n`;
}

if (import.meta.main) writeFileSync(ERRORS_FILE, errorsMarkdown());
