/**
 * What a peer may cost by relaying transactions, submissions and evidence. Who relays what it should have
 * found false itself is charged for it: past a limit its messages are dropped unread until enough is
 * forgiven, past a harder one it is disconnected and refused. Late and duplicate messages cost nothing.
 * The points are also a part of the peer's gossip score (network/gossip-score.ts). Made by node.ts, asked
 * by admission.
 */
import type { Fault, FaultCode } from "../consensus/primitives/faults.ts";
import { createBuckets } from "./buckets.ts";

/** Points: what a rejected message costs. A false proof takes a verifier's time, and its batch is halved to find it. */
const COST = 5;
const COSTS: Partial<Record<FaultCode, number>> = {
  "submission/proof-invalid": 10,
  "submission/proof-malformed": 10,
};
/** Of a message that comes while its sender is not listened to. */
const COST_DROPPED = 0.1;
const FORGIVEN_PER_SECOND = 1;
const DROPPED_FROM = 50;
const REFUSED_FROM = 100;
/** Objects a second, each a message for this, and how many may come at once. A peer sends each object once, so honest ones stay far below. */
const MESSAGES_PER_SECOND = 2_000;
const MESSAGES_AT_ONCE = 8_192;

export type RelayLimitsComponents = {
  readonly network: {
    /** Disconnects the peer and refuses it for a while. */
    blame(peerId: string, reason: string): void;
  };
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
};
export type RelayLimits = ReturnType<typeof createRelayLimits>;

export function createRelayLimits({ network, nowMs = () => performance.now() }: RelayLimitsComponents) {
  const points = createBuckets({ leakPerSecond: FORGIVEN_PER_SECOND, nowMs });
  const messages = createBuckets({ leakPerSecond: MESSAGES_PER_SECOND, nowMs });

  const charge = (peerId: string, cost: number, reason: string): void => {
    const level = points.level(peerId);
    const isTooMuch = level + cost >= REFUSED_FROM;
    // What was still in hand when the peer was cut off does not keep it away longer.
    points.add(peerId, isTooMuch ? REFUSED_FROM - level : cost);
    if (isTooMuch) network.blame(peerId, reason);
  };

  return {
    /** Called once an object, of which a message may bring many, before it is looked at; false if it is to be dropped. */
    mayRelay(peerId: string): boolean {
      const isMuted = points.level(peerId) >= DROPPED_FROM;
      const isFlood = messages.level(peerId) >= MESSAGES_AT_ONCE;
      if (!isFlood) messages.add(peerId, 1);
      if (!isMuted && !isFlood) return true;
      charge(peerId, COST_DROPPED, isFlood ? "too many messages" : "messages after false ones");
      return false;
    },
    /** What is held against the peer now. */
    points: (peerId: string): number => points.level(peerId),
    /** The peer relayed what was rejected. */
    onRejected(peerId: string, { code }: Fault): void {
      charge(peerId, COSTS[code] ?? COST, code);
    },
  };
}
