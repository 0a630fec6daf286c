import assert from "node:assert/strict";
import { test } from "node:test";
import { type FaultCode, FaultError } from "../../../consensus/primitives/faults.ts";
import { Epoch, Height, View } from "../../../consensus/primitives/units.ts";
import { bodyRoot, type Proposal, ProposalType } from "../../../consensus/types/block.ts";
import { blsSecretKey, devKey } from "../../../node/keys.ts";
import { compactOf, encodeCompact, partsOf } from "../../../node/network/compact.ts";
import { encodeFrame } from "../../../node/network/frames.ts";
import { helloRoot } from "../../../node/network/hello.ts";
import { parseTarget } from "../../../node/network/host.ts";
import { encodeVotesMessage } from "../../../node/network/messages.ts";
import type { Response } from "../../../node/network/requests.ts";
import { addressOf, blsKeyOf, createNode, freePort, helloOf, mesh, stranger } from "./hosts.ts";
import {
  block,
  bytes,
  CHAIN,
  certificate,
  notarize,
  nullify,
  proposal,
  submission,
  transaction,
  until,
  vote,
} from "./samples.ts";

const hasCode = (code: FaultCode) => (error: unknown) => error instanceof FaultError && error.code === code;

test("three nodes find each other and exchange every kind of message", async (t) => {
  const { nodes, labels } = await mesh(t, 3);
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  const sent = {
    vote: vote(notarize(5, 1), 2),
    certificate: certificate(nullify(4)),
    proposal: proposal(3, [transaction(1)]),
    transaction: transaction(9),
    submission: submission(3),
  };
  a.network.sendVote(sent.vote);
  a.network.sendCertificate(sent.certificate);
  a.network.sendProposal(sent.proposal);
  a.network.publish({ topic: "transactions", value: sent.transaction });
  a.network.publish({ topic: "submissions", value: [sent.submission] });
  for (const { received } of [b, c]) {
    await until(() => received.gossip.length === 2 && received.proposals.length === 1, "messages");
    await until(() => received.votes.length === 1 && received.certificates.length === 1, "votes");
    assert.deepEqual(received.votes[0]?.vote, sent.vote);
    assert.deepEqual(received.votes[0]?.from, {
      peerId: a.network.peerId,
      blsKey: blsKeyOf(labels[0] ?? ""),
    });
    assert.deepEqual(received.certificates, [sent.certificate]);
    assert.deepEqual(
      received.proposals.map((it) => ProposalType.serialize(it)),
      [ProposalType.serialize(sent.proposal)],
    );
    assert.deepEqual(
      received.gossip.map(({ message }) => message),
      [
        { topic: "transactions", value: sent.transaction },
        { topic: "submissions", value: [sent.submission] },
      ],
    );
  }
  assert.deepEqual(a.received.votes, [], "nothing comes back to the sender");
  assert.deepEqual(a.received.gossip, []);
});

test("what is sent together arrives in its order, each message as if it had been sent alone", async (t) => {
  const { nodes } = await mesh(t, 3);
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  const sent = { certificate: certificate(notarize(5, 1)), vote: vote(nullify(6), 2) };
  a.network.sendTogether(() => undefined);
  assert.throws(() =>
    a.network.sendTogether(() => {
      a.network.sendCertificate(sent.certificate);
      a.network.sendVote(sent.vote);
      throw new Error("after all was said");
    }),
  );
  a.network.sendVote(vote(nullify(7), 2));
  for (const { received } of [b, c]) {
    await until(() => received.votes.length === 2, "votes");
    assert.deepEqual(received.certificates, [sent.certificate]);
    assert.deepEqual(
      received.votes.map((it) => it.vote),
      [sent.vote, vote(nullify(7), 2)],
    );
  }
});

test("messages to one peer reach that peer only", async (t) => {
  const { nodes } = await mesh(t, 3);
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  assert.equal(a.network.sendVoteTo(b.network.peerId, vote(nullify(2))), true);
  assert.equal(a.network.sendCertificateTo(b.network.peerId, certificate(nullify(1))), true);
  assert.equal(a.network.sendProposalTo(b.network.peerId, proposal(2)), true);
  assert.equal(a.network.sendVoteTo("nobody", vote(nullify(2))), false);
  await until(() => b.received.proposals.length === 1 && b.received.certificates.length === 1, "messages");
  assert.deepEqual(c.received.votes, []);
});

