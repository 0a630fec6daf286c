/**
 * Blocks of a simulated node: checking them once their parents are there, fetching what is certified
 * and missing, and finalizing as far as blocks go. Used by effects.ts and node.ts.
 */
import { toHex } from "../../consensus/primitives/bytes.ts";
import { type Block, blockHash } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { writeBlock } from "./disk.ts";
import { askSomebody, lastHeight, later, type Machine } from "./machine.ts";

const FETCH_RETRY_MS = 500;
const FETCH_WAIT_MAX_MS = 10_000;

/** Blocks whose parent came in the meantime are decided again, until nothing changes. */
export function checkWaiting(machine: Machine): void {
  const { chain, blocks, waiting, deployment } = machine;
  const { world } = deployment;
  for (let changed = true; changed; ) {
    changed = false;
    for (const name of waiting) {
      const block = blocks.get(name);
      const verdict = block === undefined ? "pending" : chain.verdict(block, world.nowMs);
      if (block === undefined || verdict === "pending") continue;
      waiting.delete(name);
      machine.queue.push({ kind: "checked", blockHash: blockHash(block.header), verdict });
      changed = true;
    }
  }
  if (waiting.size === 0 || machine.rechecking) return;
  machine.rechecking = true;
  later(machine, world.nowMs + FETCH_RETRY_MS, () => {
    machine.rechecking = false;
    checkWaiting(machine);
    if (!machine.busy) machine.pump();
  });
}

/** From the own disk, or from peers: more often from a signer of its certificate. */
export function fetchBlock(machine: Machine, hash: Uint8Array, signers: readonly number[]): void {
  const { world, setOf } = machine.deployment;
  const name = toHex(hash);
  const here = machine.blocks.get(name) ?? machine.disk.blocks.get(name);
  if (here !== undefined) {
    takeBlock(machine, here, undefined);
    return;
  }
  if (machine.fetching.has(name)) return;
  machine.fetching.add(name);
  const keys = signers.map((position) => setOf(machine.epoch).members[position]?.validator ?? -1);
  const ask = (waitMs: number): void => {
    if (!machine.fetching.has(name)) return;
    const among = world.random.chance(0.7) && keys.length > 0 ? keys : undefined;
    askSomebody(machine, { kind: "ask-block", blockHash: hash }, among);
    later(machine, world.nowMs + waitMs, () => ask(Math.min(waitMs * 1.5, FETCH_WAIT_MAX_MS)));
  };
  ask(FETCH_RETRY_MS);
}

export function takeBlock(machine: Machine, block: Block, from: number | undefined): void {
  machine.blocks.set(toHex(blockHash(block.header)), block);
  machine.queue.push({ kind: "block", block, from });
  advanceFinality(machine);
}

/** Finalizes as far as blocks are there; asks for the first one missing. */
export function advanceFinality(machine: Machine): void {
  const { finality, chain, disk, deployment, id } = machine;
  for (let certificate = finality[0]; certificate !== undefined; certificate = finality[0]) {
    const path = pathTo(machine, certificate.subject.blockHash);
    if (path === undefined || machine.ended !== undefined) return;
    for (const block of path) {
      const verdict = chain.verdict(block, Number.POSITIVE_INFINITY);
      if (verdict !== "valid") deployment.oracle.fail(`node ${id} finalized a block that is ${verdict}`);
      applyFinal(machine, block, certificate);
    }
    finality.shift();
    if (disk.finalized.height === lastHeight(machine, machine.epoch)) {
      machine.ended = certificate;
      return;
    }
  }
  checkWaiting(machine);
}

/** Blocks above the finalized one up to this hash, ascending; undefined while one is missing. */
function pathTo(machine: Machine, hash: Uint8Array): Block[] | undefined {
  const { disk, blocks, deployment, id } = machine;
  const path: Block[] = [];
  const floor = toHex(disk.finalized.hash);
  for (let at = hash; toHex(at) !== floor; ) {
    const block = blocks.get(toHex(at)) ?? disk.blocks.get(toHex(at));
    if (block === undefined) {
      fetchBlock(machine, at, []);
      return undefined;
    }
    if (block.header.height <= disk.finalized.height) {
      deployment.oracle.fail(`node ${id} saw a finalization beside its chain`);
      return [];
    }
    path.unshift(block);
    at = block.header.parentHash;
  }
  return path;
}

function applyFinal(machine: Machine, block: Block, certificate: Certificate): void {
  const { disk, deployment, id, epoch } = machine;
  const hash = blockHash(block.header);
  writeBlock(block)(disk);
  disk.finalized = { epoch, view: certificate.subject.view, hash, height: block.header.height };
  deployment.oracle.finalized(id, block, hash, deployment.world.nowMs);
}
