/**
 * What gossipsub thinks of a peer, in numbers. A score is the sum of a little good will for messages that
 * were new and valid (at most {@link GOOD_WILL_MAX}), the square of its invalid messages in each topic, of
 * its broken promises, and the points that node/relay-limits.ts charges it, which know a false proof from
 * a false signature. Below each threshold it loses something; the last word, to be cut off, is relay-limits'.
 * Read by gossip.ts.
 *
 * Not used: P3, the rate of deliveries in a mesh (this chain's topics may rightly be silent for minutes),
 * and P6, peers behind one address (a devnet is one address; so is a house full of nodes).
 */
import { TOPIC_NAMES, type Topic, topicId } from "./topics.ts";

/** Invalid messages and broken promises are forgotten by so much a second: half of them in seven seconds. */
const DECAY = 0.9;
const GOOD_WILL_MAX = 10;

const WEIGHTS: Readonly<Record<Topic, number>> = {
  transactions: 1,
  submissions: 1,
  /** A false certificate or false evidence has no innocent cause. */
  headers: 2,
  evidence: 2,
};

const topicParams = (topic: Topic) => ({
  topicWeight: WEIGHTS[topic],
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 100,
  firstMessageDeliveriesWeight: 0.05,
  firstMessageDeliveriesDecay: 0.95,
  firstMessageDeliveriesCap: 40,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 5_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: DECAY,
});

/** `points` are what relay-limits holds against a peer now. */
export const scoreParams = (chainId: string, points: (peerId: string) => number) => ({
  topics: Object.fromEntries(TOPIC_NAMES.map((topic) => [topicId(chainId, topic), topicParams(topic)])),
  topicScoreCap: GOOD_WILL_MAX,
  appSpecificScore: (peerId: string): number => -points(peerId),
  appSpecificWeight: 1,
  IPColocationFactorWeight: 0,
  IPColocationFactorThreshold: 1,
  /** Six promises may be broken before it counts: a machine that proves answers late. */
  behaviourPenaltyThreshold: 6,
  behaviourPenaltyWeight: -5,
  behaviourPenaltyDecay: DECAY,
  decayInterval: 1_000,
  decayToZero: 0.05,
  retainScore: 10 * 60_000,
});

/**
 * Below 0 a peer leaves the mesh. One false proof costs 11, so from two on a peer is told nothing of
 * what others say; from about five on it is not listened to, which is where relay-limits mutes it too.
 */
export const SCORE_THRESHOLDS = {
  gossipThreshold: -20,
  publishThreshold: -40,
  graylistThreshold: -80,
  acceptPXThreshold: 1_000,
  opportunisticGraftThreshold: 1,
};