test("requests are answered, refused and limited to connected peers", async (t) => {
  const finalized = block(7, 1).block;
  const answers: Response[] = [
    { kind: "tip", height: Height(7), epoch: Epoch(1), finalizedHash: bytes(32, 5), lowestHeight: Height(1) },
    { kind: "blocks", blocks: [finalized, block(8, 2).block], certificate: certificate(notarize(8, 1)) },
    { kind: "block-by-hash", block: finalized },
    { kind: "certificates", certificates: [certificate(nullify(3)), certificate(nullify(4))] },
  ];
  const { nodes } = await mesh(t, 2, {
    onRequest: async (request) => {
      if (request.kind === "blocks" && request.count === 0) return undefined;
      if (request.kind === "blocks" && request.count === 1) throw new Error("disk on fire");
      return answers.find(({ kind }) => kind === request.kind);
    },
  });
  const [a, b] = nodes;
  assert.ok(a && b);
  const to = b.network.peerId;
  const tip = await a.network.request(to, { kind: "tip" });
  assert.deepEqual(tip, answers[0]);
  const asked = [
    a.network.request(to, { kind: "blocks", fromHeight: Height(7), count: 2 }),
    a.network.request(to, { kind: "block-by-hash", hash: bytes(32, 1) }),
    a.network.request(to, { kind: "certificates", epoch: Epoch(1), fromView: View(1), toView: View(9) }),
  ];
  assert.deepEqual(await Promise.all(asked), answers.slice(1));
  const many = Array.from({ length: 40 }, () => a.network.request(to, { kind: "tip" }));
  assert.equal((await Promise.all(many)).length, 40, "requests beyond four wait for their turn");
  for (const count of [0, 1]) {
    const refused = a.network.request(to, { kind: "blocks", fromHeight: Height(1), count });
    await assert.rejects(refused, hasCode("node/request-refused"));
  }
  await assert.rejects(a.network.request("nobody", { kind: "tip" }), hasCode("node/peer-lost"));
});

test("a request that is not answered in two seconds fails, and those behind it get their turn", async (t) => {
  const { nodes } = await mesh(t, 2, {
    onRequest: (request) =>
      request.kind === "tip"
        ? new Promise((resolve) => setTimeout(resolve, 2200, undefined).unref())
        : Promise.resolve({ kind: "block-by-hash", block: undefined }),
  });
  const [a, b] = nodes;
  assert.ok(a && b);
  const to = b.network.peerId;
  const slow = Array.from({ length: 4 }, () => a.network.request(to, { kind: "tip" }));
  const behind = a.network.request(to, { kind: "block-by-hash", hash: bytes(32, 1) });
  for (const result of await Promise.allSettled(slow)) {
    assert.ok(result.status === "rejected" && hasCode("node/request-timeout")(result.reason));
  }
  assert.deepEqual(await behind, { kind: "block-by-hash", block: undefined });
});

/** Of nearly two megabytes, which its header commits to. */
function largeProposal(): Proposal {
  const slices = Array.from({ length: 64 }, (_, index) => ({
    index,
    salt: bytes(32, 1),
    features: bytes(1024, 2),
    labels: bytes(8, 0),
    branch: Array.from({ length: 12 }, () => bytes(32, 3)),
  }));
  const operation = { selector: 4, value: { task: bytes(32, 1), epoch: Epoch(1), slices } } as const;
  const it = proposal(
    2,
    Array.from({ length: 21 }, (_, nonce) => ({ ...transaction(nonce), operation })),
  );
  it.block.header.bodyRoot = bodyRoot(it.block.body);
  assert.ok(ProposalType.serialize(it).length > 1_900_000);
  return it;
}

test("a proposal of two megabytes arrives whole", async (t) => {
  const { nodes } = await mesh(t, 2);
  const [a, b] = nodes;
  assert.ok(a && b);
  const large = largeProposal();
  a.network.sendProposalTo(b.network.peerId, large);
  await until(() => b.received.proposals.length === 1, "the proposal");
  assert.deepEqual(
    ProposalType.serialize(b.received.proposals[0] as Proposal),
    ProposalType.serialize(large),
  );
});

