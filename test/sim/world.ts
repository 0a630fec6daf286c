/**
 * Virtual time, seeded randomness and the simulated network. Nothing here reads a clock: one seed is
 * one history. Used by node.ts and scenarios.ts.
 */
import type { Message } from "./messages.ts";

export type Random = {
  /** In [0, 1). */
  unit(): number;
  below(bound: number): number;
  chance(probability: number): boolean;
};

/** sfc32, seeded by one number. */
export function createRandom(seed: number): Random {
  let [a, b, c, d] = [0x9e3779b9 ^ seed, 0x243f6a88, 0xb7e15162, seed | 1];
  const next = (): number => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return {
    unit: next,
    below: (bound) => Math.floor(next() * bound),
    chance: (probability) => probability > 0 && next() < probability,
  };
}

type Event = { readonly atMs: number; readonly order: number; readonly act: () => void };

export type World = {
  readonly nowMs: number;
  readonly random: Random;
  at(ms: number, act: () => void): void;
  /** Runs events until the time or until `enough` says so. */
  run(untilMs: number, enough?: () => boolean): void;
};

export function createWorld(seed: number): World {
  const heap: Event[] = [];
  let nowMs = 0;
  let order = 0;
  const before = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  const at = (i: number): Event => heap[i] as Event;

  function push(event: Event): void {
    let i = heap.push(event) - 1;
    while (i > 0 && before(event, at((i - 1) >> 1))) {
      heap[i] = at((i - 1) >> 1);
      i = (i - 1) >> 1;
    }
    heap[i] = event;
  }

  function pop(): Event | undefined {
    const [top] = heap;
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let i = 0;
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && before(at(child + 1), at(child))) child++;
      if (!before(at(child), last)) break;
      heap[i] = at(child);
      i = child;
    }
    heap[i] = last;
    return top;
  }

  return {
    random: createRandom(seed),
    get nowMs() {
      return nowMs;
    },
    at: (ms, act) => push({ atMs: Math.max(ms, nowMs), order: order++, act }),
    run(untilMs, enough) {
      while (heap.length > 0 && at(0).atMs <= untilMs) {
        const event = pop();
        if (event === undefined) break;
        nowMs = event.atMs;
        event.act();
        if (enough?.() === true) return;
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}

export type Link = {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly loss: number;
  readonly duplicate: number;
};

export type Network = {
  link: Link;
  /** Whether messages pass from one node to another now: partitions, masks. */
  passes: (from: number, to: number, message: Message) => boolean;
  /** Added to the link's delay. */
  extraMs: (from: number, to: number) => number;
  send(from: number, to: number, message: Message): void;
  /** Messages handed over. */
  readonly delivered: number;
};

export function createNetwork(
  world: World,
  link: Link,
  deliver: (from: number, to: number, message: Message) => void,
): Network {
  let delivered = 0;
  const network: Network = {
    link,
    passes: () => true,
    extraMs: () => 0,
    get delivered() {
      return delivered;
    },
    send(from, to, message) {
      const { delayMs, jitterMs, loss, duplicate } = network.link;
      if (!network.passes(from, to, message)) return;
      const copies = world.random.chance(duplicate) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (world.random.chance(loss)) continue;
        const arrivesMs = world.nowMs + delayMs + network.extraMs(from, to) + jitterMs * world.random.unit();
        world.at(arrivesMs, () => {
          if (!network.passes(from, to, message)) return;
          delivered++;
          deliver(from, to, message);
        });
      }
    },
  };
  return network;
}
