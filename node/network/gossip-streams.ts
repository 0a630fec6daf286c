/**
 * Gives gossipsub its streams. The library would learn of peers from libp2p's identify protocol, open one
 * stream a peer after the other without a time limit, and never again after a failure. Here every connected
 * peer is told of at once, each has a channel of its own that is opened again, and what comes in is
 * measured before it is decoded. Made by gossip.ts.
 */
import type { GossipSubComponents } from "@libp2p/gossipsub";
import type { Connection, PeerId, Stream, Topology } from "@libp2p/interface";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import { type Channel, createChannel } from "./channel.ts";
import { gatherSends } from "./gathered.ts";

export type Registrar = GossipSubComponents["registrar"];

/** The newest of the three that the library speaks; there is no older node to talk to. */
const PROTOCOL = "/meshsub/1.2.0";
/** One is used; the others cover streams that are just being replaced. */
const STREAMS_MAX = 4;

export type GossipStreamsComponents = {
  /** The host's own. */
  readonly registrar: Registrar;
  /** The peer's open connections. */
  connectionsTo(id: PeerId): readonly Connection[];
  /** Of one inbound chunk; false if it is too much and the peer is being cut off. */
  mayReceive(peerId: string, bytes: number): boolean;
  readonly log: Log;
};

export type GossipStreams = {
  /** In the host's place, for the library. */
  readonly registrar: Registrar;
  attach(id: PeerId): void;
  detach(id: PeerId): void;
};

type Seen = Pick<Connection, "remotePeer" | "remoteAddr" | "direction" | "status" | "newStream">;

/** A connection as the library sees it: its one new stream is there already, or there is none. */
function facade({ remotePeer, remoteAddr, direction, status }: Connection, ready?: Stream): Connection {
  const seen: Seen = {
    remotePeer,
    remoteAddr,
    direction,
    status,
    newStream: async () => {
      if (ready === undefined) throw new FaultError("node/peer-lost", { peerId: remotePeer.toString() });
      return ready;
    },
  };
  return seen as Connection;
}

export function createGossipStreams(components: GossipStreamsComponents): GossipStreams {
  const { registrar: host, connectionsTo, mayReceive, log } = components;
  const channels = new Map<string, Channel>();
  /** Peers to whom a stream leads. */
  const open = new Set<string>();
  /** Inbound streams that came first: the newest of each peer, read later. */
  const waiting = new Map<string, () => void>();
  let topology: Topology | undefined;

  const connectionTo = (id: PeerId): Connection => {
    const [connection] = connectionsTo(id);
    if (connection === undefined) throw new FaultError("node/peer-lost", { peerId: id.toString() });
    return connection;
  };

  const registrar: Pick<Registrar, "handle" | "unhandle" | "register" | "unregister"> = {
    async handle(protocol, handler, options) {
      if (protocol !== PROTOCOL) return;
      await host.handle(
        protocol,
        (stream, connection) => {
          const peerId = connection.remotePeer.toString();
          const handOver = (): void => {
            if (connection.status !== "open" || stream.status !== "open") return;
            stream.addEventListener("message", ({ data }) => {
              if (!mayReceive(peerId, data.byteLength)) stream.abort(new Error("too much"));
            });
            void handler(stream, facade(connection));
          };
          // The peer's subscriptions come first: heard before there is a way back, they would not make it
          // a neighbour until the next heartbeat, and what comes in between would not be passed on to it.
          if (open.has(peerId)) handOver();
          else if (connection.status === "open") waiting.set(peerId, handOver);
        },
        { ...options, maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX },
      );
    },
    async unhandle(protocol) {
      if (protocol === PROTOCOL) await host.unhandle(protocol);
    },
    async register(protocol, registered) {
      if (protocol === PROTOCOL) topology = registered;
      return protocol;
    },
    unregister(id) {
      if (id === PROTOCOL) topology = undefined;
    },
  };

  return {
    registrar: registrar as Registrar,
    attach(id) {
      const peerId = id.toString();
      if (channels.has(peerId)) return;
      const channel = createChannel(
        // The library writes to the stream itself; the channel only keeps one open.
        { protocol: PROTOCOL, framesMax: 0, bytesMax: 0 },
        {
          open: async (protocol, signal) => connectionTo(id).newStream(protocol, { signal }),
          onStream: (stream) => {
            const [connection] = connectionsTo(id);
            if (connection === undefined) return;
            gatherSends(stream, (error) =>
              log.debug({ peer: peerId, error: String(error) }, "stream refused gossip"),
            );
            void topology?.onConnect?.(id, facade(connection, stream));
            // The library takes it up in its own queue, a moment later.
            setImmediate(() => {
              if (!channels.has(peerId)) return;
              open.add(peerId);
              waiting.get(peerId)?.();
              waiting.delete(peerId);
            });
          },
          onStreamLost: () => open.delete(peerId),
          log,
        },
      );
      channels.set(peerId, channel);
    },
    detach(id) {
      const peerId = id.toString();
      channels.get(peerId)?.stop();
      channels.delete(peerId);
      open.delete(peerId);
      waiting.delete(peerId);
      void topology?.onDisconnect?.(id);
    },
  };
}
