/**
 * One real node, whole, with a network that is the test's: node/node.ts composed with a fake in place of
 * libp2p, so that the test says what peers say, with the other validators' keys in its hands, and sees
 * all that leaves. Called by unit tests of the node.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { aggregateSignatures } from "../../consensus/primitives/bls.ts";
import { invariant, type Verdict } from "../../consensus/primitives/faults.ts";
import type { ParamName } from "../../consensus/primitives/params.ts";
import { View } from "../../consensus/primitives/units.ts";
import type { Block, Proposal } from "../../consensus/types/block.ts";
import { type Certificate, createCertificate } from "../../consensus/types/certificate.ts";
import type { Evidence } from "../../consensus/types/evidence.ts";
import { proposerOf, type ValidatorSet } from "../../consensus/types/validator-set.ts";
import {
  nullifySubject,
  type Subject,
  signingRoot,
  type Vote,
  VoteKind,
} from "../../consensus/types/vote.ts";
import { genesisState } from "../../genesis/state.ts";
import type { NodeConfig } from "../../node/config.ts";
import { devKey, saveKey } from "../../node/keys.ts";
import { type Log, silentLog } from "../../node/log.ts";
import type { Network, NetworkComponents, PeerInfo } from "../../node/network/network.ts";
import type { GossipMessage } from "../../node/network/topics.ts";
import { type RunningNode, startNode } from "../../node/node.ts";
import { type Client, createClient } from "../../pod/client.ts";
import { createChain, documentOf, type Link, subjectOf, type TestChain } from "./chain.ts";

/** Four validators whose keys everybody knows, no tasks; deadlines so far that only the test moves it. */
export function createQuietChain(params: Partial<Record<ParamName, string>> = {}): TestChain {
  const document = {
    ...documentOf({
      params: {
        proposalTimeoutMs: "60000",
        notarizationTimeoutMs: "120000",
        retryMs: "60000",
        ...params,
      },
    }),
    circuits: [],
    pods: [],
    tasks: [],
  };
  const genesis = genesisState(document);
  return { ...createChain(), document, genesis, params: genesis.params };
}

/** What peers would have heard. */
export type Sent = {
  readonly votes: Vote[];
  readonly proposals: Proposal[];
  readonly certificates: Certificate[];
  readonly evidence: Evidence[];
};

export type LoneNode = {
  readonly client: Client;
  readonly sent: Sent;
  /** As if this validator, by its place in the state, said it. */
  readonly says: (validator: number) => {
    vote(vote: Vote): void;
    certificate(certificate: Certificate): void;
    proposal(proposal: Proposal): void;
    /** The verdict of this node. */
    evidence(evidence: Evidence): Verdict | Promise<Verdict>;
  };
  /** What `onFatal` was told. */
  readonly fatal: unknown[];
  stop(): Promise<void>;
};

export type LoneOptions = { readonly dir: string; readonly chain: TestChain; readonly validator: number };

