/**
 * Gossip: what everybody should know travels from peer to peer, and only after it was found valid here.
 * A message is decoded, handed to `judge`, and passed on when the verdict is in; meanwhile nothing waits.
 * Undecided messages are bounded (gossip-queue.ts): one too many is ignored, not punished. Made by network.ts.
 */
import {
  type GossipSub,
  type GossipSubComponents,
  type GossipsubMessage,
  type GossipsubOpts,
  gossipsub,
  StrictNoSign,
  TopicValidatorResult,
} from "@libp2p/gossipsub";
import type { Connection, PeerId } from "@libp2p/interface";
import type { FaultCode, Verdict } from "../../consensus/primitives/faults.ts";
import { createBuckets } from "../buckets.ts";
import type { Log } from "../log.ts";
import { createBundler } from "./bundler.ts";
import { type DontWantRouter, gatherDontWants, WAIT_MS } from "./dont-want.ts";
import { createGossipQueue } from "./gossip-queue.ts";
import { SCORE_THRESHOLDS, scoreParams } from "./gossip-score.ts";
import { createGossipStreams } from "./gossip-streams.ts";
import {
  decodeGossip,
  encodeGossip,
  type GossipMessage,
  messageId,
  objectsIn,
  TOPIC_NAMES,
  TOPICS,
  topicId,
  topicOf,
} from "./topics.ts";

const MIB = 1024 * 1024;
/** Later than this it is ignored; the library keeps a message for {@link MEMORY_BEATS} seconds, and would not pass it on after that. */
const VERDICT_MS_MAX = 4_000;
const MEMORY_BEATS = 8;
/** Of new messages of all peers: the library remembers their ids for two minutes, about 600 bytes each. What is not looked at now comes by pool.ts. */
const NEW_PER_SECOND = 1_000;
const NEW_AT_ONCE = 100_000;
/** What one peer may send, in whatever form. A chain at its limit fills half of it. */
const BYTES_PER_SECOND = 8 * MIB;
const BYTES_AT_ONCE = 32 * MIB;
/**
 * Objects in new messages of one peer that are of no use here. An honest peer passes on what it found valid, and
 * each once, so it has few: what this node is behind with. Without this, one peer could use up the
 * {@link NEW_PER_SECOND} of all.
 */
const USELESS_PER_SECOND = 100;
const USELESS_AT_ONCE = 5_000;
/** Of each byte of a peer that is not listened to any more: it should have noticed. */
const UNHEARD_COST = 32;
/**
 * What peers are told not to send ({@link SAY_HAVE_FROM_BYTES}) is passed on so long after it came at the earliest,
 * when they have said so too. Proofs are seldom judged sooner.
 */
const PASS_ON_AFTER_MS = WAIT_MS + 25;
/** One message of the library's own protocol: many of ours, when a peer asks for what it missed. */
const ENVELOPE_BYTES_MAX = 8 * MIB;
/** Larger than a vote: only for what is larger is it worth to say that it is not wanted twice. */
const SAY_HAVE_FROM_BYTES = 1024;

/** How many of a message's objects are of no use here: all of them if it is ignored and this is absent. */
export type Judgement = Verdict & { readonly useless?: number };

export type GossipOptions = { readonly chainId: string };
export type GossipComponents = {
  /** Parts of the host. */
  readonly host: GossipSubComponents;
  connectionsTo(id: PeerId): readonly Connection[];
  /** A well-formed message from a peer. Must not throw or reject; may take its time. */
  judge(message: GossipMessage, peerId: string): Judgement | Promise<Judgement>;
  /** What a peer sent does not decode: to be charged. */
  onMalformed(peerId: string, code: FaultCode): void;
  /** The peer sends more than anybody may: to be cut off. */
  onFlood(peerId: string, reason: string): void;
  /** Points that are held against a peer. */
  points(peerId: string): number;
  readonly log: Log;
};
export type Gossip = ReturnType<typeof createGossip>;

