/**
 * Carries an engine's effects out in their order: a turn's writes are synced before anything of that
 * turn is sent, and own votes are fed back only then. Each step is a point where the node may crash.
 * Used by node.ts.
 */
import type { Effect } from "../../consensus/engine/protocol.ts";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { blockHash } from "../../consensus/types/block.ts";
import { advanceFinality, checkWaiting, fetchBlock } from "./catching-up.ts";
import { ancestorOf } from "./chain.ts";
import { type Write, writeBlock, writeCertificate, writeVote } from "./disk.ts";
import { askSomebody, feed, later, type Machine, sendAll, sign } from "./machine.ts";

/** Distance of the late certificate below the parent. */
const LATE_DISTANCE = 3;

/** One crash point: false if the node went down here. */
function survives(machine: Machine): boolean {
  machine.stepsLeft--;
  if (machine.stepsLeft > 0) return true;
  machine.crash();
  return false;
}

function writesOf(machine: Machine, effects: readonly Effect[]): Write[] {
  const writes: Write[] = [];
  for (const effect of effects) {
    if (effect.kind === "vote") {
      const { subject, proposal } = effect;
      const block = proposal?.block ?? machine.blocks.get(toHex(subject.blockHash));
      if (block !== undefined) writes.push(writeBlock(block));
      writes.push(writeVote(proposal === undefined ? { subject } : { subject, proposal }));
    } else if (effect.kind === "broadcast" || effect.kind === "store") {
      writes.push(writeCertificate(effect.certificate));
    }
  }
  return writes;
}

/** Writes, syncs, then does the rest. False if that goes on later or the node is down. */
export function carryOut(machine: Machine, effects: readonly Effect[]): boolean {
  const { world, syncMs } = machine.deployment;
  const writes = writesOf(machine, effects);
  const finish = (): boolean => {
    for (const write of writes) write(machine.disk);
    for (const effect of effects) {
      if (!survives(machine)) return false;
      perform(machine, effect);
    }
    return true;
  };
  if (writes.length === 0 || syncMs === 0) return finish();
  if (!survives(machine)) return false;
  later(machine, world.nowMs + syncMs * world.random.unit(), () => {
    if (finish()) machine.pump();
  });
  return false;
}

function perform(machine: Machine, effect: Effect): void {
  const { oracle, setOf } = machine.deployment;
  switch (effect.kind) {
    case "vote":
      castVote(machine, effect);
      return;
    case "broadcast":
      oracle.certified(machine.id, effect.certificate);
      sendAll(machine, { kind: "certificate", certificate: effect.certificate });
      return;
    case "store":
      oracle.certified(machine.id, effect.certificate);
      return;
    case "report":
      oracle.reported(machine.id, setOf(machine.epoch), effect.report);
      return;
    case "build":
      build(machine, effect);
      return;
    case "check":
      machine.blocks.set(toHex(effect.blockHash), effect.block);
      machine.waiting.add(toHex(effect.blockHash));
      checkWaiting(machine);
      return;
    case "fetch":
      if (effect.want === "block") fetchBlock(machine, effect.blockHash, effect.signers);
      else {
        const { epoch, from, to } = effect;
        askSomebody(machine, { kind: "ask-certificates", epoch, from, to });
      }
      return;
    case "finalize":
      machine.finality.push(effect.certificate);
      advanceFinality(machine);
      return;
  }
}

function castVote(machine: Machine, { subject, proposal }: Extract<Effect, { kind: "vote" }>): void {
  const { oracle, world } = machine.deployment;
  const vote = sign(machine, subject);
  oracle.signed(machine.id, vote);
  if (proposal === undefined) sendAll(machine, { kind: "vote", vote });
  else {
    oracle.proposed(machine.id, subject, world.nowMs);
    sendAll(machine, { kind: "proposal", proposal: { ...proposal, vote } });
  }
  machine.queue.push({ kind: "vote", vote, from: undefined });
}

function build(machine: Machine, effect: Extract<Effect, { kind: "build" }>): void {
  const { view, parentView, parentHash, parentCertificate, enteredMs } = effect;
  const { deployment, chain } = machine;
  const { world, intervalMs } = deployment;
  const parent = chain.executed.get(toHex(parentHash));
  if (parent === undefined) {
    machine.queue.push({ kind: "built", view, block: undefined });
    return;
  }
  const make = (): void => {
    const { epoch } = machine;
    const below = parent.header === undefined ? undefined : ancestorOf(chain, parent.header, LATE_DISTANCE);
    const lateCertificate = below?.epoch === epoch ? machine.engine?.lateCertificate(below.view) : undefined;
    const at = { epoch, view, parentView, parentCertificate, lateCertificate, nowMs: world.nowMs };
    const block = chain.build(parentHash, at);
    if (block !== undefined) machine.blocks.set(toHex(blockHash(block.header)), block);
    feed(machine, { kind: "built", view, block });
  };
  later(machine, Math.max(world.nowMs, Math.min(parent.timestampMs, enteredMs) + intervalMs), make);
}
