/**
 * A simulated node: the engine with a small driver around it (effects.ts, catching-up.ts). A crash
 * forgets everything but the disk. Used by run.ts.
 */
import { createEngine } from "../../consensus/engine/engine.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { blockHash } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { answer } from "./answers.ts";
import { takeBlock } from "./catching-up.ts";
import { createChain, GENESIS_HASH } from "./chain.ts";
import { createDisk, forgetCertificates } from "./disk.ts";
import { carryOut } from "./effects.ts";
import {
  askSomebody,
  type Deployment,
  feed,
  lastHeight,
  later,
  type Machine,
  positionOf,
  type SimNode,
  send,
  sign,
  type Tamper,
} from "./machine.ts";
import { epochOf, type Message } from "./messages.ts";

const STANDSTILL_MS = 5000;
/** In one instant of virtual time; more is a loop. */
const TURNS_MAX = 1000;
/** Records of a finished epoch are kept for this many more. */
const EPOCHS_KEPT = 2;

/** Goes through a node's queue turn by turn, then sets its timer. */
function createPump(machine: Machine): { pump(): void; disarm(): void } {
  const { world, oracle } = machine.deployment;
  let turns = 0;
  let turnMs = 0;
  let timerMs = Number.POSITIVE_INFINITY;

  function isLooping(): boolean {
    turns = world.nowMs === turnMs ? turns + 1 : 0;
    turnMs = world.nowMs;
    if (turns <= TURNS_MAX) return false;
    oracle.fail(`node ${machine.id} goes on without end`);
    machine.crash();
    return true;
  }

  function armTimer(): void {
    const atMs = machine.engine?.deadline ?? Number.POSITIVE_INFINITY;
    if (atMs === Number.POSITIVE_INFINITY || atMs === timerMs) return;
    timerMs = atMs;
    later(machine, atMs, () => {
      if (timerMs !== atMs) return;
      timerMs = Number.POSITIVE_INFINITY;
      if (machine.engine !== undefined && machine.engine.deadline <= world.nowMs) {
        feed(machine, { kind: "tick" });
      } else armTimer();
    });
  }

  return {
    disarm() {
      timerMs = Number.POSITIVE_INFINITY;
    },
    pump() {
      const { queue } = machine;
      machine.busy = true;
      for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
        if (machine.engine === undefined || isLooping()) return;
        if (!carryOut(machine, machine.engine.step(input, world.nowMs))) return;
      }
      machine.busy = false;
      if (machine.ended === undefined) armTimer();
      else nextEpoch(machine, machine.ended);
    },
  };
}

function nextEpoch(machine: Machine, certificate: Certificate): void {
  const { disk, epoch } = machine;
  disk.boundaries.set(epoch, certificate);
  disk.certificates.delete((epoch - EPOCHS_KEPT) as Epoch);
  machine.epoch = (epoch + 1) as Epoch;
  machine.ended = undefined;
  machine.finality = [];
  machine.queue.length = 0;
  startEngine(machine, undefined);
}

function startEngine(machine: Machine, restored: { view: View; hash: Uint8Array } | undefined): void {
  const { deployment, disk, epoch } = machine;
  const { crypto, chainTag, setOf, intervalMs, timeouts, world } = deployment;
  const before = disk.boundaries.get((epoch - 1) as Epoch);
  const certificates = [...(disk.certificates.get(epoch)?.values() ?? [])];
  machine.engine = createEngine({
    ...crypto,
    chain: chainTag,
    set: setOf(epoch),
    self: positionOf(machine, epoch, machine.key),
    lastHeight: lastHeight(machine, epoch),
    intervalMs,
    timeouts,
    root: {
      hash: before?.subject.blockHash ?? GENESIS_HASH,
      certificate: before,
      set: before === undefined ? undefined : setOf((epoch - 1) as Epoch),
    },
    restored: {
      subjects: disk.votes.get(epoch) ?? [],
      certificates: certificates.filter((it) => it.subject.view >= (restored?.view ?? 0)),
      finalized: restored,
    },
  });
  const started = machine.engine.start(world.nowMs);
  machine.busy = true;
  if (carryOut(machine, started)) machine.pump();
}

