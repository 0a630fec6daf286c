/** What scenarios are made of: a base to vary, and troubles to play. Used by scenarios.ts and scenarios-epochs.ts. */
import type { Scenario, Stage } from "./run.ts";

export const LINK = { delayMs: 20, jitterMs: 10, loss: 0, duplicate: 0.02 };

export const base: Scenario = {
  nodes: 4,
  epochHeights: 1000,
  intervalMs: 100,
  link: LINK,
  syncMs: 1,
  healMs: 3000,
  grows: 10,
  growMs: 30_000,
};

export const all = ({ nodes }: Stage): number[] => nodes.map((it) => it.id);

/** Crashes a node now and starts it again later. */
export function bounce({ world, nodes }: Stage, id: number, atMs: number, downMs: number): void {
  world.at(atMs, () => {
    nodes[id]?.crash();
    world.at(atMs + downMs, () => {
      if (nodes[id]?.engine === undefined) nodes[id]?.start();
    });
  });
}

/** Splits the nodes into groups at random for a while. */
export function partition(
  { world, network, nodes }: Stage,
  atMs: number,
  forMs: number,
  groups: number,
): void {
  world.at(atMs, () => {
    const group = nodes.map(() => world.random.below(groups));
    network.passes = (from, to) => group[from] === group[to];
    world.at(atMs + forMs, () => {
      network.passes = () => true;
    });
  });
}

/** Nodes that crash after some number of effects, again and again, until the heal. */
export function crashMatrix(stage: Stage, untilMs: number): void {
  const { world, nodes } = stage;
  const again = (): void => {
    if (world.nowMs > untilMs) return;
    for (const node of nodes) {
      if (node.engine === undefined) node.start();
      else if (world.random.chance(0.5)) node.crashAfter(1 + world.random.below(12));
    }
    world.at(world.nowMs + 200 + world.random.below(600), again);
  };
  world.at(100, again);
  world.at(untilMs + 1000, () => {
    for (const node of nodes) {
      node.crashAfter(Number.POSITIVE_INFINITY);
      if (node.engine === undefined) node.start();
    }
  });
}

/** Steps of carrying effects out after which a node goes down, counted from when it enters a view. */
const CRASH_STEPS = 12;
/** As which the node enters the view: its proposer, the next view's, or neither. */
const CRASH_ROLES = ["proposer", "next", "voter"] as const;

/**
 * The crash matrix: one node after the other goes down between each two of its effects, as each role,
 * and comes back shortly after. `untilMs` is when all points must have been reached.
 */
export function crashBetweenEffects({ world, nodes, oracle }: Stage, untilMs: number): void {
  const points = CRASH_ROLES.flatMap((role) =>
    Array.from({ length: CRASH_STEPS }, (_, i) => ({ role, steps: i + 1 })),
  );
  let at = 0;
  let armed = false;
  let seen = 0;
  const watch = (): void => {
    const point = points[at];
    const node = nodes[at % nodes.length];
    if (point === undefined || node === undefined) return;
    const { engine, key } = node;
    if (engine === undefined) {
      at++;
      armed = false;
      world.at(world.nowMs + 60, () => node.start());
      world.at(world.nowMs + 120, watch);
      return;
    }
    if (!armed && engine.view !== seen) {
      seen = engine.view;
      const { proposer, set } = { proposer: engine.status().proposer, set: nodes.length };
      const role = proposer === key ? "proposer" : (proposer + 1) % set === key ? "next" : "voter";
      armed = role === point.role;
      if (armed) node.crashAfter(point.steps);
    }
    world.at(world.nowMs + 1, watch);
  };
  world.at(300, watch);
  world.at(untilMs, () => {
    if (at < points.length) oracle.fail(`only ${at} of ${points.length} crash points were reached`);
  });
}
