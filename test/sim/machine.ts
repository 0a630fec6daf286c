/**
 * What the parts of one simulated node share: where it is deployed, what it holds in memory, and how
 * it sends. Made by node.ts; the parts are functions that take it first.
 */
import type { Engine } from "../../consensus/engine/engine.ts";
import type { EngineTimeouts, Input } from "../../consensus/engine/protocol.ts";
import type { Epoch, Height } from "../../consensus/primitives/units.ts";
import type { Block } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { ValidatorSet } from "../../consensus/types/validator-set.ts";
import { type Subject, signingRoot, type Vote } from "../../consensus/types/vote.ts";
import type { Chain } from "./chain.ts";
import type { Crypto } from "./crypto.ts";
import type { Disk } from "./disk.ts";
import type { Message } from "./messages.ts";
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
  /** As the key's owner in the subject's epoch, and with position 0 where it has no place. */
  sign(subject: Subject): Vote;
  start(): void;
  crash(): void;
  /** Crashes after this many more steps of carrying out effects. */
  crashAfter(steps: number): void;
  receive(from: number, message: Message): void;
};

export type Machine = {
  readonly deployment: Deployment;
  readonly id: number;
  readonly key: number;
  readonly disk: Disk;
  /** Set once, when the node around it is made. */
  node: SimNode | undefined;
  readonly tamper: Tamper | undefined;
  chain: Chain;
  engine: Engine | undefined;
  epoch: Epoch;
  /** Everything begun before a crash carries an older life, and is dropped. */
  life: number;
  queue: Input[];
  /** A turn is being carried out: what comes meanwhile waits. */
  busy: boolean;
  stepsLeft: number;
  blocks: Map<string, Block>;
  /** Blocks whose check is pending, by hash. */
  waiting: Set<string>;
  fetching: Set<string>;
  /** Finalizations whose blocks are not all there yet. */
  finality: Certificate[];
  rechecking: boolean;
  /** The finalization of the epoch's last block: the next engine starts when the turn at hand is over. */
  ended: Certificate | undefined;
  /** Goes through the queue. */
  pump(): void;
  crash(): void;
};

export const lastHeight = ({ deployment }: Machine, epoch: Epoch): Height =>
  ((epoch + 1) * deployment.epochHeights) as Height;

/** A key's position in an epoch's set. */
export function positionOf({ deployment }: Machine, epoch: Epoch, key: number): number | undefined {
  const at = deployment.setOf(epoch).members.findIndex((member) => member.validator === key);
  return at < 0 ? undefined : at;
}

/** Does something later, unless the node went down since. */
export function later(machine: Machine, ms: number, act: () => void): void {
  const born = machine.life;
  machine.deployment.world.at(ms, () => {
    if (born === machine.life && machine.engine !== undefined) act();
  });
}

export function send(machine: Machine, to: number, message: Message): void {
  const { tamper, node, id, deployment } = machine;
  const messages = tamper === undefined || node === undefined ? [message] : tamper(message, to, node);
  for (const it of messages) deployment.network.send(id, to, it);
}

export function sendAll(machine: Machine, message: Message): void {
  for (const peer of machine.deployment.nodes) if (peer.id !== machine.id) send(machine, peer.id, message);
}

export function askSomebody(machine: Machine, message: Message, among?: readonly number[]): void {
  const { nodes, world } = machine.deployment;
  const others = nodes.filter((it) => it.id !== machine.id && (among?.includes(it.key) ?? true));
  const peer = others[world.random.below(others.length)];
  if (peer !== undefined) send(machine, peer.id, message);
}

export function feed(machine: Machine, input: Input): void {
  machine.queue.push(input);
  if (!machine.busy) machine.pump();
}

export function sign(machine: Machine, subject: Subject): Vote {
  const { crypto, chainTag } = machine.deployment;
  const signer = positionOf(machine, subject.epoch, machine.key) ?? 0;
  return { subject, signer, signature: crypto.sign(machine.key, signingRoot(chainTag, subject)) };
}
