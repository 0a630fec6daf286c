/**
 * Makes docs/parameters.md from the list of parameters: `npx node docs/parameters.ts`. test/unit/docs holds
 * the file equal to what this makes.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  FEE_PERCENT,
  HALF_LIFE_YEARS,
  LOCK_EPOCHS_MAX,
  MINT_PERCENT,
  PARAMS,
  type ParamName,
} from "../consensus/primitives/params.ts";

export const PARAMETERS_FILE = join(import.meta.dirname, "parameters.md");

const ZKP = 10n ** 9n;

/** Digits in groups of three; whole ZKP beside an amount. */
function valueText(value: bigint, unit: string): string {
  const digits = String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  if (unit !== "nzkp" || value % ZKP !== 0n) return digits;
  return `${digits} (${String(value / ZKP).replace(/\B(?=(\d{3})+$)/g, ",")} ZKP)`;
}

const HEAD = `# Parameters

Every protocol parameter, with its value in each preset. This file is made from \`consensus/primitives/params.ts\` by \`npx node docs/parameters.ts\`; change the list there, not here. Limits that belong to an encoding stand beside their type in \`consensus/types/\`, and the state's in \`consensus/state/state.ts\`.

A genesis document names a preset and may override single values by name, as decimal strings: \`"params": {"blockIntervalMs": "250"}\`. All nodes of a chain have the same genesis, so they have the same parameters. Amounts are in nzkp; 1 ZKP is 10^9 nzkp.
`;

const TAIL = `## The same on every chain

- A mint is split: pods ${MINT_PERCENT.pods} %, proposers ${MINT_PERCENT.proposers} %, validators ${MINT_PERCENT.validators} %, treasury ${MINT_PERCENT.treasury} %.
- A sponsor's fee would be split: burned ${FEE_PERCENT.burned} %, pods ${FEE_PERCENT.pods} %, validators ${FEE_PERCENT.validators} %. The arithmetic is there and tested; no operation of the chain uses it yet.
- The reserve has a half-life of ${HALF_LIFE_YEARS} years of 365 days.
- At most 9/10 of a burned fee may be minted again: an invariant of \`consensus/state/issuance.ts\`, not a parameter.

## What is refused

Genesis refuses a set of parameters unless all of this holds:

- every value is within its bounds, which are what the state, the encodings, a number and a timer have room for (\`BOUNDS\` in the same file);
- \`proposalTimeoutMs\` is more than \`blockIntervalMs + linkDelayMs\`, and \`notarizationTimeoutMs\` more than \`proposalTimeoutMs\`;
- at least one block for reveals lies between the close that \`submitPercent\` gives and the epoch's last block;
- \`rewardLockEpochs\` is at least \`podEvidenceEpochs\` and below ${LOCK_EPOCHS_MAX};
- \`evidenceEpochs\` is below \`unbondingEpochs\` and at most \`rewardLockEpochs\`.
`;

/** The whole file. */
export function parametersMarkdown(): string {
  const rows = (Object.keys(PARAMS) as ParamName[]).map((name) => {
    const { unit, meaning, dev, testnet } = PARAMS[name];
    return `| \`${name}\` | ${unit} | ${valueText(dev, unit)} | ${valueText(testnet, unit)} | ${meaning.replaceAll("|", "\\|")} |`;
  });
  const table = [
    "| name | unit | dev | testnet | meaning |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
  return [HEAD, table, "", TAIL].join("\n");
}

if (import.meta.main) writeFileSync(PARAMETERS_FILE, parametersMarkdown());