test("to all it goes by names, and its parts, all two megabytes of them, are there for the asking", async (t) => {
  const large = largeProposal();
  const { nodes } = await mesh(t, 2, {
    onRequest: async (request) => {
      const parts = request.kind === "parts" ? partsOf(large.block, request) : undefined;
      return parts === undefined ? undefined : { kind: "parts", ...parts };
    },
  });
  const [a, b] = nodes;
  assert.ok(a && b);
  a.network.sendProposal(large);
  await until(() => b.received.compact.length === 1, "the names");
  assert.deepEqual(b.received.compact[0], compactOf(large));
  assert.equal(b.received.proposals.length, 0);
  const ask = (transactions: number[]) =>
    b.network.request(a.network.peerId, { kind: "parts", hash: bytes(32, 1), transactions, submissions: [] });
  const { body } = large.block;
  assert.deepEqual((await ask([...body.transactions.keys()])).transactions, body.transactions);
  assert.deepEqual((await ask([3, 20])).transactions, [body.transactions[3], body.transactions[20]]);
  await assert.rejects(ask([20, 21]), hasCode("node/request-refused"));
});

test("a compact proposal whose names are not its header's costs the stream", async (t) => {
  const { node, host, connection } = await stranger(t, "forger");
  const votes = await connection.newStream("/zkp/test/votes/1");
  votes.send(encodeFrame(helloOf("forger", host)));
  await until(() => node.network.peers()[0]?.blsKey !== undefined, "it is known as a validator");
  const { block, ...rest } = compactOf(largeProposal());
  const transactions = block.body.transactions.with(0, bytes(32, 9));
  const forged = { ...rest, block: { ...block, body: { ...block.body, transactions } } };
  const stream = await connection.newStream("/zkp/test/blocks/1");
  stream.send(encodeFrame(encodeCompact(forged)));
  await until(() => stream.status !== "open", "the stream is closed");
  assert.deepEqual(node.received.compact, []);
});

test("after a restart a node is connected and identified again within three seconds", async (t) => {
  const { nodes, start, labels } = await mesh(t, 3);
  const [a, b] = nodes;
  assert.ok(a && b);
  await b.network.stop();
  await until(() => a.network.peers().length === 1, "the loss is noticed");
  const again = await start(1);
  await until(
    () => a.network.peers().filter((peer) => peer.blsKey !== undefined).length === 2,
    "reconnection",
    3000,
  );
  a.network.sendVote(vote(nullify(8)));
  await until(() => again.received.votes.length === 1, "a vote after the restart");
  assert.deepEqual(again.received.votes[0]?.from.blsKey, blsKeyOf(labels[0] ?? ""));
  const { peerId } = b.network;
  assert.deepEqual(
    a.received.events.filter((event) => event.endsWith(peerId)),
    [
      `connected ${peerId}`,
      `identified ${peerId}`,
      `disconnected ${peerId}`,
      `connected ${peerId}`,
      `identified ${peerId}`,
    ],
  );
});

test("a follower is connected, and gets no votes, certificates and proposals", async (t) => {
  const port = await freePort();
  const validator = await createNode("validator", { port, peers: [] });
  await validator.network.start();
  t.after(() => validator.network.stop());
  const address = await addressOf("validator", port);
  const start = async (label: string, options: Partial<Parameters<typeof createNode>[1]>) => {
    const node = await createNode(label, { port: 0, peers: [address], ...options });
    await node.network.start();
    t.after(() => node.network.stop());
    await until(() => node.network.peers()[0]?.blsKey !== undefined, "the validator is identified");
    return node;
  };
  const reader = await start("reader", { identity: false });
  const other = await start("other validator", {});
  await until(
    () => validator.network.peers().filter(({ blsKey }) => blsKey !== undefined).length === 1,
    "the other validator is identified",
  );
  validator.network.sendVote(vote(nullify(2)));
  validator.network.sendCertificate(certificate(nullify(1)));
  validator.network.sendProposal(proposal(2));
  assert.equal(validator.network.sendVoteTo(reader.network.peerId, vote(nullify(2))), false);
  validator.network.publish({ topic: "transactions", value: transaction(1) });
  reader.network.sendVote(vote(nullify(1)));
  await until(() => other.received.proposals.length === 1 && other.received.votes.length === 1, "votes");
  await until(() => reader.received.gossip.length === 1, "gossip reaches the follower");
  const { votes, certificates, proposals } = reader.received;
  assert.deepEqual([votes, certificates, proposals], [[], [], []]);
  assert.deepEqual(validator.received.votes, [], "and sends none");
});

