/**
 * The node's network: direct, authenticated, long-lived streams among validators, gossip among all, and
 * questions to any peer. Made by node.ts; the driver sends votes, certificates and proposals through it,
 * admission publishes, catch-up asks. It checks encodings, hellos and seats and nothing else: what a
 * message means is decided by the handlers.
 *
 * | protocol                 | carries                                 | to                | queue to each peer |
 * |--------------------------|-----------------------------------------|-------------------|--------------------|
 * | /zkp/<chain id>/votes/1  | hello, votes, certificates              | validators        | 1024 frames        |
 * | /zkp/<chain id>/blocks/1 | proposals, whole or compact             | validators        | 8 MiB              |
 * | /zkp/<chain id>/sync/1   | requests, and their answers coming back | whoever is asked  | 64 requests        |
 * | /zkp/<chain id>/pool/1   | one question a stream, see pool.ts      | whoever is asked  |                    |
 * | /meshsub/1.2.0           | topics, see topics.ts                   | all               | 8 MiB              |
 *
 * The hello goes to everybody. A peer that is not connected is sent nothing; on `connected` and
 * `identified` the node sends it what it must know.
 */
import type { Connection, PrivateKey, Stream } from "@libp2p/interface";
import { concatBytes } from "../../consensus/primitives/bytes.ts";
import { type Fault, FaultError, fault } from "../../consensus/primitives/faults.ts";
import type { Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { Vote } from "../../consensus/types/vote.ts";
import type { Log } from "../log.ts";
import { type CompactProposal, decodeBlocksMessage, encodeProposal, encodeWhole } from "./compact.ts";
import { encodeFrame, readFrames } from "./frames.ts";
import { createGossip, type Judgement } from "./gossip.ts";
import { createDialler, createHost, type Dialler, isOpen, parseTarget, startHost } from "./host.ts";
import { type Link, type PeerInfo, PROTOCOLS, type Protocol, protocolId } from "./link.ts";
import { decodeVotesMessage, encodeVotesMessage, FRAME_BYTES_MAX } from "./messages.ts";
import { createPeers, type PeerEvent } from "./peers.ts";
import { createPenalties } from "./penalties.ts";
import { answerPool, askPool, POOL_QUESTION_BYTES_MAX, type PoolQuestion, type PoolView } from "./pool.ts";
import type { Request, Response, ResponseTo } from "./requests.ts";
import { answerRequest, REQUESTS_AT_ONCE } from "./sync.ts";
import type { GossipMessage } from "./topics.ts";

/** One is used; the others cover streams that are just being replaced. */
const INBOUND_STREAMS_MAX = 4;
/** The selector of a hello, the first byte of a message on votes. */
const HELLO = 0;

export type { PeerInfo } from "./link.ts";

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
  /** What a peer gossips; passed on if it is accepted. At most 32 objects of a peer are pending. */
  onGossip(message: GossipMessage, peerId: string): Judgement | Promise<Judgement>;
  /** A peer gossiped what is not even well-formed. */
  onRejected(peerId: string, fault: Fault): void;
  /** What relay-limits holds against a peer. */
  points(peerId: string): number;
  /** Whether this key is, or soon will be, a validator's: who gets and may send votes and proposals. */
  isValidator(blsKey: Uint8Array): boolean;
  /** What waits here, for peers that ask. */
  readonly pool: PoolView;
  /** Undefined is "no answer". At most 4 of a stream and 8 of a peer are pending. Keep to RESPONSE_BYTES_MAX. */
  onRequest(request: Request, from: PeerInfo): Promise<Response | undefined>;
  readonly onPeer?: (event: PeerEvent, peer: PeerInfo) => void;
  readonly log: Log;
};

export type PeerStatus = PeerInfo & {
  /** Of the connection, as this machine sees it. */
  readonly address: string;
  /** What gossip thinks of it; below 0 it is told less, see gossip-score.ts. */
  readonly score: number;
  /** Frames that found a full queue, by protocol. */
  readonly dropped: Readonly<Record<Protocol, number>>;
};

export type Network = Awaited<ReturnType<typeof createNetwork>>;

