/**
 * The node's network: direct, authenticated, long-lived streams to every connected peer. Made by
 * node/main; the driver sends votes, certificates and proposals through it, admission transactions and
 * submissions, catch-up its requests. It checks encodings and hellos and nothing else: what a message
 * means is decided by the handlers.
 *
 * | protocol                 | carries                               | queue to each peer |
 * |--------------------------|---------------------------------------|--------------------|
 * | /zkp/<chain id>/votes/1  | hello, votes, certificates            | 1024 frames        |
 * | /zkp/<chain id>/blocks/1 | proposals, whole or compact           | 8 MiB              |
 * | /zkp/<chain id>/pool/1   | transactions, submissions             | 1024 frames, 4 MiB |
 * | /zkp/<chain id>/sync/1   | requests, and their answers coming back | 64 requests      |
 *
 * A peer that is not connected is sent nothing; on `connected` the node sends it what it must know.
 */
import type { Connection, Libp2p, PeerId, PrivateKey, Stream } from "@libp2p/interface";
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { Evidence } from "../../consensus/types/evidence.ts";
import type { Submission } from "../../consensus/types/submission.ts";
import type { Transaction } from "../../consensus/types/transaction.ts";
import type { Vote } from "../../consensus/types/vote.ts";
import type { Log } from "../log.ts";
import { type CompactProposal, decodeBlocksMessage, encodeProposal, encodeWhole } from "./compact.ts";
import { encodeFrame, readFrames } from "./frames.ts";
import { isHello } from "./hello.ts";
import { createDialler, createHost, type Dialler, isOpen, parseTarget, startHost } from "./host.ts";
import { createLink, type Link, type PeerInfo, PROTOCOLS, type Protocol, protocolId } from "./link.ts";
import {
  decodePoolMessage,
  decodeVotesMessage,
  encodePoolMessage,
  encodeVotesMessage,
  FRAME_BYTES_MAX,
  type Hello,
  type Request,
  type Response,
  type ResponseTo,
} from "./messages.ts";
import { answerRequest, REQUESTS_AT_ONCE } from "./sync.ts";

/** One is used; the others cover streams that are just being replaced. */
const INBOUND_STREAMS_MAX = 4;
/** Transactions and submissions of one peer that may be under admission at once. */
const POOL_IN_FLIGHT_MAX = 64;
/** A peer that misbehaves so often on one connection is disconnected and refused for a while. */
const STRIKES_MAX = 3;
const REFUSED_MS = 10_000;
const REFUSED_MAX = 1024;

export type { PeerInfo } from "./link.ts";

export type PeerEvent = "connected" | "identified" | "disconnected";

export type NetworkOptions = {
  /** The chain's 32-byte tag. */
  readonly chain: Uint8Array;
  readonly chainId: string;
  /** Such as /ip4/127.0.0.1/tcp/0. */
  readonly listen: string;
  /** Addresses to keep connected, each with /p2p/PEERID; the own one may be among them. */
  readonly peers: readonly string[];
  readonly privateKey: PrivateKey;
  /** A validator's key; the signer (node/signer.ts) fits. Without it the node says no hello. */
  readonly identity?: {
    readonly blsKey: Uint8Array;
    signHello(peerId: Uint8Array): Uint8Array;
  };
};

export type NetworkComponents = {
  onVote(vote: Vote, from: PeerInfo): void;
  onCertificate(certificate: Certificate, from: PeerInfo): void;
  onProposal(proposal: Proposal, from: PeerInfo): void;
  /** Its names are those of its header. */
  onCompactProposal(proposal: CompactProposal, from: PeerInfo): void;
  /** At most 64 promises of a peer are pending; meanwhile its stream is paused. */
  onTransaction(transaction: Transaction, from: PeerInfo): void | Promise<void>;
  onSubmission(submission: Submission, from: PeerInfo): void | Promise<void>;
  onEvidence(evidence: Evidence, from: PeerInfo): void;
  /** Undefined is "no answer". At most 4 of a peer are pending. Keep to RESPONSE_BYTES_MAX. */
  onRequest(request: Request, from: PeerInfo): Promise<Response | undefined>;
  readonly onPeer?: (event: PeerEvent, peer: PeerInfo) => void;
  readonly log: Log;
};

export type PeerStatus = PeerInfo & {
  /** Of the connection, as this machine sees it. */
  readonly address: string;
  /** Frames that found a full queue, by protocol. */
  readonly dropped: Readonly<Record<Protocol, number>>;
};

export type Network = Awaited<ReturnType<typeof createNetwork>>;

