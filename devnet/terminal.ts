/**
 * The devnet as a terminal shows it: a bar while keys are built, the header, then a line that is rewritten
 * on a terminal and a line a block elsewhere. With `json`, stdout is data and people read stderr.
 */
import { MultiBar, type SingleBar } from "cli-progress";
import type { BuildProgress } from "../circuits/build/build.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import { describeEvent } from "../pod/events.ts";
import type { Devnet, DevnetEvent } from "./devnet.ts";
import type { DevnetStatus, Summary } from "./monitor.ts";
import { STAKE_ZKP } from "./options.ts";

export type Terminal = {
  event(event: DevnetEvent): void;
  ready(devnet: Devnet): void;
  status(status: DevnetStatus): void;
  say(line: string): void;
  summary(summary: Summary): void;
  /** Ends bars and the rewritten line. */
  close(): void;
};

export type TerminalOptions = { readonly json: boolean; readonly verbose: boolean };

/** Where each phase begins on the bar of 100, and how much of it is its part: the compiler takes most. */
const PHASES: Readonly<Record<BuildProgress["phase"], readonly [number, number]>> = {
  compile: [0, 65],
  setup: [65, 30],
  write: [95, 5],
};
const PLAIN_STEP = 20;
/** Some terminals say that they are 0 columns wide. */
const WIDTH_UNKNOWN = 120;

export function createTerminal({ json, verbose }: TerminalOptions): Terminal {
  // People's lines go where data does not.
  const people = json ? process.stderr : process.stdout;
  const rewrites = people.isTTY === true && !json;
  let rewritten = false;
  let closed = false;
  let lastHeight = "";
  const progress = createProgress((line) => say(line));

  const say = (line: string): void => {
    if (rewritten) people.write("\r\x1b[K");
    rewritten = false;
    people.write(`${line}\n`);
  };
  const data = (value: unknown): void => {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  };

  return {
    say,
    close: () => {
      progress.stop();
      if (rewritten) people.write("\n");
      rewritten = false;
      closed = true;
    },
    event: (event) => {
      if (closed) return; // what happens while all is taken down is no news, and the summary is the last line
      switch (event.kind) {
        case "building":
          progress.update(event.progress);
          return;
        case "built":
          progress.stop();
          if (event.elapsedMs > 1_000)
            say(`Keys of ${event.shape} are there after ${(event.elapsedMs / 1000).toFixed(1)} s.`);
          return;
        case "pod":
          if (json) data({ pod: event.pod, ...event.event });
          if (!json && (verbose || isWorthALine(event))) say(`${event.pod}: ${describeEvent(event.event)}`);
          return;
        case "sponsor":
          if (json) data({ sponsor: event.event.kind, ...event.event });
          if (event.event.kind === "reveal-failed") say(`sponsor: ${event.event.reason}`);
          return;
        case "ended":
          if (json) data({ ended: event.name });
          return;
        case "sponsor-failed":
          say(`sponsor stopped: ${event.reason}`);
          return;
        case "crash":
          if (json) data({ crash: event.name, how: event.how, again: event.again });
          say(
            `${event.name} ended by itself (${event.how})${event.again ? "; started again" : "; given up"}`,
          );
          if (event.errors !== "") say(`  ${event.errors.split("\n").slice(-5).join("\n  ")}`);
          return;
      }
    },
    ready: (devnet) => {
      for (const line of header(devnet)) say(line);
      if (json) data({ ready: devnet.info, readyMs: devnet.readyMs });
    },
    status: (status) => {
      if (rewrites) {
        people.write(`\r\x1b[K${clip(statusLine(status), people.columns || WIDTH_UNKNOWN)}`);
        rewritten = true;
        return;
      }
      const { height } = status.chain;
      if (height === lastHeight) return;
      lastHeight = height;
      if (json) data(statusData(status));
      else say(statusLine(status));
    },
    summary: (summary) => data(summary),
  };
}

