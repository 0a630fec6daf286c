/**
 * Who is connected: a link for each peer from its first connection to its last, who is refused and why,
 * and which of them are validators. Made by network.ts.
 */
import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import { isHello } from "./hello.ts";
import { type Host, isOpen } from "./host.ts";
import { createLink, type Link, type PeerInfo, type Protocol } from "./link.ts";
import type { Hello } from "./messages.ts";
import type { Penalties } from "./penalties.ts";

export type PeerEvent = "connected" | "identified" | "disconnected";

export type PeersOptions = {
  readonly chain: Uint8Array;
  readonly chainId: string;
  /** The own hello, framed; undefined without a validator's key. */
  readonly hello: Uint8Array | undefined;
};

export type PeersComponents = {
  readonly host: Host;
  readonly penalties: Penalties;
  /** Whether this key is, or soon will be, a validator's. */
  isValidator(blsKey: Uint8Array): boolean;
  /** A peer's first connection is there, or its last one gone. */
  onLink(event: "connected" | "disconnected", link: Link): void;
  readonly onPeer?: ((event: PeerEvent, peer: PeerInfo) => void) | undefined;
  readonly log: Log;
};
export type Peers = ReturnType<typeof createPeers>;

export function createPeers({ chain, chainId, hello }: PeersOptions, components: PeersComponents) {
  const { host, penalties, isValidator, onLink, onPeer, log } = components;
  const links = new Map<string, Link>();

  const connectionsTo = (id: PeerId): Connection[] => host.getConnections(id).filter(isOpen);
  const open = async (id: PeerId, protocol: string, signal: AbortSignal): Promise<Stream> => {
    const [connection] = connectionsTo(id);
    if (connection === undefined) throw new FaultError("node/peer-lost", { peerId: id.toString() });
    return connection.newStream(protocol, { signal });
  };

  const connect = (id: PeerId): Link => {
    const peerId = id.toString();
    const known = links.get(peerId);
    if (known !== undefined) return known;
    const link = createLink(
      { id, chainId, hello },
      { open: (protocol, signal) => open(id, protocol, signal), onMisbehaviour: strike, log },
    );
    links.set(peerId, link);
    onLink("connected", link);
    log.info({ peer: peerId }, "peer connected");
    onPeer?.("connected", link.info);
    return link;
  };
  const disconnect = (id: PeerId): void => {
    const link = links.get(id.toString());
    if (link === undefined || connectionsTo(id).length > 0) return;
    links.delete(link.info.peerId);
    link.stop();
    onLink("disconnected", link);
    log.info({ peer: link.info.peerId }, "peer disconnected");
    onPeer?.("disconnected", link.info);
  };

  const refuse = ({ id, info: { peerId } }: Link, reason: string): void => {
    penalties.refuse(peerId);
    for (const connection of connectionsTo(id)) connection.abort(new Error(reason));
  };
  function strike(link: Link, protocol: Protocol | "pool", reason: string): void {
    log.warn({ peer: link.info.peerId, protocol, reason }, "peer misbehaves");
    if (penalties.strike(link.info.peerId)) refuse(link, reason);
  }

  return {
    connect,
    disconnect,
    connectionsTo,
    open,
    strike,
    get: (peerId: string): Link | undefined => links.get(peerId),
    all: (): Link[] => [...links.values()],
    isValidator: ({ info: { blsKey } }: Link): boolean => blsKey !== undefined && isValidator(blsKey),
    /** The peer said its hello; false if it is not true, or another one than before. */
    onHello(link: Link, message: Hello): boolean {
      const { blsKey } = link.info;
      if (blsKey !== undefined) return equalBytes(blsKey, message.blsKey); // said again on a new stream
      if (!isHello(chain, link.id.toMultihash().bytes, message)) return false;
      link.info = { ...link.info, blsKey: message.blsKey };
      log.info({ peer: link.info.peerId, blsKey: toHex(message.blsKey) }, "peer identified");
      onPeer?.("identified", link.info);
      return true;
    },
    /** Disconnects a peer and refuses it for a while. */
    cutOff(peerId: string, reason: string): void {
      const link = links.get(peerId);
      if (link === undefined) return;
      log.warn({ peer: peerId, reason }, "peer cut off");
      refuse(link, reason);
    },
  };
}
