/** The scenarios by name. Each is a set-up, a script of troubles, and what must be true afterwards. */
import type { ByzantineName } from "./byzantine.ts";
import type { Scenario, Stage } from "./run.ts";
import { all, base, bounce, crashBetweenEffects, crashMatrix, LINK, partition } from "./scenario-parts.ts";
import { EPOCH_SCENARIOS } from "./scenarios-epochs.ts";

const oneByzantine = (name: ByzantineName): Scenario => ({
  ...base,
  byzantine: { 3: name },
  epochHeights: 12,
  healMs: 4000,
});

const evidenced =
  (what: string) =>
  ({ oracle }: Stage): void => {
    if (oracle.equivocations === 0) oracle.fail(`no evidence of the ${what} was found`);
  };

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** Unpaced, no jitter, instant disk: what the protocol itself costs. */
  "all-online": {
    ...base,
    intervalMs: 0,
    syncMs: 0,
    link: { delayMs: 50, jitterMs: 0, loss: 0, duplicate: 0 },
    grows: 20,
  },
  "wide-area": {
    ...base,
    nodes: 13,
    intervalMs: 0,
    link: { delayMs: 100, jitterMs: 20, loss: 0, duplicate: 0 },
  },
  "real-signatures": {
    ...base,
    crypto: "bls",
    slow: true,
    byzantine: { 3: "forger" },
    healMs: 1500,
    grows: 5,
  },
  "one-offline": {
    ...base,
    script: ({ world, nodes }) => world.at(500, () => nodes[2]?.crash()),
    healMs: 4000,
    growMs: 60_000,
  },
  "slow-validator": {
    ...base,
    script: ({ network }) => {
      network.extraMs = (from, to) => (from === 1 || to === 1 ? 300 : 0);
    },
  },
  backfill: {
    ...base,
    epochHeights: 10,
    script: (stage) => bounce(stage, 1, 10, 6000),
    healMs: 6100,
  },
  "equivocating-proposer": { ...oneByzantine("equivocator"), expect: evidenced("equivocator") },
  conflicter: { ...oneByzantine("conflicter"), expect: evidenced("conflicter") },
  nuller: { ...oneByzantine("nuller"), expect: evidenced("nuller") },
  impersonator: oneByzantine("impersonator"),
  forger: oneByzantine("forger"),
  outdated: oneByzantine("outdated"),
  "invalid-proposals": oneByzantine("invalid"),
  withholder: oneByzantine("withholder"),
  /** Unpaced, so that the parent it skips is not final yet. */
  skipper: {
    ...oneByzantine("skipper"),
    intervalMs: 0,
    link: { ...LINK, loss: 0.05 },
    healMs: 2000,
    growMs: 60_000,
  },
  reconfigurer: oneByzantine("reconfigurer"),
  silent: oneByzantine("silent"),
  "two-byzantine-of-seven": {
    ...base,
    nodes: 7,
    byzantine: { 5: "equivocator", 6: "conflicter" },
    link: { ...LINK, loss: 0.02 },
    healMs: 4000,
    growMs: 60_000,
  },
  "partition-and-heal": {
    ...base,
    script: (stage) => {
      for (let i = 0; i < 4; i++) partition(stage, 500 + 1500 * i, 1200, 2 + (i % 2));
    },
    healMs: 6500,
    growMs: 60_000,
  },
  "split-views": {
    ...base,
    nodes: 5,
    /** Each direction of each link fails on its own, and changes often. */
    script: ({ world, network }) => {
      const flip = (): void => {
        const salt = world.random.below(1 << 30);
        network.passes = (from, to) => ((salt >> ((from * 5 + to) % 25)) & 1) === 1;
        if (world.nowMs < 6000) world.at(world.nowMs + 150 + world.random.below(500), flip);
        else network.passes = () => true;
      };
      world.at(300, flip);
    },
    healMs: 7000,
    growMs: 60_000,
  },
  "slow-and-lossy-links": {
    ...base,
    link: { delayMs: 60, jitterMs: 120, loss: 0.15, duplicate: 0.1 },
    grows: 5,
    growMs: 120_000,
  },
  bursts: {
    ...base,
    script: ({ world, network }) => {
      let slow = false;
      network.extraMs = () => (slow ? 400 * world.random.unit() : 0);
      for (let i = 0; i < 12; i++) world.at(300 * i, () => (slow = !slow));
    },
    healMs: 4000,
  },
  "crash-restart": {
    ...base,
    script: (stage) => {
      for (let i = 0; i < 10; i++) {
        bounce(stage, stage.world.random.below(4), 300 + 500 * i, 50 + stage.world.random.below(900));
      }
    },
    healMs: 6500,
    growMs: 60_000,
  },
  "crash-matrix": {
    ...base,
    syncMs: 5,
    epochHeights: 8,
    script: (stage) => crashMatrix(stage, 6000),
    healMs: 7500,
    growMs: 60_000,
  },
  "all-crash-after-nullify": {
    ...base,
    script: (stage) => {
      const { world, network, nodes } = stage;
      // Nobody hears anybody, so all nullify; then all go down before any nullify was heard.
      world.at(700, () => {
        network.passes = () => false;
      });
      for (const id of all(stage)) bounce(stage, id, 2500 + world.random.below(800), 1000);
      world.at(4400, () => {
        network.passes = () => true;
        for (const node of nodes) if (node.engine === undefined) node.start();
      });
    },
    healMs: 4500,
  },
  "crash-between-effects": {
    ...base,
    slow: true,
    syncMs: 5,
    epochHeights: 40,
    script: (stage) => crashBetweenEffects(stage, 40_000),
    healMs: 40_100,
    growMs: 60_000,
  },
  /** Own votes survive the crash, but every certificate above the finalized one may be lost. */
  "crash-forgets-certificates": {
    ...base,
    epochHeights: 8,
    forgets: true,
    syncMs: 5,
    script: (stage) => crashMatrix(stage, 6000),
    healMs: 7500,
    growMs: 60_000,
  },
  "equivocator-and-crashes": {
    ...base,
    byzantine: { 3: "equivocator" },
    link: { ...LINK, duplicate: 0.3, jitterMs: 60 },
    script: (stage) => {
      for (let i = 0; i < 40; i++) bounce(stage, stage.world.random.below(3), 200 + 130 * i, 10);
    },
    healMs: 6000,
    growMs: 60_000,
  },
  "unequal-stakes": {
    ...base,
    nodes: 5,
    weights: [40, 25, 15, 12, 9],
    byzantine: { 1: "equivocator" },
    healMs: 4000,
    growMs: 60_000,
  },
  /** One validator is always outside the first quorum: its votes are in the late certificates all the same. */
  "late-votes": {
    ...base,
    nodes: 4,
    script: ({ network }) => {
      network.extraMs = (from) => (from === 2 ? 60 : 0);
    },
    healMs: 4000,
    expect: ({ oracle }) => {
      const counts = [0, 1, 2, 3].map((key) => oracle.participants.get(key) ?? 0);
      if (Math.min(...counts) * 2 < Math.max(...counts))
        oracle.fail(`a late voter is not paid: ${counts.join(", ")}`);
    },
  },
  /** Two validators are always outside the first quorum: they are banned nowhere, and in the late certificates. */
  "outside-the-first-quorum": {
    ...base,
    nodes: 7,
    script: ({ network }) => {
      network.extraMs = (from) => (from >= 5 ? 60 : 0);
    },
    healMs: 4000,
    grows: 20,
    expect: ({ oracle }) => {
      const counts = [0, 1, 2, 3, 4, 5, 6].map((key) => oracle.participants.get(key) ?? 0);
      if (Math.min(...counts) * 10 < Math.max(...counts) * 9)
        oracle.fail(`a late voter is missing from the late certificates: ${counts.join(", ")}`);
      const first = [5, 6].map((key) => oracle.firstSigners.get(key) ?? 0);
      if (Math.max(...first) > 0) oracle.fail(`a late voter is in first certificates: ${first.join(", ")}`);
    },
  },
  twins: {
    ...base,
    nodes: 5,
    twins: [4],
    script: ({ world, network }) => {
      // Each twin reaches a random part of the others, which changes often.
      const flip = (): void => {
        const mask = world.random.below(1 << 10);
        network.passes = (from, to) => {
          if (from !== 4 && from !== 5 && to !== 4 && to !== 5) return true;
          const twin = from === 4 || to === 4 ? 0 : 5;
          const other = from === 4 || from === 5 ? to : from;
          return other >= 4 || ((mask >> (twin + other)) & 1) === 1;
        };
        if (world.nowMs < 5000) world.at(world.nowMs + 200, flip);
        else network.passes = () => true;
      };
      world.at(0, flip);
    },
    healMs: 5500,
    growMs: 60_000,
  },
  ...EPOCH_SCENARIOS,
};