export async function createNetwork(options: NetworkOptions, components: NetworkComponents) {
  const { chain, chainId, listen, identity } = options;
  const { log, onPeer } = components;
  const links = new Map<string, Link>();
  /** Until when peers that misbehaved are refused. */
  const refused = new Map<string, number>();
  const targets = options.peers.map(parseTarget);

  const host: Libp2p = await createHost({
    listen,
    privateKey: options.privateKey,
    isRefused: (id) => (refused.get(id.toString()) ?? 0) > performance.now(),
  });
  const dialler: Dialler = createDialler(host, targets, log);
  const hello =
    identity === undefined
      ? undefined
      : encodeFrame(
          encodeVotesMessage({
            selector: 0,
            value: {
              blsKey: identity.blsKey,
              signature: identity.signHello(host.peerId.toMultihash().bytes),
            },
          }),
        );

  const connectionsTo = (id: PeerId): Connection[] => host.getConnections(id).filter(isOpen);
  const open = (id: PeerId, protocol: string, signal: AbortSignal): Promise<Stream> => {
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
      { open: async (protocol, signal) => open(id, protocol, signal), onMisbehaviour: strike, log },
    );
    links.set(peerId, link);
    log.info({ peer: peerId }, "peer connected");
    onPeer?.("connected", link.info);
    return link;
  };
  const disconnect = (id: PeerId): void => {
    const link = links.get(id.toString());
    if (link === undefined || connectionsTo(id).length > 0) return;
    links.delete(link.info.peerId);
    link.stop();
    log.info({ peer: link.info.peerId }, "peer disconnected");
    onPeer?.("disconnected", link.info);
  };

  const refuse = ({ id, info: { peerId } }: Link, reason: string): void => {
    if (refused.size >= REFUSED_MAX) refused.delete(refused.keys().next().value ?? "");
    refused.set(peerId, performance.now() + REFUSED_MS);
    for (const connection of connectionsTo(id)) connection.abort(new Error(reason));
  };
  const strike = (link: Link, protocol: Protocol, reason: string): void => {
    link.strikes += 1;
    log.warn({ peer: link.info.peerId, protocol, reason, strikes: link.strikes }, "peer misbehaves");
    if (link.strikes >= STRIKES_MAX) refuse(link, reason);
  };

  const onHello = (link: Link, message: Hello): boolean => {
    const { blsKey } = link.info;
    if (blsKey !== undefined) return equalBytes(blsKey, message.blsKey); // said again on a new stream
    if (!isHello(chain, link.id.toMultihash().bytes, message)) return false;
    link.info = { ...link.info, blsKey: message.blsKey };
    log.info({ peer: link.info.peerId, blsKey: toHex(message.blsKey) }, "peer identified");
    onPeer?.("identified", link.info);
    return true;
  };
  const onVotesMessage = (link: Link, bytes: Uint8Array): boolean => {
    const message = decodeVotesMessage(bytes);
    switch (message?.selector) {
      case undefined:
        return false;
      case 0:
        return onHello(link, message.value);
      case 1:
        components.onVote(message.value, link.info);
        return true;
      case 2:
        components.onCertificate(message.value, link.info);
        return true;
    }
  };
  const onBlocksMessage = (link: Link, bytes: Uint8Array): boolean => {
    const message = decodeBlocksMessage(bytes);
    if (message === undefined) return false;
    if (message.selector === 0) components.onProposal(message.value, link.info);
    else components.onCompactProposal(message.value, link.info);
    return true;
  };
  const onPoolMessage = (link: Link, bytes: Uint8Array): boolean | Promise<void> => {
    const message = decodePoolMessage(bytes);
    if (message === undefined) return false;
    if (message.selector === 2) {
      components.onEvidence(message.value, link.info);
      return true;
    }
    const admitted =
      message.selector === 0
        ? components.onTransaction(message.value, link.info)
        : components.onSubmission(message.value, link.info);
    return (
      admitted?.catch((error: unknown) => {
        log.error({ peer: link.info.peerId, error: String(error) }, "admission failed");
      }) ?? true
    );
  };

  /** How each protocol's inbound streams are read. */
  const inbound = {
    votes: { bytesMax: FRAME_BYTES_MAX.votes, inFlightMax: 1, onMessage: onVotesMessage },
    blocks: { bytesMax: FRAME_BYTES_MAX.blocks, inFlightMax: 1, onMessage: onBlocksMessage },
    pool: { bytesMax: FRAME_BYTES_MAX.pool, inFlightMax: POOL_IN_FLIGHT_MAX, onMessage: onPoolMessage },
    sync: {
      bytesMax: FRAME_BYTES_MAX.request,
      inFlightMax: REQUESTS_AT_ONCE,
      onMessage: (link: Link, bytes: Uint8Array, stream: Stream) =>
        answerRequest(bytes, stream, (request) => components.onRequest(request, link.info), log),
    },
  } as const satisfies Record<
    Protocol,
    {
      bytesMax: number;
      inFlightMax: number;
      onMessage: (link: Link, bytes: Uint8Array, stream: Stream) => boolean | Promise<void>;
    }
  >;
  const accept = (protocol: Protocol, stream: Stream, connection: Connection): void => {
    if (!isOpen(connection)) return;
    const link = connect(connection.remotePeer);
    const { bytesMax, inFlightMax, onMessage } = inbound[protocol];
    readFrames(stream, {
      bytesMax,
      inFlightMax,
      onMessage: (bytes) => onMessage(link, bytes, stream),
      onMisbehaviour: (reason) => strike(link, protocol, reason),
    });
    stream.addEventListener("remoteCloseWrite", () => {
      stream
        .close()
        .catch((error: unknown) => log.debug({ protocol, error: String(error) }, "stream not closed"));
    });
  };

  const toAll = (protocol: Protocol, message: Uint8Array, except?: string): void => {
    const frame = encodeFrame(message);
    for (const link of links.values()) if (link.info.peerId !== except) link.channels[protocol].send(frame);
  };
  const toOne = (protocol: Protocol, peerId: string, message: Uint8Array): boolean =>
    links.get(peerId)?.channels[protocol].send(encodeFrame(message)) ?? false;
  const voteMessage = (value: Vote): Uint8Array => encodeVotesMessage({ selector: 1, value });
  const certificateMessage = (value: Certificate): Uint8Array => encodeVotesMessage({ selector: 2, value });

  return {
    peerId: host.peerId.toString(),
    /** Listens and begins to dial. Throws node/port-in-use, node/listen-failed. */
    async start(): Promise<void> {
      for (const protocol of PROTOCOLS) {
        await host.handle(
          protocolId(chainId, protocol),
          (stream, connection) => accept(protocol, stream, connection),
          {
            maxInboundStreams: INBOUND_STREAMS_MAX,
            maxOutboundStreams: INBOUND_STREAMS_MAX,
          },
        );
      }
      host.addEventListener("peer:connect", ({ detail }) => void connect(detail));
      host.addEventListener("peer:disconnect", ({ detail }) => disconnect(detail));
      await startHost(host, listen);
      dialler.start();
    },
    async stop(): Promise<void> {
      dialler.stop();
      await host.stop();
      for (const link of [...links.values()]) disconnect(link.id);
    },
    sendVote: (vote: Vote): void => toAll("votes", voteMessage(vote)),
    sendCertificate: (certificate: Certificate): void => toAll("votes", certificateMessage(certificate)),
    /** Compact where that saves something: the others hold most of it in their pools. */
    sendProposal: (proposal: Proposal): void => toAll("blocks", encodeProposal(proposal)),
    /** The three to one peer; false if it is not connected or its queue lost a frame. */
    sendVoteTo: (peerId: string, vote: Vote): boolean => toOne("votes", peerId, voteMessage(vote)),
    sendCertificateTo: (peerId: string, certificate: Certificate): boolean =>
      toOne("votes", peerId, certificateMessage(certificate)),
    sendProposalTo: (peerId: string, proposal: Proposal): boolean =>
      toOne("blocks", peerId, encodeWhole(proposal)),
    sendTransaction: (transaction: Transaction, exceptPeerId?: string): void =>
      toAll("pool", encodePoolMessage({ selector: 0, value: transaction }), exceptPeerId),
    sendSubmission: (submission: Submission, exceptPeerId?: string): void =>
      toAll("pool", encodePoolMessage({ selector: 1, value: submission }), exceptPeerId),
    sendEvidence: (evidence: Evidence, exceptPeerId?: string): void =>
      toAll("pool", encodePoolMessage({ selector: 2, value: evidence }), exceptPeerId),
    sendEvidenceTo: (peerId: string, evidence: Evidence): boolean =>
      toOne("pool", peerId, encodePoolMessage({ selector: 2, value: evidence })),
    /** The two to one peer; false if it is not connected or its queue lost a frame. */
    sendTransactionTo: (peerId: string, value: Transaction): boolean =>
      toOne("pool", peerId, encodePoolMessage({ selector: 0, value })),
    sendSubmissionTo: (peerId: string, value: Submission): boolean =>
      toOne("pool", peerId, encodePoolMessage({ selector: 1, value })),
    /** Throws node/peer-lost, node/request-timeout, node/request-refused, rpc/busy. */
    async request<R extends Request>(peerId: string, request: R): Promise<ResponseTo<R>> {
      const link = links.get(peerId);
      if (link === undefined) throw new FaultError("node/peer-lost", { peerId });
      return link.requester.request(request);
    },
    /** Disconnects a peer whose messages were well-formed and wrong too often, and refuses it for a while. */
    blame(peerId: string, reason: string): void {
      const link = links.get(peerId);
      if (link === undefined) return;
      log.warn({ peer: peerId, reason }, "peer cut off");
      refuse(link, reason);
    },
    /** Connected peers. */
    peers: (): PeerStatus[] =>
      [...links.values()].map(({ id, info, channels }) => ({
        ...info,
        address: connectionsTo(id)[0]?.remoteAddr.toString() ?? "",
        dropped: {
          votes: channels.votes.dropped(),
          blocks: channels.blocks.dropped(),
          pool: channels.pool.dropped(),
          sync: channels.sync.dropped(),
        },
      })),
    /** Own addresses with /p2p/PEERID, as others dial them. */
    addresses: (): string[] => host.getMultiaddrs().map((address) => address.toString()),
  };
}