export async function createNetwork(options: NetworkOptions, components: NetworkComponents) {
  const { chain, chainId, listen, identity } = options;
  const { log, onPeer, isValidator } = components;
  const targets = options.peers.map(parseTarget);
  const penalties = createPenalties();

  const host = await createHost({
    listen,
    privateKey: options.privateKey,
    isRefused: (id) => penalties.isRefused(id.toString()),
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

  const peers = createPeers(
    { chain, chainId, hello },
    {
      host,
      penalties,
      isValidator,
      onLink: (event, { id }) => (event === "connected" ? gossip.attach(id) : gossip.detach(id)),
      onPeer,
      log,
    },
  );
  const gossip = createGossip(
    { chainId },
    {
      host: host.services.parts.components,
      connectionsTo: peers.connectionsTo,
      judge: components.onGossip,
      onMalformed: (peerId, code) => components.onRejected(peerId, fault(code)),
      onFlood: peers.cutOff,
      points: components.points,
      log,
    },
  );

  const onVotesMessage = (link: Link, bytes: Uint8Array): boolean => {
    const message = decodeVotesMessage(bytes);
    switch (message?.selector) {
      case undefined:
        return false;
      case 0:
        return peers.onHello(link, message.value);
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
  /** Only validators are listened to, and others are not even decoded, but for their hello. */
  const ofValidators =
    (onMessage: (link: Link, bytes: Uint8Array) => boolean, isFree: (bytes: Uint8Array) => boolean) =>
    (link: Link, bytes: Uint8Array): boolean => {
      if (peers.isValidator(link) || isFree(bytes)) return onMessage(link, bytes);
      const { peerId } = link.info;
      if (penalties.isTooMuchUnseated(peerId, bytes.length)) peers.cutOff(peerId, "votes without a seat");
      return true;
    };

  /** How each protocol's inbound streams are read. */
  const inbound = {
    votes: {
      bytesMax: FRAME_BYTES_MAX.votes,
      inFlightMax: 1,
      onMessage: ofValidators(onVotesMessage, ([selector]) => selector === HELLO),
    },
    blocks: {
      bytesMax: FRAME_BYTES_MAX.blocks,
      inFlightMax: 1,
      onMessage: ofValidators(onBlocksMessage, () => false),
    },
    sync: {
      bytesMax: FRAME_BYTES_MAX.request,
      inFlightMax: REQUESTS_AT_ONCE,
      onMessage: (link: Link, bytes: Uint8Array, stream: Stream) =>
        answerRequest(
          bytes,
          stream,
          (answer) => penalties.answering(link.info.peerId, answer),
          (request) => components.onRequest(request, link.info),
          log,
        ),
    },
    pool: {
      bytesMax: POOL_QUESTION_BYTES_MAX,
      inFlightMax: 1,
      onMessage: (link: Link, bytes: Uint8Array, stream: Stream) =>
        answerPool(
          bytes,
          stream,
          (answer) => penalties.answering(link.info.peerId, answer),
          components.pool,
          log,
        ),
    },
  } as const satisfies Record<
    Protocol | "pool",
    {
      bytesMax: number;
      inFlightMax: number;
      onMessage: (link: Link, bytes: Uint8Array, stream: Stream) => boolean | Promise<void>;
    }
  >;
  const accept = (protocol: Protocol | "pool", stream: Stream, connection: Connection): void => {
    if (!isOpen(connection)) return;
    const link = peers.connect(connection.remotePeer);
    const { bytesMax, inFlightMax, onMessage } = inbound[protocol];
    readFrames(stream, {
      bytesMax,
      inFlightMax,
      onMessage: (bytes) => onMessage(link, bytes, stream),
      onMisbehaviour: (reason) => peers.strike(link, protocol, reason),
    });
    stream.addEventListener("remoteCloseWrite", () => {
      stream
        .close()
        .catch((error: unknown) => log.debug({ protocol, error: String(error) }, "stream not closed"));
    });
  };

  const isValidatorHere = (): boolean => identity !== undefined && isValidator(identity.blsKey);
  const toValidators = (protocol: Protocol, frames: Uint8Array): void => {
    for (const link of peers.all()) if (peers.isValidator(link)) link.channels[protocol].send(frames);
  };
  /** Frames on votes that leave in one piece: a message of each layer below costs more than what is in it. */
  let together: Uint8Array[] | undefined;
  /** From a validator to validators: a follower has nothing to say to them here, and they nothing to it. */
  const toAll = (protocol: Protocol, message: Uint8Array): void => {
    if (!isValidatorHere()) return;
    const frame = encodeFrame(message);
    if (protocol === "votes" && together !== undefined) together.push(frame);
    else toValidators(protocol, frame);
  };
  const toOne = (protocol: Protocol, peerId: string, message: Uint8Array): boolean => {
    const link = peers.get(peerId);
    if (link === undefined || !isValidatorHere() || !peers.isValidator(link)) return false;
    return link.channels[protocol].send(encodeFrame(message));
  };
  const voteMessage = (value: Vote): Uint8Array => encodeVotesMessage({ selector: 1, value });
  const certificateMessage = (value: Certificate): Uint8Array => encodeVotesMessage({ selector: 2, value });

  return {
    peerId: host.peerId.toString(),
    /** Listens and begins to dial. Throws node/port-in-use, node/listen-failed. */
    async start(): Promise<void> {
      await gossip.start();
      for (const protocol of [...PROTOCOLS, "pool"] as const) {
        await host.handle(
          protocolId(chainId, protocol),
          (stream, connection) => accept(protocol, stream, connection),
          {
            maxInboundStreams: INBOUND_STREAMS_MAX,
            maxOutboundStreams: INBOUND_STREAMS_MAX,
          },
        );
      }
      host.addEventListener("peer:connect", ({ detail }) => void peers.connect(detail));
      host.addEventListener("peer:disconnect", ({ detail }) => peers.disconnect(detail));
      try {
        await startHost(host, listen);
      } catch (error) {
        await gossip.stop();
        throw error;
      }
      dialler.start();
    },
    async stop(): Promise<void> {
      dialler.stop();
      // The library waits for its streams to drain: a peer that does not read must not hold up the end.
      for (const { id } of peers.all()) gossip.detach(id);
      await gossip.stop();
      await host.stop();
      for (const { id } of peers.all()) peers.disconnect(id);
    },
    sendVote: (vote: Vote): void => toAll("votes", voteMessage(vote)),
    sendCertificate: (certificate: Certificate): void => toAll("votes", certificateMessage(certificate)),
    /** What `send` sends of votes and certificates, at once, in one piece. */
    sendTogether(send: () => void): void {
      const frames: Uint8Array[] = [];
      together = frames;
      try {
        send();
      } finally {
        together = undefined;
        if (frames.length > 0) toValidators("votes", concatBytes(...frames));
      }
    },
    /** Compact where that saves something: the others hold most of it in their pools. */
    sendProposal: (proposal: Proposal): void => toAll("blocks", encodeProposal(proposal)),
    /** The three to one peer; false if it is no connected validator or its queue lost a frame. */
    sendVoteTo: (peerId: string, vote: Vote): boolean => toOne("votes", peerId, voteMessage(vote)),
    sendCertificateTo: (peerId: string, certificate: Certificate): boolean =>
      toOne("votes", peerId, certificateMessage(certificate)),
    sendProposalTo: (peerId: string, proposal: Proposal): boolean =>
      toOne("blocks", peerId, encodeWhole(proposal)),
    /** Gossips what was found valid here; once is enough. */
    publish: (message: GossipMessage): void => gossip.publish(message),
    /** What waits at a peer. Throws node/peer-lost, node/request-timeout, node/request-refused. */
    async askPool(peerId: string, question: PoolQuestion): Promise<Uint8Array> {
      const link = peers.get(peerId);
      if (link === undefined) throw new FaultError("node/peer-lost", { peerId });
      return askPool(peerId, question, (signal) => peers.open(link.id, protocolId(chainId, "pool"), signal));
    },
    /** Throws node/peer-lost, node/request-timeout, node/request-refused, rpc/busy. */
    async request<R extends Request>(peerId: string, request: R): Promise<ResponseTo<R>> {
      const link = peers.get(peerId);
      if (link === undefined) throw new FaultError("node/peer-lost", { peerId });
      return link.requester.request(request);
    },
    /** Disconnects a peer whose messages were well-formed and wrong too often, and refuses it for a while. */
    blame: peers.cutOff,
    /** Gossip of all peers: what is undecided, and what was not looked at or judged too late since the start. */
    gossip: gossip.counts,
    traffic: gossip.traffic,
    /** Connected peers. */
    peers: (): PeerStatus[] =>
      peers.all().map(({ id, info, channels }) => ({
        ...info,
        address: peers.connectionsTo(id)[0]?.remoteAddr.toString() ?? "",
        score: gossip.score(info.peerId),
        dropped: {
          votes: channels.votes.dropped(),
          blocks: channels.blocks.dropped(),
          sync: channels.sync.dropped(),
        },
      })),
    /** Own addresses with /p2p/PEERID, as others dial them. */
    addresses: (): string[] => host.getMultiaddrs().map((address) => address.toString()),
  };
}