/** Nothing became final for long: asks where the others are. */
function watch(machine: Machine, height: Height): void {
  later(machine, machine.deployment.world.nowMs + STANDSTILL_MS, () => {
    const { disk, epoch } = machine;
    if (disk.finalized.height === height) askSomebody(machine, { kind: "ask-tip", epoch });
    watch(machine, disk.finalized.height);
  });
}

function start(machine: Machine): void {
  const { deployment, disk } = machine;
  const { finalized } = disk;
  machine.chain = createChain(deployment.intervalMs, deployment.setOf);
  machine.blocks = new Map(disk.blocks);
  const replay = [...disk.blocks.values()].sort((a, b) => a.header.height - b.header.height);
  // Only what is final is executed again by itself; the rest waits for its check.
  for (const block of replay) {
    if (block.header.height <= finalized.height) machine.chain.verdict(block, Number.POSITIVE_INFINITY);
  }
  machine.epoch = Math.floor(finalized.height / deployment.epochHeights) as Epoch;
  startEngine(machine, finalized.epoch === machine.epoch && finalized.view > 0 ? finalized : undefined);
  watch(machine, finalized.height);
}

function receive(machine: Machine, from: number, message: Message): void {
  const { deployment, disk, epoch } = machine;
  if (machine.engine === undefined) return;
  const of = epochOf(message);
  if (of !== undefined && of > epoch) {
    send(machine, from, { kind: "ask-tip", epoch });
    return;
  }
  if (of !== undefined && of < epoch) {
    const certificate = disk.boundaries.get(of);
    const behind = message.kind !== "certificate" && certificate !== undefined;
    if (behind && deployment.world.random.chance(0.2)) {
      send(machine, from, { kind: "certificate", certificate });
    }
    return;
  }
  const key = deployment.nodes.find((it) => it.id === from)?.key;
  const position = key === undefined ? undefined : positionOf(machine, epoch, key);
  switch (message.kind) {
    case "proposal":
      // Votes and proposals are taken from seated validators only.
      if (position !== undefined) feed(machine, { ...message, from: position });
      return;
    case "vote":
      if (position !== undefined) feed(machine, { ...message, from: position });
      return;
    case "certificate":
      feed(machine, { ...message, from: position });
      return;
    case "block":
      if (!machine.fetching.delete(toHex(blockHash(message.block.header)))) return;
      takeBlock(machine, message.block, position);
      if (!machine.busy) machine.pump();
      return;
    case "ask-block":
    case "ask-certificates":
    case "ask-tip":
      for (const it of answer(disk, (name) => machine.blocks.get(name), epoch, message)) {
        send(machine, from, it);
      }
  }
}

export function createNode(deployment: Deployment, id: number, key: number, tamper?: Tamper): SimNode {
  const disk = createDisk(GENESIS_HASH);
  const machine: Machine = {
    deployment,
    id,
    key,
    disk,
    node: undefined,
    tamper,
    chain: createChain(deployment.intervalMs, deployment.setOf),
    engine: undefined,
    epoch: 0 as Epoch,
    life: 0,
    queue: [],
    busy: false,
    stepsLeft: Number.POSITIVE_INFINITY,
    blocks: new Map(),
    waiting: new Set(),
    fetching: new Set(),
    finality: [],
    rechecking: false,
    ended: undefined,
    pump: () => turner.pump(),
    crash() {
      machine.life++;
      if (deployment.forgets && deployment.world.random.chance(0.5)) forgetCertificates(disk);
      machine.engine = undefined;
      machine.queue.length = 0;
      machine.busy = machine.rechecking = false;
      machine.stepsLeft = Number.POSITIVE_INFINITY;
      turner.disarm();
      machine.waiting = new Set();
      machine.fetching = new Set();
      machine.finality = [];
      machine.ended = undefined;
    },
  };
  const turner = createPump(machine);
  const node: SimNode = {
    id,
    key,
    disk,
    get engine() {
      return machine.engine;
    },
    get epoch() {
      return machine.epoch;
    },
    get height() {
      return disk.finalized.height;
    },
    sign: (subject) => sign(machine, subject),
    start: () => start(machine),
    crash: () => machine.crash(),
    crashAfter(steps) {
      machine.stepsLeft = steps;
    },
    receive: (from, message) => receive(machine, from, message),
  };
  machine.node = node;
  return node;
}