export async function startLone(
  { dir, chain, validator }: LoneOptions,
  components: { readonly log?: Log; readonly onFatal?: (error: unknown) => void } = {},
): Promise<LoneNode> {
  const sent: Sent = { votes: [], proposals: [], certificates: [], evidence: [] };
  const fatal: unknown[] = [];
  await mkdir(dir, { recursive: true });
  const config: NodeConfig & { readonly blsKey: string } = {
    name: `v${validator}`,
    genesis: join(dir, "genesis.json"),
    listen: "/ip4/127.0.0.1/tcp/0",
    peers: [],
    rpc: { host: "127.0.0.1", port: 0 },
    networkKey: join(dir, "network.json"),
    snapshotSync: true,
    blsKey: join(dir, "bls.json"),
    logLevel: "warn",
  };
  // The command line reads these, and a second start finds them.
  await writeFile(join(dir, "config.json"), JSON.stringify(config));
  await writeFile(join(dir, "genesis.json"), JSON.stringify(chain.document));
  const keys = [
    [config.networkKey, devKey("network", `network-${validator}`)],
    [config.blsKey, devKey("bls", `validator-${validator}`)],
  ] as const;
  for (const [file, key] of keys) {
    await rm(file, { force: true });
    await saveKey(file, key);
  }

  let heard: NetworkComponents | undefined;
  const network = {
    peerId: "self",
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    sendVote: (vote: Vote) => void sent.votes.push(vote),
    sendCertificate: (certificate: Certificate) => void sent.certificates.push(certificate),
    sendProposal: (proposal: Proposal) => void sent.proposals.push(proposal),
    sendVoteTo: () => true,
    sendTogether: (send: () => void) => send(),
    sendCertificateTo: () => true,
    sendProposalTo: () => true,
    publish({ topic, value }: GossipMessage) {
      if (topic === "evidence") sent.evidence.push(value);
    },
    askPool: () => Promise.reject(new Error("nobody is there")),
    gossip: () => ({ undecided: 0, unheard: 0, late: 0 }),
    traffic: () => ({ messages: 0, copies: 0, bytes: 0 }),
    request: () => Promise.reject(new Error("nobody is there")),
    blame: () => undefined,
    peers: () => [],
    addresses: () => [],
  } satisfies Network;
  const node: RunningNode = await startNode(
    { dir, config, genesis: chain.document, locksDir: dir },
    {
      log: components.log ?? silentLog,
      onFatal: components.onFatal ?? ((error) => void fatal.push(error)),
      createNetwork(_, its) {
        heard = its;
        return Promise.resolve(network);
      },
    },
  );
  const says = (other: number) => {
    const its = heard;
    invariant(its !== undefined, "the node has a network");
    const from: PeerInfo = {
      peerId: `peer-${other}`,
      blsKey: devKey("bls", `validator-${other}`).publicKey,
    };
    return {
      vote: (vote: Vote) => its.onVote(vote, from),
      certificate: (certificate: Certificate) => its.onCertificate(certificate, from),
      proposal: (proposal: Proposal) => its.onProposal(proposal, from),
      evidence: (value: Evidence) => its.onGossip({ topic: "evidence", value }, from.peerId),
    };
  };
  return { client: createClient({ rpc: node.rpcUrl }), sent, says, fatal, stop: () => node.stop() };
}

const memberOf = (set: ValidatorSet, position: number): number => {
  const member = set.members[position];
  invariant(member !== undefined, "a position of the set");
  return member.validator;
};
/** Place in the state of whoever proposes in a view. */
export const proposerIn = (set: ValidatorSet, view: number): number =>
  memberOf(set, proposerOf(set, View(view)));

/** A signed vote of a validator, by its place in the state. */
export function voteBy(chain: TestChain, set: ValidatorSet, validator: number, subject: Subject): Vote {
  const signer = set.members.findIndex((member) => member.validator === validator);
  const secret = chain.validators[validator]?.secret;
  invariant(secret !== undefined && signer >= 0, "a validator with a seat");
  return { subject, signer, signature: secret.sign(signingRoot(chain.chain, subject)).toBytes() };
}

/** A certificate of these validators, by their places in the state. */
export function certificateBy(
  chain: TestChain,
  set: ValidatorSet,
  subject: Subject,
  validators: readonly number[],
): Certificate {
  const votes = validators.map((validator) => voteBy(chain, set, validator, subject));
  const signature = aggregateSignatures(votes.map((vote) => vote.signature));
  invariant(signature !== undefined, "signatures that were just made");
  return createCertificate(
    set,
    subject,
    votes.map(({ signer }) => signer),
    signature,
  );
}

/** A proposal of a block by the proposer of its view, with nullifications of the views it skips. */
export function proposalOf(
  chain: TestChain,
  { block, parent }: Pick<Link, "parent"> & { readonly block: Block | undefined },
  nullifications: readonly Certificate[] = [],
): Proposal {
  invariant(block !== undefined && parent !== undefined, "a block with a parent");
  const subject = subjectOf({ block } as Link, VoteKind.notarize);
  const vote = voteBy(chain, parent.set, block.header.proposer, subject);
  return { block, vote, justification: { nullifications: [...nullifications], notarization: [] } };
}

export const nullificationOf = (
  chain: TestChain,
  set: ValidatorSet,
  view: number,
  validators: readonly number[],
): Certificate => certificateBy(chain, set, nullifySubject(set.epoch, View(view)), validators);