/** Of the library's class, which it does not export. */
type Router = GossipSub & {
  start(): Promise<void>;
  stop(): Promise<void>;
  getScore(peerId: string): number;
  reportMessageValidationResult(messageId: string, peerId: string, verdict: TopicValidatorResult): void;
};

const RESULT: Readonly<Record<Verdict["kind"], TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
};

export function createGossip({ chainId }: GossipOptions, components: GossipComponents) {
  const { host, connectionsTo, judge, onMalformed, onFlood, points, log } = components;
  const bytes = createBuckets({ leakPerSecond: BYTES_PER_SECOND });
  const news = createBuckets({ leakPerSecond: NEW_PER_SECOND });
  const useless = createBuckets({ leakPerSecond: USELESS_PER_SECOND });
  const alarms = createAlarms();
  const queue = createGossipQueue();
  const counts = { unheard: 0, late: 0 };
  /** Of peers: new messages, all messages, and bytes of all kinds. */
  const traffic = { messages: 0, copies: 0, bytes: 0 };
  /** Own messages are never refused for want of room. */
  const own = new WeakSet<Uint8Array>();
  let stopped = true;

  const streams = createGossipStreams({
    registrar: host.registrar,
    connectionsTo,
    mayReceive(peerId, length) {
      traffic.bytes += length;
      const isUnheard = router.getScore(peerId) < SCORE_THRESHOLDS.graylistThreshold;
      const cost = isUnheard ? length * UNHEARD_COST : length;
      const isTooMuch = bytes.level(peerId) + cost > BYTES_AT_ONCE;
      if (isTooMuch) onFlood(peerId, isUnheard ? "gossip after false messages" : "too much gossip");
      else bytes.add(peerId, cost);
      return !isTooMuch;
    },
    log,
  });

  const options: Partial<GossipsubOpts> = {
    globalSignaturePolicy: StrictNoSign,
    allowedTopics: TOPIC_NAMES.map((topic) => topicId(chainId, topic)),
    asyncValidation: true,
    msgIdFn: ({ topic, data }) => {
      if (!own.has(data)) traffic.copies += 1;
      if (news.level("") >= NEW_AT_ONCE && !own.has(data)) {
        counts.unheard += 1;
        throw new Error("too many new messages");
      }
      return messageId(topic, data);
    },
    msgIdToStrFn: (id) => Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1"),
    fallbackToFloodsub: false,
    // Own messages go to every peer at once: one hop among validators that know each other.
    floodPublish: true,
    // Encoded once for all of them; what else is to be said goes with the heartbeat.
    batchPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    tagMeshPeers: false,
    doPX: false,
    mcacheLength: MEMORY_BEATS,
    idontwantMinDataSize: SAY_HAVE_FROM_BYTES,
    maxInboundDataLength: ENVELOPE_BYTES_MAX,
    maxTopicBytesPerPeer: 16 * 1024,
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: 5_000,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxControlMessages: 64,
      maxIdontwantMessageIDs: 512,
      maxPeerInfos: 0,
    },
    scoreParams: scoreParams(chainId, points),
    scoreThresholds: SCORE_THRESHOLDS,
  };
  const { privateKey, peerId: self, peerStore, connectionManager, logger } = host;
  const router = gossipsub(options)({
    privateKey,
    peerId: self,
    peerStore,
    connectionManager,
    logger,
    registrar: streams.registrar,
  }) as Router;
  const dontWants = gatherDontWants(router as unknown as DontWantRouter);

  const onMessage = ({ propagationSource, msgId, msg }: GossipsubMessage): void => {
    const peerId = propagationSource.toString();
    const report = (kind: Verdict["kind"]): void =>
      router.reportMessageValidationResult(msgId, peerId, RESULT[kind]);
    news.add("", 1);
    traffic.messages += 1;
    const topic = topicOf(chainId, msg.topic);
    const message = topic === undefined ? undefined : decodeGossip(topic, msg.data);
    if (topic === undefined || message === undefined) {
      report("reject");
      onMalformed(peerId, topic === undefined ? "block/malformed" : TOPICS[topic].malformed);
      return;
    }
    const cameMs = performance.now();
    let isDecided = false;
    const reportOnce = (kind: Verdict["kind"]): void => {
      if (isDecided || stopped) return;
      isDecided = true;
      cancelLate();
      const isTold = msg.data.length >= SAY_HAVE_FROM_BYTES && kind === "accept";
      const waitMs = isTold ? cameMs + PASS_ON_AFTER_MS - performance.now() : 0;
      if (waitMs > 0) alarms.set(waitMs, () => report(kind));
      else report(kind);
    };
    // What is late is not passed on, but it is judged all the same: nobody sends it again.
    const cancelLate = alarms.set(VERDICT_MS_MAX, () => {
      counts.late += 1;
      reportOnce("ignore");
    });
    const objects = objectsIn(message);
    const onUseless = (count: number): void => {
      if (count > 0 && useless.add(peerId, count) > USELESS_AT_ONCE)
        onFlood(peerId, "gossip that is of no use");
    };
    const decide = async (): Promise<void> => {
      try {
        const judged = await judge(message, peerId);
        const { kind } = judged;
        reportOnce(kind);
        onUseless(judged.useless ?? (kind === "ignore" ? objects : 0));
      } catch (error) {
        log.error({ peer: peerId, topic, error: String(error) }, "a message could not be judged");
        reportOnce("ignore");
      }
    };
    if (queue.add(peerId, { weight: objects, bytes: msg.data.length, judge: decide })) return;
    counts.unheard += 1;
    reportOnce("ignore");
    onUseless(objects);
  };
  router.addEventListener("gossipsub:message", ({ detail }) => {
    if (!stopped) onMessage(detail);
  });

  const send = (message: GossipMessage): void => {
    const data = encodeGossip(message);
    own.add(data);
    router.publish(topicId(chainId, message.topic), data).catch((error: unknown) => {
      log.warn({ topic: message.topic, error: String(error) }, "a message could not be published");
    });
    dontWants.flush();
  };
  const bundler = createBundler({ send: (value) => send({ topic: "submissions", value }) });

  return {
    /** Before the host listens, so that no peer is missed. */
    async start(): Promise<void> {
      stopped = false;
      await router.start();
      for (const topic of TOPIC_NAMES) router.subscribe(topicId(chainId, topic));
    },
    async stop(): Promise<void> {
      stopped = true;
      alarms.cancelAll();
      bundler.stop();
      dontWants.stop();
      queue.stop();
      await router.stop();
    },
    attach: streams.attach,
    detach: streams.detach,
    /**
     * To all peers that may hear it; a message that was seen already is not sent again. Submissions leave at the
     * end of this turn, with all others that were published in it.
     */
    publish(message: GossipMessage): void {
      if (stopped) return;
      if (message.topic === "submissions") for (const it of message.value) bundler.add(it);
      else send(message);
    },
    score: (peerId: string): number => router.getScore(peerId),
    /** Messages without a verdict now; how many were not looked at, and how many were judged too late, since the start. */
    counts: () => ({ undecided: queue.size(), ...counts }),
    /** New messages, copies of them that came too, and bytes of all kinds, since the start. */
    traffic: () => ({ ...traffic, copies: traffic.copies - traffic.messages }),
  };
}

/** Timers that end together. */
function createAlarms() {
  const timers = new Set<NodeJS.Timeout>();
  return {
    /** What cancels it. */
    set(ms: number, run: () => void): () => void {
      const timer = setTimeout(() => {
        timers.delete(timer);
        run();
      }, ms);
      timers.add(timer);
      return () => {
        timers.delete(timer);
        clearTimeout(timer);
      };
    },
    cancelAll(): void {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