/** Of a pod's events, those one wants to see without asking. */
function isWorthALine({ event }: Extract<DevnetEvent, { kind: "pod" }>): boolean {
  if ("notice" in event) return event.notice === "retry" || event.notice === "task-over";
  return event.stage === "rejected" || event.stage === "expired" || event.stage === "skipped";
}

function header({ dir, info, readyMs }: Devnet): string[] {
  const { accounts, nodes, pods, task } = info;
  const span = (all: readonly { name: string }[]): string =>
    all.length > 1 ? `${all[0]?.name} … ${all.at(-1)?.name}` : (all[0]?.name ?? "none");
  return [
    `zkp 0.1.0  node ${process.version.split(".")[0]}  chain ${info.chainId}`,
    "Accounts   WARNING: public development keys, never send value to them",
    ...accounts.map(({ address, balance }, i) => ` (${i}) ${address}  ${formatZkp(BigInt(balance))}`),
    `Nodes      ${span(nodes)}   validators, ${STAKE_ZKP} ZKP staked each`,
    `Pods       ${span(pods)}   task "${task.name}", ${task.rows} × ${task.features}, private data in ${dir}/pods`,
    `RPC        ${nodes[0]?.rpc ?? ""}`,
    `Ready in ${(readyMs / 1000).toFixed(1)} s. Ctrl-C stops it.`,
  ];
}

/** "block 52 · final 51 · 4/4 validators · …" */
export function statusLine({ chain, accuracy }: DevnetStatus): string {
  const parts = [
    `block ${chain.height}`,
    `final ${chain.finalizedHeight}`,
    `${chain.validatorsOnline}/${chain.validators} validators`,
    `epoch ${chain.epoch}`,
    `proofs ${chain.proofs.verified} verified, ${chain.proofs.rejected} rejected`,
    `minted ${shortZkp(BigInt(chain.supply.minted))}`,
  ];
  const percent = accuracy.map((value) => (100 * value).toFixed(1));
  const [first] = percent;
  if (first !== undefined)
    parts.push(`accuracy ${percent.length > 1 ? `${first} → ${percent.at(-1)}` : first} %`);
  return parts.join(" · ");
}

function statusData({ chain, accuracy }: DevnetStatus): Record<string, unknown> {
  const { height, finalizedHeight, epoch, place, validators, validatorsOnline, proofs, supply } = chain;
  return {
    block: height,
    finalizedHeight,
    epoch,
    place,
    validators,
    validatorsOnline,
    proofs,
    minted: supply.minted,
    accuracy,
  };
}

/** One decimal: for a line that changes twice a second. */
function shortZkp(nzkp: bigint): string {
  const tenths = nzkp / 100_000_000n;
  return `${tenths / 10n}.${tenths % 10n} ZKP`;
}

const clip = (line: string, width: number): string =>
  line.length < width ? line : line.slice(0, Math.max(0, width - 1));

type Progress = { update(progress: BuildProgress): void; stop(): void };

/** A bar a circuit on a terminal; elsewhere a line at each fifth. */
function createProgress(say: (line: string) => void): Progress {
  const isTty = process.stderr.isTTY === true;
  let bars: MultiBar | undefined;
  const bar = new Map<string, SingleBar>();
  const shown = new Map<string, number>();
  return {
    update: ({ shapeId, phase, percent }) => {
      const [from, part] = PHASES[phase];
      const whole = Math.min(100, Math.floor(from + (part * percent) / 100));
      if (isTty) {
        bars ??= new MultiBar({
          format: "Keys of {shape} {bar} {percentage} % {phase}",
          hideCursor: true,
          clearOnComplete: true,
        });
        const mine = bar.get(shapeId) ?? bars.create(100, 0, { shape: shapeId, phase });
        bar.set(shapeId, mine);
        mine.update(whole, { shape: shapeId, phase });
      } else if (whole >= (shown.get(shapeId) ?? -PLAIN_STEP) + PLAIN_STEP) {
        shown.set(shapeId, whole);
        say(`Building keys of ${shapeId}: ${whole} % (${phase})`);
      }
    },
    stop: () => {
      bars?.stop();
      bars = undefined;
    },
  };
}
