/**
 * A simulated node: the engine with a small driver around it. Effects are carried out in their
 * order; a turn's writes are synced before anything of that turn is sent; own votes are fed back
 * only then. A crash forgets everything but the disk. Used by scenarios.ts.
 */
import { createEngine, type Engine } from "../../consensus/engine/engine.ts";
import type { Effect, EngineTimeouts, Input } from "../../consensus/engine/protocol.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, blockHash } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { ValidatorSet } from "../../consensus/types/validator-set.ts";
import { type Subject, signingRoot, type Vote } from "../../consensus/types/vote.ts";
import { answer } from "./answers.ts";
import { ancestorOf, type Chain, createChain, GENESIS_HASH } from "./chain.ts";
import type { Crypto } from "./crypto.ts";
import {
  createDisk,
  type Disk,
  forgetCertificates,
  type Write,
  writeBlock,
  writeCertificate,
  writeVote,
} from "./disk.ts";
import { epochOf, type Message } from "./messages.ts";
import type { Oracle } from "./oracle.ts";
import type { Network, World } from "./world.ts";

export type Deployment = {
  readonly world: World;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly crypto: Crypto;
  readonly chainTag: Uint8Array;
  readonly setOf: (epoch: Epoch) => ValidatorSet;
  readonly epochHeights: number;
  readonly intervalMs: number;
  readonly timeouts: EngineTimeouts;
  /** The longest a sync takes. */
  readonly syncMs: number;
  /** Whether a crash may lose certificates. */
  readonly forgets: boolean;
  /** Each node's place in the network, and its key. */
  readonly nodes: readonly { readonly id: number; readonly key: number }[];
};

/** What a Byzantine node sends to one recipient instead of a message. */
export type Tamper = (message: Message, to: number, node: SimNode) => readonly Message[];

export type SimNode = {
  readonly id: number;
  readonly key: number;
  readonly disk: Disk;
  readonly engine: Engine | undefined;
  readonly epoch: Epoch;
  readonly height: Height;
  sign(subject: Subject): Vote;
  start(): void;
  crash(): void;
  /** Crashes after this many more steps of carrying out effects. */
  crashAfter(steps: number): void;
  receive(from: number, message: Message): void;
};

const FETCH_RETRY_MS = 500;
const STANDSTILL_MS = 5000;
/** In one instant of virtual time; more is a loop. */
const TURNS_MAX = 1000;

