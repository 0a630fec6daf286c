/** What `node_status` answers: how one node is, for its operator. */
import { z } from "zod";
import { Count, Hash, Uint64 } from "./encoding.ts";

export const MissedReason = z.enum([
  "no proposal",
  "late",
  "invalid",
  "missing parent",
  "ahead of this clock",
  "skipped as inactive",
  "this node behind",
  "event loop lag",
]);
export type MissedReason = z.infer<typeof MissedReason>;

const Signing = z.enum([
  /** Votes are signed. */
  "signing",
  /** The database is lost or older than the signer floor: nothing before finality passes `lease`. */
  "blocked by floor lease",
  /** A contradiction or divergence was seen: nothing until `zkp node clear-halt`. */
  "halted",
  /** A key, but no seat in this epoch. */
  "no seat",
  /** No key: it only follows. */
  "no key",
]);

/** What a node is to the chain: who votes, who has stake and no seat now, who only follows. */
export const NodeRole = z.enum(["validator", "validator without seat", "follower"]);
export type NodeRole = z.infer<typeof NodeRole>;

const Dropped = z.object({ votes: Count, blocks: Count, sync: Count });
const Milliseconds = z.number().nonnegative();

export const NodeStatus = z.object({
  name: z.string(),
  role: NodeRole,
  /** Its position in this epoch's set; absent without a seat. */
  position: Count.optional(),
  epoch: Uint64,
  view: Uint64,
  finalizedView: Uint64,
  /** Position of the view's proposer. */
  proposer: Count,
  /** Highest valid block known here. */
  height: Uint64,
  finalizedHeight: Uint64,
  finalizedHash: Hash,
  /** Final blocks are held from here on; those below were never here if it began with a snapshot. */
  lowestHeight: Uint64,
  catchingUp: z.boolean(),
  /** What is taken from others right now: ends of epochs, chunks of a state, or blocks; how far of how far. */
  catchUp: z
    .object({ phase: z.enum(["boundaries", "snapshot", "blocks"]), done: Count, of: Count })
    .optional(),
  signer: z.object({
    state: Signing,
    lease: z.object({ epoch: Uint64, view: Uint64 }).optional(),
    halt: z
      .object({
        /** What was seen: "diverged", "contradiction". */
        kind: z.string(),
        timeMs: Uint64,
        /** The dump's file name in the node's folder. */
        dump: z.string(),
        fault: z.string().optional(),
      })
      .optional(),
  }),
  validators: z.object({
    seats: Count,
    /** The heaviest member's position and share; over a third it can stop finality alone. */
    heaviest: z.object({ position: Count, percent: z.number(), overThird: z.boolean() }),
  }),
  peers: z.array(
    z.object({
      peerId: z.string(),
      address: z.string(),
      /** A seated validator that has proved who it is. */
      position: Count.optional(),
      role: NodeRole,
      /** What gossip thinks of it; below 0 it is told less. */
      score: z.number(),
      /** Frames that found a full queue. */
      dropped: Dropped,
    }),
  ),
  queues: z.object({
    /** Inputs that wait for the engine, and how many of the network's were dropped. */
    inputs: Count,
    inputsDropped: Count,
    transactions: Count,
    submissions: Count,
    evidence: Count,
    /** Gossiped messages without a verdict, and those that found no room or were judged too late. */
    gossip: z.object({ undecided: Count, unheard: Count, late: Count }),
  }),
  /** Delay of the event loop in the last minute or two. */
  lag: z.object({ p50Ms: Milliseconds, p99Ms: Milliseconds, maxMs: Milliseconds }),
  /** Of the whole process, of the main thread's heap, and of what lies outside of heaps: buffers, WebAssembly. */
  memory: z.object({ rssBytes: Count, heapUsedBytes: Count, externalBytes: Count }),
  /** The newest views, at most 32, in which this node did not vote for a block; oldest first. */
  missed: z.array(
    z.object({
      epoch: Uint64,
      view: Uint64,
      proposer: Count,
      reason: MissedReason,
      /** What is wrong with the invalid block. */
      fault: z.string().optional(),
    }),
  ),
});
export type NodeStatus = z.output<typeof NodeStatus>;
