/** Nodes' networks on real libp2p hosts at 127.0.0.1, for the tests of node/network. */
import { createServer } from "node:net";
import type { TestContext } from "node:test";
import type { Proposal } from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import type { Vote } from "../../../consensus/types/vote.ts";
import { blsSecretKey, devKey, libp2pKey, peerIdOf } from "../../../node/keys.ts";
import { silentLog } from "../../../node/log.ts";
import type { CompactProposal } from "../../../node/network/compact.ts";
import { helloRoot } from "../../../node/network/hello.ts";
import { createHost, type Host, parseTarget } from "../../../node/network/host.ts";
import { encodeVotesMessage } from "../../../node/network/messages.ts";
import {
  createNetwork,
  type Network,
  type NetworkComponents,
  type PeerInfo,
} from "../../../node/network/network.ts";
import type { GossipMessage } from "../../../node/network/topics.ts";
import { CHAIN, until } from "./samples.ts";

export type Received = {
  votes: { vote: Vote; from: PeerInfo }[];
  certificates: Certificate[];
  proposals: Proposal[];
  compact: CompactProposal[];
  gossip: { message: GossipMessage; from: string }[];
  events: string[];
};

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

export const blsKeyOf = (label: string): Uint8Array => devKey("bls", label).publicKey;

type NodeOptions = {
  port: number;
  peers: readonly string[];
  identity?: boolean;
  handlers?: Partial<NetworkComponents>;
};

export async function createNode(
  label: string,
  options: NodeOptions,
): Promise<{ network: Network; received: Received }> {
  const received: Received = {
    votes: [],
    certificates: [],
    proposals: [],
    compact: [],
    gossip: [],
    events: [],
  };
  const secretKey = blsSecretKey(devKey("bls", label).seed);
  const network = await createNetwork(
    {
      chain: CHAIN,
      chainId: "test",
      listen: `/ip4/127.0.0.1/tcp/${options.port}`,
      peers: options.peers,
      privateKey: await libp2pKey(devKey("network", label).seed),
      ...(options.identity === false
        ? {}
        : {
            identity: {
              blsKey: blsKeyOf(label),
              signHello: (peerId) => secretKey.sign(helloRoot(CHAIN, peerId)).toBytes(),
            },
          }),
    },
    {
      onVote: (it, from) => void received.votes.push({ vote: it, from }),
      onCertificate: (it) => void received.certificates.push(it),
      onProposal: (it) => void received.proposals.push(it),
      onCompactProposal: (it) => void received.compact.push(it),
      onGossip: (message, from) => {
        received.gossip.push({ message, from });
        return { kind: "accept" };
      },
      onRejected: () => undefined,
      points: () => 0,
      isValidator: () => true,
      pool: { ids: () => [], object: () => undefined },
      onRequest: async () => undefined,
      onPeer: (event, { peerId }) => void received.events.push(`${event} ${peerId}`),
      log: silentLog,
      ...options.handlers,
    },
  );
  return { network, received };
}

export async function addressOf(label: string, port: number): Promise<string> {
  return `/ip4/127.0.0.1/tcp/${port}/p2p/${peerIdOf(await libp2pKey(devKey("network", label).seed))}`;
}

/** Connected nodes that know each other's keys. */
export async function mesh(t: TestContext, count: number, handlers?: Partial<NetworkComponents>) {
  const labels = Array.from({ length: count }, (_, i) => `${t.name}-${i}`);
  const ports = await Promise.all(labels.map(freePort));
  const peers = await Promise.all(labels.map((label, i) => addressOf(label, ports[i] ?? 0)));
  const start = async (i: number) => {
    const node = await createNode(labels[i] ?? "", {
      port: ports[i] ?? 0,
      peers,
      ...(handlers ? { handlers } : {}),
    });
    await node.network.start();
    t.after(() => node.network.stop());
    return node;
  };
  const nodes = await Promise.all(labels.map((_, i) => start(i)));
  const identified = () =>
    nodes.every(
      ({ network }) => network.peers().filter((peer) => peer.blsKey !== undefined).length === count - 1,
    );
  await until(identified, "all nodes know all keys");
  return { nodes, labels, start };
}

/** Of a bare host: the key `label` says that the host's peer id is its own. */
export function helloOf(label: string, { peerId }: Host): Uint8Array {
  const signature = blsSecretKey(devKey("bls", label).seed)
    .sign(helloRoot(CHAIN, peerId.toMultihash().bytes))
    .toBytes();
  return encodeVotesMessage({ selector: 0, value: { blsKey: blsKeyOf(label), signature } });
}

/** A bare libp2p host connected to a node, to send what no node sends. */
export async function stranger(t: TestContext, label: string) {
  const port = await freePort();
  const node = await createNode(`${label}-victim`, { port, peers: [] });
  await node.network.start();
  t.after(() => node.network.stop());
  const privateKey = await libp2pKey(devKey("network", label).seed);
  const host = await createHost({ listen: "/ip4/127.0.0.1/tcp/0", privateKey, isRefused: () => false });
  await host.start();
  t.after(() => host.stop());
  const connection = await host.dial(parseTarget(await addressOf(`${label}-victim`, port)).address);
  return { node, host, connection };
}