test("a key that becomes a validator's gets votes from then on, on the same connection", async (t) => {
  const joined = new Set<string>();
  const name = (blsKey: Uint8Array): string => Buffer.from(blsKey).toString("hex");
  const { nodes, labels } = await mesh(t, 2, { isValidator: (blsKey) => joined.has(name(blsKey)) });
  const [a, b] = nodes;
  assert.ok(a && b);
  joined.add(name(blsKeyOf(labels[0] ?? "")));
  a.network.sendVote(vote(nullify(1)));
  joined.add(name(blsKeyOf(labels[1] ?? "")));
  a.network.sendVote(vote(nullify(2)));
  await until(() => b.received.votes.length === 1, "a vote");
  assert.deepEqual(b.received.votes[0]?.vote, vote(nullify(2)));
});

test("a hello whose signature is of another peer id is refused", async (t) => {
  const { node, connection } = await stranger(t, "liar");
  const secretKey = blsSecretKey(devKey("bls", "somebody").seed);
  const signature = secretKey.sign(helloRoot(CHAIN, bytes(38, 1))).toBytes();
  const hello = encodeVotesMessage({ selector: 0, value: { blsKey: blsKeyOf("somebody"), signature } });
  const stream = await connection.newStream("/zkp/test/votes/1");
  stream.send(encodeFrame(hello));
  stream.send(encodeFrame(encodeVotesMessage({ selector: 1, value: vote(nullify(1)) })));
  await until(() => stream.status === "reset", "the stream is reset");
  assert.equal(node.network.peers()[0]?.blsKey, undefined);
  assert.deepEqual(node.received.votes, []);
});

test("who has no seat is not even decoded, and cut off if it goes on", async (t) => {
  const { node, connection } = await stranger(t, "shouter");
  const stream = await connection.newStream("/zkp/test/votes/1");
  const noise = encodeFrame(bytes(200, 9));
  for (let i = 0; i < 500; i++) stream.send(noise);
  const proposals = await connection.newStream("/zkp/test/blocks/1");
  proposals.send(encodeFrame(ProposalType.serialize(proposal(1))));
  await until(() => node.network.peers().length === 1, "it is heard out");
  assert.equal(stream.status, "open", "what is not decoded is not malformed");
  const honest = await createNode("speaks when asked", { port: 0, peers: node.network.addresses() });
  await honest.network.start();
  t.after(() => honest.network.stop());
  await until(() => honest.network.peers().length === 1, "one beside it is connected");
  for (let i = 0; i < 50_000 && stream.status === "open"; i++) {
    stream.send(noise);
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => connection.status !== "open", "it is cut off");
  await until(() => node.network.peers().length === 1, "and gone");
  assert.equal(honest.network.peers().length, 1, "one beside it is not");
  assert.deepEqual([node.received.votes, node.received.proposals], [[], []]);
});

test("strikes outlive the connection they were made on", async (t) => {
  const { node, host, connection } = await stranger(t, "comes back");
  const address = parseTarget(node.network.addresses()[0] ?? "").address;
  const offend = async (on: typeof connection): Promise<void> => {
    const stream = await on.newStream("/zkp/test/sync/1");
    stream.send(new Uint8Array([0xff, 0xff, 0xff, 0x7f]));
    await until(() => stream.status !== "open", "the stream is closed");
  };
  await offend(connection);
  await offend(connection);
  await connection.close();
  await until(() => node.network.peers().length === 0, "the peer left by itself");
  const again = await host.dial(address);
  await offend(again);
  await until(() => again.status !== "open", "the third strike ends it");
});

