/** Scenarios about epochs, changing sets, and long times without finality. Part of scenarios.ts. */
import { VoteKind } from "../../consensus/types/vote.ts";
import { LAST_EPOCH_OF_GHOST } from "./byzantine.ts";
import type { Scenario } from "./run.ts";
import { base, bounce, LINK } from "./scenario-parts.ts";

export const EPOCH_SCENARIOS: Readonly<Record<string, Scenario>> = {
  epochs: {
    ...base,
    epochHeights: 5,
    script: (stage) => {
      for (let i = 0; i < 5; i++) bounce(stage, stage.world.random.below(4), 400 + 900 * i, 700);
    },
    healMs: 5500,
    grows: 15,
    growMs: 60_000,
  },
  /** 4 → 7 → 4, while one proposer is missing at a boundary, and over lossy links. */
  "set-changes": {
    ...base,
    nodes: 7,
    members: (epoch) => (epoch % 2 === 0 ? [0, 1, 2, 3] : [6, 5, 4, 3, 2, 1, 0]),
    epochHeights: 6,
    link: { ...LINK, loss: 0.02 },
    script: (stage) => bounce(stage, 2, 500, 2500),
    healMs: 4000,
    grows: 20,
    growMs: 90_000,
  },
  /** Finality is lost on the way most of the time, so that last blocks are proposed again and again. */
  "boundary-without-finality": {
    ...base,
    epochHeights: 3,
    script: (stage) => {
      const { world, network } = stage;
      network.passes = (_from, _to, message) => {
        const kind =
          message.kind === "vote"
            ? message.vote.subject.kind
            : message.kind === "certificate" && message.certificate.subject.kind;
        return world.nowMs > 6000 || kind !== VoteKind.finalize || world.random.chance(0.35);
      };
      for (let i = 0; i < 4; i++) bounce(stage, world.random.below(4), 1000 + 1200 * i, 500);
    },
    healMs: 6100,
    growMs: 60_000,
    expect: ({ oracle }) => {
      if (oracle.proposedAgain === 0) oracle.fail("no last block was proposed again");
    },
  },
  /** No proposal arrives for 300 views: more nullifications than may travel, and one node that has none of them. */
  "three-hundred-skipped-views": {
    ...base,
    slow: true,
    script: (stage) => {
      const { world, network, nodes } = stage;
      let skipping = true;
      network.passes = (_from, _to, message) =>
        !skipping || message.kind !== "proposal" || world.nowMs < 1000;
      world.at(900, () => nodes[1]?.crash());
      const watch = (): void => {
        skipping = (nodes[0]?.engine?.view ?? 0) < 310;
        if (skipping) world.at(world.nowMs + 1000, watch);
        else nodes[1]?.start();
      };
      world.at(1000, watch);
    },
    healMs: 3_000_000,
    grows: 20,
    growMs: 600_000,
  },
  /** 4 → 7 → 4, and each time whoever is to propose the epoch's last block goes down with it. */
  "missing-boundary-proposer": {
    ...base,
    nodes: 7,
    members: (epoch) => (epoch % 2 === 0 ? [0, 1, 2, 3] : [6, 5, 4, 3, 2, 1, 0]),
    epochHeights: 6,
    script: ({ world, network, nodes, oracle }) => {
      const missing = new Map<number, number>();
      network.passes = (from, _to, message) => {
        if (message.kind !== "proposal" || world.nowMs > 8000) return true;
        const { height, epoch } = message.proposal.block.header;
        if (height % 6 !== 0) return true;
        if (!missing.has(epoch)) {
          missing.set(epoch, from);
          world.at(world.nowMs, () => nodes[from]?.crash());
          world.at(world.nowMs + 700, () => nodes[from]?.engine === undefined && nodes[from]?.start());
        }
        return missing.get(epoch) !== from;
      };
      world.at(8000, () => {
        if (missing.size < 3) oracle.fail(`only ${missing.size} boundaries had no proposer`);
      });
    },
    healMs: 9000,
    growMs: 60_000,
  },
  /** Removed three epochs ago, it equivocates in its last epoch and votes in the present one. */
  "removed-validator-equivocates": {
    ...base,
    nodes: 5,
    members: (epoch) => (epoch <= LAST_EPOCH_OF_GHOST ? [0, 1, 2, 3, 4] : [3, 2, 1, 0]),
    byzantine: { 4: "ghost" },
    epochHeights: 5,
    healMs: 4000,
    expect: ({ oracle, nodes }) => {
      if (oracle.equivocations > 0) oracle.fail("a vote of another epoch became evidence in this one");
      if ((nodes[4]?.epoch ?? 0) < LAST_EPOCH_OF_GHOST + 3) oracle.fail("the removed validator did nothing");
    },
  },
};
