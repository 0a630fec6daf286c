/**
 * The libp2p host: TCP, noise, yamux, with the defaults that hurt a full mesh on one machine raised,
 * and the rule of who dials whom. Made and started by network.ts.
 */

import type { GossipSubComponents } from "@libp2p/gossipsub";
import type { Connection, Libp2p, PeerId, PrivateKey } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { tcp } from "@libp2p/tcp";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import { quietYamux } from "./muxer.ts";
import { quietNoise } from "./secure.ts";

const CONNECTIONS_MAX = 512;
/** Peers given in the configuration are pruned last. Not libp2p's "keep-alive", whose own queue would dial from both sides. */
const PEER_TAG = { "zkp-peer": { value: 100 } };
/** Below the read buffer of 4 MiB that libp2p gives a paused stream, so that a pause never resets it. */
const STREAM_WINDOW_BYTES_MAX = 3 * 1024 * 1024;

const DIAL_TIMEOUT_MS = 5000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 1500;
const TICK_MS = 100;
/** The lower peer id dials. The other one waits so long, in case that the lower one does not know its address. */
const FALLBACK_MS = 1000;

export type HostOptions = {
  readonly listen: string;
  readonly privateKey: PrivateKey;
  /** Peers to have no connection with, in either direction. */
  readonly isRefused: (peerId: PeerId) => boolean;
};

/** Shows the host's parts to gossip.ts; libp2p gives them to services only. */
type Parts = { readonly parts: { readonly components: GossipSubComponents } };
export type Host = Libp2p<Parts>;

export async function createHost({ listen, privateKey, isRefused }: HostOptions): Promise<Host> {
  return createLibp2p<Parts>({
    start: false,
    privateKey,
    addresses: { listen: [listen] },
    transports: [tcp({ backlog: 512 })],
    connectionEncrypters: [quietNoise()],
    streamMuxers: [quietYamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES_MAX } })],
    connectionManager: {
      maxConnections: CONNECTIONS_MAX,
      inboundConnectionThreshold: CONNECTIONS_MAX,
      maxIncomingPendingConnections: CONNECTIONS_MAX,
      maxParallelDials: 64,
      dialTimeout: DIAL_TIMEOUT_MS,
    },
    services: { parts: (components: GossipSubComponents) => ({ components }) },
    // A machine busy with proofs answers late; only a silence of many seconds is a dead peer.
    connectionMonitor: { pingInterval: 10_000, pingTimeout: { minTimeout: 15_000, maxTimeout: 30_000 } },
    connectionGater: {
      denyInboundEncryptedConnection: isRefused,
      denyDialPeer: isRefused,
    },
  });
}

/** Starts it; a taken port is node/port-in-use. */
export async function startHost(host: Libp2p, listen: string): Promise<void> {
  try {
    await host.start();
  } catch (error) {
    await host.stop();
    const code = mentions(error, "EADDRINUSE") ? "node/port-in-use" : "node/listen-failed";
    throw new FaultError(code, { address: listen }, error);
  }
}

/** libp2p wraps listening errors in several ways; depth bounded. */
function mentions(error: unknown, text: string, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false;
  if (error.message.includes(text)) return true;
  if (error instanceof AggregateError && error.errors.some((it) => mentions(it, text, depth + 1)))
    return true;
  return mentions(error.cause, text, depth + 1);
}

export type DialTarget = { readonly peerId: PeerId; readonly address: Multiaddr };

/** Reads "/ip4/…/tcp/…/p2p/PEERID"; throws config/invalid. */
export function parseTarget(text: string): DialTarget {
  try {
    const address = multiaddr(text);
    const id = address.getComponents().findLast(({ name }) => name === "p2p")?.value;
    if (id !== undefined) return { peerId: peerIdFromString(id), address };
  } catch (error) {
    throw new FaultError("config/invalid", { field: "peers", value: text.slice(0, 200) }, error);
  }
  throw new FaultError("config/invalid", {
    field: "peers",
    value: text.slice(0, 200),
    expected: "…/p2p/PEERID",
  });
}

export type Dialler = { start(): void; stop(): void };

/** Keeps the peers of the configuration connected: who has the lower id dials, at intervals that grow to 1.5 s. */
export function createDialler(host: Libp2p, targets: readonly DialTarget[], log: Log): Dialler {
  const own = host.peerId.toString();
  const stopped = new AbortController();
  const state = targets
    .filter(({ peerId }) => peerId.toString() !== own)
    .map((target) => {
      const firstWaitMs = own < target.peerId.toString() ? 0 : FALLBACK_MS;
      return { ...target, firstWaitMs, attempts: 0, dialling: false, wasConnected: true, nextMs: 0 };
    });
  type State = (typeof state)[number];
  let timer: NodeJS.Timeout | undefined;

  const dial = async (it: State): Promise<void> => {
    it.dialling = true;
    try {
      await host.dial(it.address, {
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)]),
      });
    } catch (error) {
      log.debug(
        { peer: it.peerId.toString(), attempts: it.attempts, error: String(error) },
        "peer cannot be dialled",
      );
    }
    it.dialling = false;
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(it.attempts, 10));
    it.attempts += 1;
    // Spread, so that nodes that lost each other at once do not meet at once again and again.
    it.nextMs = performance.now() + waitMs * (0.75 + 0.5 * Math.random());
  };
  const tick = (): void => {
    const nowMs = performance.now();
    for (const it of state) {
      if (host.getConnections(it.peerId).some(isOpen)) {
        it.wasConnected = true;
        it.attempts = 0;
        continue;
      }
      if (it.wasConnected) {
        it.wasConnected = false;
        it.nextMs = nowMs + it.firstWaitMs;
      }
      if (!it.dialling && nowMs >= it.nextMs) void dial(it);
    }
  };
  return {
    start() {
      for (const { peerId } of state) {
        host.peerStore.merge(peerId, { tags: PEER_TAG }).catch((error: unknown) => {
          log.warn({ peer: peerId.toString(), error: String(error) }, "peer cannot be tagged");
        });
      }
      tick();
      timer = setInterval(tick, TICK_MS);
    },
    stop() {
      stopped.abort();
      clearInterval(timer);
    },
  };
}

export const isOpen = (connection: Connection): boolean => connection.status === "open";