test("a peer that asks too much is refused for a while, and answered again after it", async (t) => {
  const { nodes } = await mesh(t, 3, {
    onRequest: async () => ({ kind: "block-by-hash", block: undefined }),
  });
  const [a, b, c] = nodes;
  assert.ok(a && b && c);
  const ask = (from: typeof a) =>
    from.network.request(b.network.peerId, { kind: "block-by-hash", hash: bytes(32, 1) });
  let refused = 0;
  for (let i = 0; i < 40 && refused === 0; i++) {
    const results = await Promise.allSettled(Array.from({ length: 60 }, () => ask(a)));
    for (const it of results) {
      if (it.status === "fulfilled") continue;
      assert.ok(hasCode("node/request-refused")(it.reason));
      refused += 1;
    }
  }
  assert.ok(refused > 0);
  assert.deepEqual(await ask(c), { kind: "block-by-hash", block: undefined }, "others are answered");
  await until(() => b.network.peers().length === 2, "nobody was cut off");
});

test("an oversized frame closes the stream, the third one the connection, and the node lives on", async (t) => {
  const { node, host, connection } = await stranger(t, "giant");
  for (let strike = 1; strike <= 3; strike++) {
    const stream = await connection.newStream("/zkp/test/votes/1");
    stream.send(new Uint8Array([0xff, 0xff, 0xff, 0x7f]));
    await until(() => stream.status !== "open", "the stream is closed");
    if (strike < 3) assert.equal(connection.status, "open");
  }
  await until(() => connection.status !== "open", "the connection is closed");
  await until(() => node.network.peers().length === 0, "the peer is gone");
  const again = await host.dial(parseTarget(node.network.addresses()[0] ?? "").address).then(
    (it) =>
      it.newStream("/zkp/test/votes/1").then(
        () => "accepted",
        () => "refused",
      ),
    () => "refused",
  );
  assert.equal(again, "refused", "it is refused for a while");
  const other = await createNode("honest", { port: 0, peers: node.network.addresses() });
  await other.network.start();
  t.after(() => other.network.stop());
  await until(() => other.network.peers()[0]?.blsKey !== undefined, "others connect");
});

test("a peer that is blamed is disconnected and refused for a while, and one beside it is not", async (t) => {
  const { node, host, connection } = await stranger(t, "blamed");
  const honest = await createNode("beside", { port: 0, peers: node.network.addresses() });
  await honest.network.start();
  t.after(() => honest.network.stop());
  await until(() => node.network.peers().length === 2, "both are connected");
  node.network.blame(host.peerId.toString(), "false proofs");
  node.network.blame("nobody", "not connected");
  await until(() => connection.status !== "open", "the connection is closed");
  await until(() => node.network.peers().length === 1, "the peer is gone");
  assert.equal(node.network.peers()[0]?.peerId, honest.network.peerId);
  assert.deepEqual(honest.network.peers().length, 1);
});

test("frames in pieces and many frames in one piece are read alike", async (t) => {
  const { node, host, connection } = await stranger(t, "chopper");
  const stream = await connection.newStream("/zkp/test/votes/1");
  stream.send(encodeFrame(helloOf("chopper", host)));
  const frame = encodeFrame(encodeVotesMessage({ selector: 1, value: vote(nullify(6)) }));
  for (const byte of frame) {
    stream.send(new Uint8Array([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  stream.send(new Uint8Array([...frame, ...frame, ...frame.subarray(0, 7)]));
  stream.send(frame.subarray(7));
  await until(() => node.received.votes.length === 4, "four votes");
});

test("a taken port is node/port-in-use", async (t) => {
  const port = await freePort();
  const first = await createNode("first", { port, peers: [] });
  await first.network.start();
  t.after(() => first.network.stop());
  const second = await createNode("second", { port, peers: [] });
  await assert.rejects(second.network.start(), hasCode("node/port-in-use"));
  await assert.rejects(
    createNode("third", { port: 0, peers: ["/ip4/127.0.0.1/tcp/1"] }),
    hasCode("config/invalid"),
  );
});
