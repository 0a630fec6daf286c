/** `zkp node status`: how a node is, and why it missed the views that it missed. */
import type { Command } from "commander";
import { createClient } from "../pod/client.ts";
import type { NodeStatus } from "../rpc/node-status.ts";
import { globalsOf, print } from "./options.ts";

const EXAMPLES = `Examples:
  zkp node status                              of the node at --rpc, http://127.0.0.1:9545 by default
  zkp node status --rpc http://127.0.0.1:9546 --json
`;

export function addNodeStatus(node: Command, signal: AbortSignal): void {
  node
    .command("status")
    .description("signer, peers, queues, memory, and why it missed views")
    .addHelpText("before", EXAMPLES)
    .action(async (_: unknown, command: Command) => {
      const globals = globalsOf(command);
      const status = await createClient({ rpc: globals.rpc }).call("node_status", {}, { signal });
      print(globals, status, () => describeNode(status));
    });
}

export function describeNode(status: NodeStatus): string {
  const { validators, queues, lag, memory, peers, missed } = status;
  const { gossip } = queues;
  const dropped = peers.reduce((sum, { dropped: it }) => sum + it.votes + it.blocks + it.sync, 0);
  return [
    `${status.name}  ${roleText(status)}, ${validators.seats} seats  ${signerText(status.signer)}`,
    `epoch ${status.epoch}, view ${status.view} (validator ${status.proposer} proposes), final up to view ${status.finalizedView}`,
    `height ${status.height}, final ${status.finalizedHeight}  ${status.finalizedHash}`,
    ...catchUpText(status),
    ...weightText(validators),
    `${peers.length} peers, ${dropped} frames dropped`,
    ...peers.map(
      (peer) => `  ${roleText(peer).padEnd(ROLE_WIDTH)}  ${peer.address}  score ${peer.score.toFixed(1)}`,
    ),
    `waiting: ${queues.inputs} inputs (${queues.inputsDropped} dropped), ${queues.transactions} transactions, ${queues.submissions} proofs, ${queues.evidence} evidence`,
    `gossip: ${gossip.undecided} undecided, ${gossip.unheard} not looked at, ${gossip.late} judged too late`,
    `event loop late by ${lag.p50Ms} ms (p50), ${lag.p99Ms} ms (p99), ${lag.maxMs} ms (most)`,
    `memory: ${megabytes(memory.rssBytes)} MB, of which heap ${megabytes(memory.heapUsedBytes)}, buffers ${megabytes(memory.externalBytes)}`,
    missed.length === 0 ? "no view missed since it started" : `missed views, the last ${missed.length}:`,
    ...missed.map(
      ({ epoch, view, proposer, reason, fault }) =>
        `  epoch ${epoch}  view ${view}  of validator ${proposer}: ${reason}${fault === undefined ? "" : `: ${fault}`}`,
    ),
  ].join("\n");
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
const ROLE_WIDTH = "validator without seat".length;
const roleText = ({ role, position }: Pick<NodeStatus, "role" | "position">): string =>
  position === undefined ? role : `${role} ${position}`;

const PHASES = { boundaries: "epochs followed", snapshot: "chunks of a state", blocks: "blocks" } as const;

function catchUpText({ catchUp, lowestHeight }: NodeStatus): string[] {
  const lines: string[] = [];
  if (catchUp !== undefined)
    lines.push(`catching up: ${PHASES[catchUp.phase]}, ${catchUp.done} of ${catchUp.of}`);
  if (Number(lowestHeight) > 1) lines.push(`began with a snapshot: no blocks below height ${lowestHeight}`);
  return lines;
}

function signerText({ state, lease, halt }: NodeStatus["signer"]): string {
  if (lease !== undefined)
    return `${state}: until finality is beyond epoch ${lease.epoch}, view ${lease.view}`;
  if (halt !== undefined)
    return `HALTED: ${halt.kind} at ${new Date(Number(halt.timeMs)).toISOString()}, see ${halt.dump}${halt.fault === undefined ? "" : `: ${halt.fault}`}`;
  return state;
}

function weightText({ seats, heaviest }: NodeStatus["validators"]): string[] {
  const { position, percent, overThird } = heaviest;
  if (!overThird) return [];
  const few = seats < 6 ? "; below six validators one may hold over a third" : "";
  return [`validator ${position} has ${percent} % of the weight and can stop finality alone${few}`];
}
