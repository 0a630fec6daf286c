/**
 * Runs one scenario with one seed: sets the nodes up, plays the script, and asks the oracle. Used by
 * main.ts and sim.test.ts.
 */

import type { EngineTimeouts } from "../../consensus/engine/protocol.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import type { Epoch, ValidatorIndex } from "../../consensus/primitives/units.ts";
import { createValidatorSet, type ValidatorSet } from "../../consensus/types/validator-set.ts";
import { BYZANTINE, type ByzantineName } from "./byzantine.ts";
import { type Crypto, createBlsCrypto, createMockCrypto } from "./crypto.ts";
import type { Deployment, SimNode } from "./machine.ts";
import type { Message } from "./messages.ts";
import { createNode } from "./node.ts";
import { createOracle, type Oracle } from "./oracle.ts";
import { createNetwork, createWorld, type Link, type Network, type World } from "./world.ts";

/** What a script may do. */
export type Stage = {
  readonly world: World;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly oracle: Oracle;
  /** Lowest finalized height among honest nodes that are up. */
  lowest(): number;
  highest(): number;
};

export type Scenario = {
  readonly nodes: number;
  /** Weights by key; equal ones if undefined. */
  readonly weights?: readonly number[];
  /** Keys in the set of an epoch; all if undefined. */
  readonly members?: (epoch: number) => readonly number[];
  readonly byzantine?: Readonly<Record<number, ByzantineName>>;
  /** Keys that two nodes have; both are Byzantine then. */
  readonly twins?: readonly number[];
  readonly epochHeights: number;
  readonly intervalMs: number;
  readonly timeouts?: EngineTimeouts;
  readonly link: Link;
  readonly syncMs: number;
  /** A crash may lose certificates above the finalized one (never own votes). */
  readonly forgets?: boolean;
  /** Crashes, partitions and so on, as events. */
  readonly script?: (stage: Stage) => void;
  /** When everything is well again. */
  readonly healMs: number;
  /** Heights that every honest node must finalize after that, within `growMs`. */
  readonly grows: number;
  readonly growMs: number;
  /** Scenario's own conditions. */
  readonly expect?: (stage: Stage) => void;
  readonly crypto?: "mock" | "bls";
  /** Takes seconds: fewer seeds in the sample. */
  readonly slow?: boolean;
};

export type RunResult = {
  readonly violations: readonly string[];
  readonly height: number;
  readonly views: number;
  readonly messages: number;
  readonly equivocations: number;
  readonly proposedAgain: number;
  /** Medians, in units of the link's delay. */
  readonly finalityDelta: number;
  readonly intervalDelta: number;
};

const CHAIN = hash("chain-id", new TextEncoder().encode("simulated"));

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

function setsOf(scenario: Scenario, crypto: Crypto, seed: number): (epoch: Epoch) => ValidatorSet {
  const sets = new Map<Epoch, ValidatorSet>();
  const all = Array.from({ length: scenario.nodes }, (_, key) => key);
  return (epoch) => {
    const known = sets.get(epoch);
    if (known !== undefined) return known;
    const members = (scenario.members?.(epoch) ?? all).map((key) => {
      const weight = BigInt(scenario.weights?.[key] ?? 1);
      return {
        validator: key as ValidatorIndex,
        blsKey: crypto.publicKey(key),
        weight,
        electionWeight: weight,
      };
    });
    const set = createValidatorSet(epoch, members, hash("beacon", new Uint8Array(4).fill(seed + epoch)));
    sets.set(epoch, set);
    return set;
  };
}

/** At a 500 ms interval: 1 s, 2 s, 1 s. */
export const timeoutsFor = (intervalMs: number, delayMs: number): EngineTimeouts => ({
  proposalMs: Math.max(2 * intervalMs, intervalMs + 10 * delayMs),
  notarizationMs: Math.max(4 * intervalMs, intervalMs + 20 * delayMs),
  retryMs: Math.max(2 * intervalMs, 10 * delayMs),
  skipMs: 10_000,
});

export function runScenario(scenario: Scenario, seed: number): RunResult {
  const world = createWorld(seed);
  const crypto = scenario.crypto === "bls" ? createBlsCrypto() : createMockCrypto();
  const setOf = setsOf(scenario, crypto, seed);
  const places = Array.from({ length: scenario.nodes }, (_, id) => ({ id, key: id }));
  for (const key of scenario.twins ?? []) places.push({ id: places.length, key });
  const honestKey = (key: number): boolean =>
    scenario.byzantine?.[key] === undefined && scenario.twins?.includes(key) !== true;
  const honest = (id: number): boolean => honestKey(places[id]?.key ?? -1);
  const oracle = createOracle(honest, honestKey, setOf);
  const nodes: SimNode[] = [];
  const deliver = (from: number, to: number, message: Message): void => nodes[to]?.receive(from, message);
  const network = createNetwork(world, scenario.link, deliver);
  const deployment: Deployment = {
    world,
    network,
    oracle,
    crypto,
    chainTag: CHAIN,
    setOf,
    epochHeights: scenario.epochHeights,
    intervalMs: scenario.intervalMs,
    timeouts: scenario.timeouts ?? timeoutsFor(scenario.intervalMs, scenario.link.delayMs),
    syncMs: scenario.syncMs,
    forgets: scenario.forgets ?? false,
    nodes: places,
  };
  for (const { id, key } of places) {
    const name = scenario.byzantine?.[key];
    nodes.push(createNode(deployment, id, key, name === undefined ? undefined : BYZANTINE[name]));
  }
  const heights = (): number[] =>
    nodes.filter((it) => honest(it.id) && it.engine !== undefined).map((it) => it.height);
  const stage: Stage = {
    world,
    network,
    nodes,
    oracle,
    lowest: () => Math.min(...heights()),
    highest: () => Math.max(...heights()),
  };
  for (const node of nodes) world.at(world.random.unit() * 5, () => node.start());
  scenario.script?.(stage);
  world.run(scenario.healMs);
  const goal = Math.max(0, stage.highest()) + scenario.grows;
  world.run(scenario.healMs + scenario.growMs, () => stage.lowest() >= goal);
  if (stage.lowest() < goal) {
    oracle.fail(
      `stalled: the lowest height is ${stage.lowest()}, not ${goal}, ${scenario.growMs} ms after healing`,
    );
  }
  for (const node of nodes.filter((it) => honest(it.id))) {
    for (const position of node.engine?.status().banned ?? []) {
      const key = setOf(node.epoch).members[position]?.validator ?? -1;
      if (honestKey(key)) oracle.fail(`honest ${key} is banned by node ${node.id}`);
    }
  }
  scenario.expect?.(stage);
  oracle.end();
  return {
    violations: oracle.violations,
    height: stage.highest(),
    views: oracle.views,
    messages: network.delivered,
    equivocations: oracle.equivocations,
    proposedAgain: oracle.proposedAgain,
    finalityDelta: median(oracle.finalityMs) / scenario.link.delayMs,
    intervalDelta: median(oracle.intervalMs) / scenario.link.delayMs,
  };
}