export function createNode(deployment: Deployment, id: number, key: number, tamper?: Tamper): SimNode {
  const { world, network, oracle, crypto, chainTag, setOf, epochHeights } = deployment;
  const disk = createDisk(GENESIS_HASH);
  let chain: Chain = createChain(deployment.intervalMs, setOf);
  let engine: Engine | undefined;
  let epoch = 0 as Epoch;
  /** Everything begun before a crash carries an older life, and is dropped. */
  let life = 0;
  let queue: Input[] = [];
  let busy = false;
  let stepsLeft = Number.POSITIVE_INFINITY;
  let timerMs = Number.POSITIVE_INFINITY;
  let blocks = new Map<string, Block>();
  let waiting = new Set<string>();
  let fetching = new Set<string>();
  let finality: Certificate[] = [];
  let rechecking = false;
  let turns = 0;
  let turnMs = 0;
  /** The finalization of the epoch's last block: the next engine starts when the turn at hand is over. */
  let ended: Certificate | undefined;

  const lastHeight = (of: Epoch): Height => ((of + 1) * epochHeights) as Height;
  const keyOf = (peer: number): number | undefined => deployment.nodes.find((it) => it.id === peer)?.key;
  const positionOf = (of: number): number | undefined => {
    const at = setOf(epoch).members.findIndex((member) => member.validator === of);
    return at < 0 ? undefined : at;
  };
  const later = (ms: number, act: () => void): void => {
    const born = life;
    world.at(ms, () => {
      if (born === life && engine !== undefined) act();
    });
  };

  function send(to: number, message: Message): void {
    for (const it of tamper === undefined ? [message] : tamper(message, to, node)) network.send(id, to, it);
  }
  function sendAll(message: Message): void {
    for (const peer of deployment.nodes) if (peer.id !== id) send(peer.id, message);
  }
  function askSomebody(message: Message, among?: readonly number[]): void {
    const others = deployment.nodes.filter((it) => it.id !== id && (among?.includes(it.key) ?? true));
    const peer = others[world.random.below(others.length)];
    if (peer !== undefined) send(peer.id, message);
  }

  function feed(input: Input): void {
    queue.push(input);
    if (!busy) pump();
  }

  function pump(): void {
    busy = true;
    for (let input = queue.shift(); input !== undefined && engine !== undefined; input = queue.shift()) {
      turns = world.nowMs === turnMs ? turns + 1 : 0;
      turnMs = world.nowMs;
      if (turns > TURNS_MAX) {
        oracle.fail(`node ${id} goes on without end`);
        node.crash();
        return;
      }
      if (!carryOut(engine.step(input, world.nowMs))) return;
    }
    busy = false;
    if (ended === undefined) armTimer();
    else nextEpoch(ended);
  }

  function armTimer(): void {
    const atMs = engine?.deadline ?? Number.POSITIVE_INFINITY;
    if (atMs === Number.POSITIVE_INFINITY || atMs === timerMs) return;
    timerMs = atMs;
    later(atMs, () => {
      if (timerMs !== atMs) return;
      timerMs = Number.POSITIVE_INFINITY;
      if (engine !== undefined && engine.deadline <= world.nowMs) feed({ kind: "tick" });
      else armTimer();
    });
  }

  /** One crash point: false if the node went down here. */
  function survives(): boolean {
    stepsLeft--;
    if (stepsLeft > 0) return true;
    node.crash();
    return false;
  }

  function writesOf(effects: readonly Effect[]): Write[] {
    const writes: Write[] = [];
    for (const effect of effects) {
      if (effect.kind === "vote") {
        const { subject, proposal } = effect;
        const block = proposal?.block ?? blocks.get(toHex(subject.blockHash));
        if (block !== undefined) writes.push(writeBlock(block));
        writes.push(writeVote(proposal === undefined ? { subject } : { subject, proposal }));
      } else if (effect.kind === "broadcast" || effect.kind === "store") {
        writes.push(writeCertificate(effect.certificate));
      }
    }
    return writes;
  }

  /** Writes, syncs, then does the rest. False if that goes on later or the node is down. */
  function carryOut(effects: readonly Effect[]): boolean {
    const writes = writesOf(effects);
    const finish = (): boolean => {
      for (const write of writes) write(disk);
      for (const effect of effects) {
        if (!survives()) return false;
        perform(effect);
      }
      return true;
    };
    if (writes.length === 0 || deployment.syncMs === 0) return finish();
    if (!survives()) return false;
    later(world.nowMs + deployment.syncMs * world.random.unit(), () => {
      if (finish()) pump();
    });
    return false;
  }

  function sign(subject: Subject): Vote {
    const position = positionOf(key) ?? 0;
    return { subject, signer: position, signature: crypto.sign(key, signingRoot(chainTag, subject)) };
  }

  function perform(effect: Effect): void {
    switch (effect.kind) {
      case "vote": {
        const vote = sign(effect.subject);
        oracle.signed(id, vote);
        if (effect.proposal === undefined) sendAll({ kind: "vote", vote });
        else {
          oracle.proposed(effect.subject.blockHash, world.nowMs);
          sendAll({ kind: "proposal", proposal: { ...effect.proposal, vote } });
        }
        queue.push({ kind: "vote", vote, from: undefined });
        return;
      }
      case "broadcast":
        oracle.certified(id, effect.certificate);
        sendAll({ kind: "certificate", certificate: effect.certificate });
        return;
      case "store":
        oracle.certified(id, effect.certificate);
        return;
      case "report":
        oracle.reported(id, setOf(epoch), effect.report);
        return;
      case "build":
        build(effect);
        return;
      case "check":
        blocks.set(toHex(effect.blockHash), effect.block);
        waiting.add(toHex(effect.blockHash));
        checkWaiting();
        return;
      case "fetch":
        if (effect.want === "block") fetchBlock(effect.blockHash, effect.signers);
        else askSomebody({ kind: "ask-certificates", epoch: effect.epoch, from: effect.from, to: effect.to });
        return;
      case "finalize":
        finality.push(effect.certificate);
        advanceFinality();
        return;
    }
  }

  function build({
    view,
    parentView,
    parentHash,
    parentCertificate,
    enteredMs,
  }: Extract<Effect, { kind: "build" }>): void {
    const parent = chain.executed.get(toHex(parentHash));
    if (parent === undefined) {
      queue.push({ kind: "built", view, block: undefined });
      return;
    }
    const atMs = Math.min(parent.timestampMs, enteredMs) + deployment.intervalMs;
    const make = (): void => {
      const below = parent.header === undefined ? undefined : ancestorOf(chain, parent.header, 3);
      const lateCertificate = below?.epoch === epoch ? engine?.lateCertificate(below.view) : undefined;
      const at = { epoch, view, parentView, parentCertificate, lateCertificate, nowMs: world.nowMs };
      const block = chain.build(parentHash, at);
      if (block !== undefined) blocks.set(toHex(blockHash(block.header)), block);
      feed({ kind: "built", view, block });
    };
    if (atMs <= world.nowMs) later(world.nowMs, make);
    else later(atMs, make);
  }

  /** Blocks whose parent came in the meantime are decided again, until nothing changes. */
  function checkWaiting(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const name of waiting) {
        const block = blocks.get(name);
        const verdict = block === undefined ? "pending" : chain.verdict(block, world.nowMs);
        if (block === undefined || verdict === "pending") continue;
        waiting.delete(name);
        queue.push({ kind: "checked", blockHash: blockHash(block.header), verdict });
        changed = true;
      }
    }
    if (waiting.size === 0 || rechecking) return;
    rechecking = true;
    later(world.nowMs + FETCH_RETRY_MS, () => {
      rechecking = false;
      checkWaiting();
      if (!busy) pump();
    });
  }

  function fetchBlock(hash: Uint8Array, signers: readonly number[]): void {
    const name = toHex(hash);
    const here = blocks.get(name) ?? disk.blocks.get(name);
    if (here !== undefined) {
      takeBlock(here, undefined);
      return;
    }
    if (fetching.has(name)) return;
    fetching.add(name);
    const keys = signers.map((position) => setOf(epoch).members[position]?.validator ?? -1);
    const ask = (waitMs: number): void => {
      if (!fetching.has(name)) return;
      askSomebody(
        { kind: "ask-block", blockHash: hash },
        world.random.chance(0.7) && keys.length > 0 ? keys : undefined,
      );
      later(world.nowMs + waitMs, () => ask(Math.min(waitMs * 1.5, 10_000)));
    };
    ask(FETCH_RETRY_MS);
  }

  function takeBlock(block: Block, from: number | undefined): void {
    blocks.set(toHex(blockHash(block.header)), block);
    queue.push({ kind: "block", block, from });
    advanceFinality();
  }

  /** Finalizes as far as blocks are there; asks for the first one missing. */
  function advanceFinality(): void {
    for (let certificate = finality[0]; certificate !== undefined; certificate = finality[0]) {
      const path = pathTo(certificate.subject.blockHash);
      if (path === undefined) return;
      if (ended !== undefined) return;
      for (const block of path) {
        const verdict = chain.verdict(block, Number.POSITIVE_INFINITY);
        if (verdict !== "valid") oracle.fail(`node ${id} finalized a block that is ${verdict}`);
        applyFinal(block, certificate);
      }
      finality.shift();
      if (disk.finalized.height === lastHeight(epoch)) {
        ended = certificate;
        return;
      }
    }
    checkWaiting();
  }

  /** Blocks above the finalized one up to this hash, ascending; undefined while one is missing. */
  function pathTo(hash: Uint8Array): Block[] | undefined {
    const path: Block[] = [];
    const floor = toHex(disk.finalized.hash);
    for (let at = hash; toHex(at) !== floor; ) {
      const block = blocks.get(toHex(at)) ?? disk.blocks.get(toHex(at));
      if (block === undefined) {
        fetchBlock(at, []);
        return undefined;
      }
      if (block.header.height <= disk.finalized.height) {
        if (toHex(at) !== floor) oracle.fail(`node ${id} saw a finalization beside its chain`);
        return [];
      }
      path.unshift(block);
      at = block.header.parentHash;
    }
    return path;
  }

  function applyFinal(block: Block, certificate: Certificate): void {
    const hash = blockHash(block.header);
    writeBlock(block)(disk);
    const { height } = block.header;
    disk.finalized = { epoch, view: certificate.subject.view, hash, height };
    oracle.finalized(id, block, hash, world.nowMs);
  }

  function nextEpoch(certificate: Certificate): void {
    disk.boundaries.set(epoch, certificate);
    disk.certificates.delete((epoch - 2) as Epoch);
    epoch = (epoch + 1) as Epoch;
    ended = undefined;
    finality = [];
    queue = [];
    startEngine(undefined);
  }

  function startEngine(restored: { view: View; hash: Uint8Array } | undefined): void {
    const before = disk.boundaries.get((epoch - 1) as Epoch);
    const position = positionOf(key);
    const certificates = [...(disk.certificates.get(epoch)?.values() ?? [])];
    engine = createEngine({
      ...crypto,
      chain: chainTag,
      set: setOf(epoch),
      self: position,
      lastHeight: lastHeight(epoch),
      intervalMs: deployment.intervalMs,
      timeouts: deployment.timeouts,
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
    const started = engine.start(world.nowMs);
    busy = true;
    if (carryOut(started)) pump();
  }

  /** Nothing became final for long: asks where the others are. */
  function watch(height: Height): void {
    later(world.nowMs + STANDSTILL_MS, () => {
      if (disk.finalized.height === height) askSomebody({ kind: "ask-tip", epoch });
      watch(disk.finalized.height);
    });
  }

  const node: SimNode = {
    id,
    key,
    disk,
    sign,
    get engine() {
      return engine;
    },
    get epoch() {
      return epoch;
    },
    get height() {
      return disk.finalized.height;
    },
    start() {
      chain = createChain(deployment.intervalMs, setOf);
      blocks = new Map(disk.blocks);
      const replay = [...disk.blocks.values()].sort((a, b) => a.header.height - b.header.height);
      // Only what is final is executed again by itself; the rest waits for its check.
      for (const block of replay)
        if (block.header.height <= disk.finalized.height) chain.verdict(block, Number.POSITIVE_INFINITY);
      const { finalized } = disk;
      epoch = (finalized.height === 0 ? 0 : Math.floor(finalized.height / epochHeights)) as Epoch;
      startEngine(finalized.epoch === epoch && finalized.view > 0 ? finalized : undefined);
      watch(disk.finalized.height);
    },
    crash() {
      life++;
      if (deployment.forgets && world.random.chance(0.5)) forgetCertificates(disk);
      engine = undefined;
      queue = [];
      busy = false;
      stepsLeft = timerMs = Number.POSITIVE_INFINITY;
      waiting = new Set();
      fetching = new Set();
      finality = [];
      rechecking = false;
      ended = undefined;
    },
    crashAfter(steps) {
      stepsLeft = steps;
    },
    receive(from, message) {
      if (engine === undefined) return;
      const of = epochOf(message);
      const sender = keyOf(from);
      if (of !== undefined && of > epoch) return send(from, { kind: "ask-tip", epoch });
      if (of !== undefined && of < epoch) {
        const certificate = disk.boundaries.get(of);
        const behind = message.kind !== "certificate" && certificate !== undefined;
        if (behind && world.random.chance(0.2)) send(from, { kind: "certificate", certificate });
        return;
      }
      const position = sender === undefined ? undefined : positionOf(sender);
      switch (message.kind) {
        case "proposal":
          return feed({ kind: "proposal", proposal: message.proposal, from: position });
        case "vote":
          if (position !== undefined) feed({ kind: "vote", vote: message.vote, from: position });
          return;
        case "certificate":
          return feed({ kind: "certificate", certificate: message.certificate, from: position });
        case "block":
          if (!fetching.delete(toHex(blockHash(message.block.header)))) return;
          takeBlock(message.block, position);
          if (!busy) pump();
          return;
        case "ask-block":
        case "ask-certificates":
        case "ask-tip":
          for (const it of answer(disk, (name) => blocks.get(name), epoch, message)) send(from, it);
      }
    },
  };
  return node;
}
