/**
 * One connected peer: what is known of it, an outbound channel for each protocol, and the requests
 * that wait for its answers. Made and dropped by network.ts as connections come and go.
 */
import type { PeerId, Stream } from "@libp2p/interface";
import type { Log } from "../log.ts";
import { type Channel, createChannel } from "./channel.ts";
import { readFrames } from "./frames.ts";
import { FRAME_BYTES_MAX } from "./messages.ts";
import { createRequester, type Requester } from "./sync.ts";

const MIB = 1024 * 1024;
/** What may wait for a slow peer, by protocol; the table in network.ts. */
const QUEUES = {
  votes: { framesMax: 1024, bytesMax: MIB },
  blocks: { framesMax: 8, bytesMax: 8 * MIB },
  sync: { framesMax: 64, bytesMax: MIB },
} as const;

export type Protocol = keyof typeof QUEUES;
export const PROTOCOLS = ["votes", "blocks", "sync"] as const satisfies readonly Protocol[];
export const protocolId = (chainId: string, protocol: Protocol | "pool"): string =>
  `/zkp/${chainId}/${protocol}/1`;

export type PeerInfo = {
  readonly peerId: string;
  /** Shown to belong to the peer by its hello; undefined for who is no validator, or said no hello yet. */
  readonly blsKey: Uint8Array | undefined;
};

export type Link = {
  readonly id: PeerId;
  /** Replaced, never written to, when the peer says its hello. */
  info: PeerInfo;
  readonly channels: Readonly<Record<Protocol, Channel>>;
  readonly requester: Requester;
  stop(): void;
};

export type LinkOptions = {
  readonly id: PeerId;
  readonly chainId: string;
  /** The own hello, framed; sent first on each votes stream. */
  readonly hello: Uint8Array | undefined;
};

export type LinkComponents = {
  readonly open: (protocol: string, signal: AbortSignal) => Promise<Stream>;
  readonly onMisbehaviour: (link: Link, protocol: Protocol, reason: string) => void;
  readonly log: Log;
};

export function createLink({ id, chainId, hello }: LinkOptions, components: LinkComponents): Link {
  const { open, onMisbehaviour, log } = components;
  const peerId = id.toString();
  const channelTo = (protocol: Protocol, more: Partial<Parameters<typeof createChannel>[1]> = {}): Channel =>
    createChannel(
      {
        protocol: protocolId(chainId, protocol),
        ...QUEUES[protocol],
        greeting: protocol === "votes" ? hello : undefined,
      },
      { open, log, ...more },
    );
  const requester = createRequester(peerId, (frame) => sync.send(frame));
  const sync = channelTo("sync", {
    onStream: (stream) =>
      readFrames(stream, {
        bytesMax: FRAME_BYTES_MAX.response,
        inFlightMax: 1,
        onMessage: (message) => requester.onMessage(message),
        onMisbehaviour: (reason) => onMisbehaviour(link, "sync", reason),
      }),
    onStreamLost: () => requester.onStreamLost(),
  });
  const channels = { votes: channelTo("votes"), blocks: channelTo("blocks"), sync };
  const link: Link = {
    id,
    info: { peerId, blsKey: undefined },
    channels,
    requester,
    stop() {
      for (const protocol of PROTOCOLS) channels[protocol].stop();
      requester.stop();
    },
  };
  return link;
}
