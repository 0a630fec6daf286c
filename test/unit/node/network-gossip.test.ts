/** Gossip on real hosts: what is valid travels on, what is not stops where it was found false, and who lies or shouts pays. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { equalBytes } from "../../../consensus/primitives/bytes.ts";
import { fault, type Verdict } from "../../../consensus/primitives/faults.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { devKey } from "../../../node/keys.ts";
import type { NetworkComponents } from "../../../node/network/network.ts";
import { encodeGossip, type GossipMessage, topicId } from "../../../node/network/topics.ts";
import { createRelayLimits } from "../../../node/relay-limits.ts";
import { createOutlaw, type Outlaw, rawMessage } from "../../helpers/outlaw.ts";
import { createNode } from "./hosts.ts";
import { block, certificate, finalize, notarize, submission, transaction, until, vote } from "./samples.ts";

type Node = Awaited<ReturnType<typeof createNode>>;

/** Each node is connected to the one before it only. */
async function line(t: TestContext, count: number, handlers: readonly Partial<NetworkComponents>[] = []) {
  const nodes: Node[] = [];
  for (let i = 0; i < count; i++) {
    const peers = nodes.at(-1)?.network.addresses() ?? [];
    const own = handlers[i];
    const node = await createNode(`${t.name} ${i}`, {
      port: 0,
      peers,
      identity: false,
      ...(own === undefined ? {} : { handlers: own }),
    });
    await node.network.start();
    t.after(() => node.network.stop());
    nodes.push(node);
  }
  return nodes;
}

/** Publishes until somebody hears it: peers are told of each other's topics a moment after they connect. */
async function ready(from: Node, to: Node): Promise<void> {
  let nonce = 1_000_000;
  const heard = to.received.gossip.length;
  await until(() => {
    if (to.received.gossip.length > heard) return true;
    from.network.publish({ topic: "transactions", value: transaction(nonce++) });
    return false;
  }, "gossip between them");
}

const header = (height: number, fill = 0) => {
  const { block: it, hash } = block(height, fill);
  return { header: it.header, certificate: certificate({ ...finalize(height, 0), blockHash: hash }) };
};
const evidence = {
  selector: 0,
  value: { first: vote(notarize(1, 1)), second: vote(notarize(1, 2)) },
} as const;

const SAMPLES: readonly GossipMessage[] = [
  { topic: "transactions", value: transaction(1) },
  { topic: "submissions", value: [submission(3), submission(4)] },
  { topic: "headers", value: header(7) },
  { topic: "evidence", value: evidence },
];
const isSample = (message: GossipMessage, sample: GossipMessage): boolean =>
  message.topic === sample.topic && equalBytes(encodeGossip(message), encodeGossip(sample));
const heard = ({ received }: Node, sample: GossipMessage) =>
  received.gossip.filter(({ message }) => isSample(message, sample));

for (const sample of SAMPLES) {
  test(`of ${sample.topic} reaches through a neighbour whom it is not connected to, once`, async (t) => {
    const [a, b, c] = await line(t, 3);
    assert.ok(a && b && c);
    await ready(a, b);
    await ready(b, c);
    for (let times = 0; times < 3; times++) a.network.publish(sample);
    await until(() => heard(c, sample).length > 0, "the message");
    assert.deepEqual(heard(c, sample), [{ message: sample, from: b.network.peerId }]);
    c.network.publish(sample);
    const later = { topic: "transactions", value: transaction(77) } as const;
    a.network.publish(later);
    await until(() => heard(c, later).length > 0, "what was sent after it");
    assert.deepEqual(
      [a, b, c].map((node) => heard(node, sample).length),
      [0, 1, 1],
    );
  });
}

async function outlaw(t: TestContext, victim: Node, label: string): Promise<Outlaw> {
  const it = await createOutlaw(victim.network.addresses()[0] ?? "", devKey("network", label));
  t.after(it.stop);
  return it;
}
const named = (message: GossipMessage) => rawMessage("test", message);

const REJECT: Verdict = { kind: "reject", fault: fault("submission/proof-invalid") };

test("what is false or in doubt is not passed on, and what is false costs its sender score", async (t) => {
  const limits = createRelayLimits({ network: { blame: () => undefined } });
  const judge: NetworkComponents["onGossip"] = (message, from) => {
    if (message.topic !== "submissions") return { kind: "accept" };
    if (message.value[0]?.slot === 2) return { kind: "ignore", fault: fault("rpc/busy") };
    limits.onRejected(from, REJECT.fault);
    return REJECT;
  };
  const [c, b, beside] = await line(t, 3, [{}, { onGossip: judge, points: limits.points }]);
  assert.ok(c && b && beside);
  await ready(b, c);
  const liar = await outlaw(t, b, "liar");
  const scoreOf = (peerId: string) => b.network.peers().find((it) => it.peerId === peerId)?.score;
  await until(() => b.network.peers().length === 3, "the liar is connected");
  liar.send([1, 2, 3].map((slot) => named({ topic: "submissions", value: [submission(slot)] })));
  const after = { topic: "transactions", value: transaction(5) } as const;
  liar.send([named(after)]);
  await until(() => heard(c, after).length === 1, "what is valid is passed on all the same");
  assert.deepEqual(
    c.received.gossip.filter(({ message }) => message.topic === "submissions"),
    [],
  );
  // Two false ones: two points squared of P4, and ten of relay-limits for each.
  await until(() => (scoreOf(liar.peerId) ?? 0) < -20, "the score falls");
  assert.ok((scoreOf(beside.network.peerId) ?? -1) >= 0, "that of others does not");
  assert.ok((scoreOf(c.network.peerId) ?? -1) >= 0);
});

test("what does not decode is rejected and charged; what is on no topic of the chain is not looked at", async (t) => {
  const charged: string[] = [];
  const [b, c] = await line(t, 2, [{ onRejected: (peerId, { code }) => charged.push(`${peerId} ${code}`) }]);
  assert.ok(b && c);
  await ready(b, c);
  const liar = await outlaw(t, b, "mumbler");
  const odd = named({ topic: "transactions", value: transaction(1) });
  liar.send([
    { ...odd, topic: "/zkp/other/transactions/1" },
    { ...odd, topic: topicId("test", "headers") },
    { topic: odd.topic, data: new Uint8Array([...odd.data, 0]) },
    { topic: topicId("test", "evidence"), data: new Uint8Array(5_000) },
    { topic: topicId("test", "submissions"), data: new Uint8Array(0) },
    named({ topic: "submissions", value: [submission(1), submission(2), submission(1)] }),
    { ...named({ topic: "submissions", value: [submission(1)] }), topic: "/zkp/test/submissions/1" },
  ]);
  liar.send([odd]);
  await until(() => heard(c, { topic: "transactions", value: transaction(1) }).length === 1, "the good one");
  assert.deepEqual(
    charged,
    ["block", "transaction", "evidence", "submission", "submission"].map(
      (what) => `${liar.peerId} ${what}/malformed`,
    ),
  );
  assert.equal(b.received.gossip.filter(({ from }) => from === liar.peerId).length, 1);
});

test("of one peer 96 messages are judged at once, those behind wait their turn, and others are heard meanwhile", async (t) => {
  const gates: (() => void)[] = [];
  const seen: string[] = [];
  const [b, c] = await line(t, 2, [
    {
      onGossip: async ({ topic }, from) => {
        seen.push(from);
        if (topic === "submissions") await new Promise<void>((resolve) => gates.push(resolve));
        return { kind: "accept" };
      },
    },
  ]);
  assert.ok(b && c);
  await ready(b, c);
  const eager = await outlaw(t, b, "eager");
  const of = (slot: number): GossipMessage => ({ topic: "submissions", value: [submission(slot)] });
  for (let slot = 0; slot < 160; slot++) eager.send([named(of(slot))]);
  await until(() => b.network.gossip().undecided === 160, "all have come");
  assert.equal(gates.length, 96);
  const other = { topic: "transactions", value: transaction(6) } as const;
  c.network.publish(other);
  await until(() => seen.includes(c.network.peerId), "another peer is heard");
  assert.equal(seen.filter((from) => from === eager.peerId).length, 96);
  await until(() => {
    for (const open of gates.splice(0)) open();
    return b.network.gossip().undecided === 0;
  }, "all verdicts are in");
  await until(() => heard(c, of(159)).length === 1, "and passed on, the last one too");
  assert.equal(b.network.gossip().unheard, 0);
});

test("what is published in one turn travels in bundles, over a neighbour too, each submission once", async (t) => {
  const [a, b, c] = await line(t, 3);
  assert.ok(a && b && c);
  await ready(a, b);
  await ready(b, c);
  const all = Array.from({ length: 70 }, (_, slot) => submission(slot));
  for (const it of all) a.network.publish({ topic: "submissions", value: [it] });
  const bundles = (node: Node) =>
    node.received.gossip.flatMap(({ message }) => (message.topic === "submissions" ? [message.value] : []));
  await until(() => bundles(c).flat().length >= all.length, "all of them");
  const sent = [all.slice(0, 32), all.slice(32, 64), all.slice(64)];
  assert.deepEqual(bundles(b), sent);
  // Each waits 75 ms at the neighbour by a timer of its own, so that one may overtake another.
  const slotOf = ([first]: readonly Submission[]): number => first?.slot ?? -1;
  assert.deepEqual(
    bundles(c).toSorted((one, other) => slotOf(one) - slotOf(other)),
    sent,
  );
});

test("of one peer so many bundles are judged at once that 96 submissions are, and a peer beside it is heard", async (t) => {
  const gates: (() => void)[] = [];
  const [b, c] = await line(t, 2, [
    {
      onGossip: async (message, from) => {
        b?.received.gossip.push({ message, from });
        if (message.topic === "submissions") await new Promise<void>((resolve) => gates.push(resolve));
        return { kind: "accept" };
      },
    },
  ]);
  assert.ok(b && c);
  await ready(c, b);
  const eager = await outlaw(t, b, "packer");
  const bundle = (first: number, count: number): GossipMessage => ({
    topic: "submissions",
    value: Array.from({ length: count }, (_, i) => submission(first + i)),
  });
  for (const count of [31, 30, 29, 32, 1]) eager.send([named(bundle(100 * count, count))]);
  await until(() => b.network.gossip().undecided === 5, "all have come");
  assert.equal(gates.length, 3);
  await ready(c, b);
  gates.shift()?.();
  await until(() => b.network.gossip().undecided === 4, "one has its verdict");
  await until(() => gates.length === 4, "thirty-two and one fit beside fifty-nine");
  for (const open of gates) open();
});

test("who fills bundles with what is of no use is cut off as soon as if it had sent each by itself", async (t) => {
  const [b, c] = await line(t, 2, [
    {
      // One of each bundle is new.
      onGossip: (message, from) => {
        b?.received.gossip.push({ message, from });
        return message.topic === "submissions"
          ? { kind: "ignore", fault: fault("submission/nullifier-spent"), useless: message.value.length - 1 }
          : { kind: "accept" };
      },
    },
  ]);
  assert.ok(b && c);
  await ready(c, b);
  const packer = await outlaw(t, b, "repacker");
  let sent = 0;
  for (; packer.stream.status === "open" && sent < 1_000; sent++) {
    const value = Array.from({ length: 32 }, (_, i) => submission(i < 31 ? i : 1_000 + sent));
    packer.send([named({ topic: "submissions", value })]);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await until(() => b.network.peers().length === 1, "it is cut off");
  assert.ok(sent < 1_000, `${sent} bundles`);
  const useful = { topic: "transactions", value: transaction(9) } as const;
  c.network.publish(useful);
  await until(() => heard(b, useful).length === 1, "the other one is heard");
});

test("a verdict that does not come in four seconds is none: the message is not passed on later", async (t) => {
  const gates: (() => void)[] = [];
  const [b, c] = await line(t, 2, [
    {
      onGossip: async () => {
        await new Promise<void>((resolve) => gates.push(resolve));
        return { kind: "accept" };
      },
    },
  ]);
  assert.ok(b && c);
  await ready(b, c);
  const slow = { topic: "transactions", value: transaction(1) } as const;
  const peer = await outlaw(t, b, "patient");
  peer.send([named(slow)]);
  await until(() => gates.length === 1, "it is being judged");
  await until(() => b.network.gossip().late === 1, "it is late", 6_000);
  assert.equal(b.network.gossip().undecided, 1, "its place is taken as long as the work goes on");
  for (const open of gates) open();
  await until(() => b.network.gossip().undecided === 0, "the work ends");
  const next = { topic: "transactions", value: transaction(2) } as const;
  b.network.publish(next);
  await until(() => heard(c, next).length === 1, "what is published after it");
  assert.deepEqual(heard(c, slow), []);
});

test("who floods is cut off, by bytes even where nothing is new, and one beside it is served", async (t) => {
  const [b, c] = await line(t, 2);
  assert.ok(b && c);
  await ready(b, c);
  await ready(c, b);
  const flooder = await outlaw(t, b, "flooder");
  const large = new Uint8Array(60_000);
  const again = Array.from({ length: 16 }, () => ({ topic: topicId("test", "submissions"), data: large }));
  for (let i = 0; i < 2_000 && flooder.connection.status === "open"; i++) {
    try {
      flooder.send(again);
    } catch {
      break; // the stream is gone
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => flooder.connection.status !== "open", "it is cut off");
  await until(() => b.network.peers().length === 1, "and gone");
  const later = { topic: "transactions", value: transaction(9) } as const;
  c.network.publish(later);
  await until(() => heard(b, later).length === 1, "the other one is heard");
});

test("whose new messages are of no use is cut off before it uses up what all may say, and one beside it is heard", async (t) => {
  const useful = { topic: "transactions", value: transaction(9) } as const;
  const [b, c] = await line(t, 2, [
    {
      onGossip: (message, from) => {
        b?.received.gossip.push({ message, from });
        const isUseless = message.topic === "transactions" && message.value.nonce > 2_000_000;
        return isUseless ? { kind: "ignore", fault: fault("transaction/balance-low") } : { kind: "accept" };
      },
    },
  ]);
  assert.ok(b && c);
  await ready(c, b);
  const bore = await outlaw(t, b, "bore");
  let sent = 0;
  while (bore.connection.status === "open" && sent < 40_000) {
    try {
      bore.send(
        Array.from({ length: 200 }, () =>
          named({ topic: "transactions", value: transaction(2_000_001 + sent++) }),
        ),
      );
    } catch {
      break; // the stream is gone
    }
    const target = sent;
    await until(
      () => b.received.gossip.length >= target - 1_000 || bore.connection.status !== "open",
      "it is read",
    );
  }
  await until(() => bore.connection.status !== "open", "it is cut off");
  assert.ok(sent < 20_000, `${sent} messages`);
  c.network.publish(useful);
  await until(() => heard(b, useful).length === 1, "the other one is heard");
});

test("who goes on after it was found to lie is cut off sooner, and one beside it is not", async (t) => {
  const heardOf = new Set<string>();
  const limits = createRelayLimits({ network: { blame: () => undefined } });
  const [b, c] = await line(t, 2, [
    {
      onGossip: ({ topic }, from) => {
        heardOf.add(from);
        if (topic !== "submissions") return { kind: "accept" };
        limits.onRejected(from, REJECT.fault);
        return REJECT;
      },
      points: limits.points,
    },
  ]);
  assert.ok(b && c);
  let nonce = 0;
  await until(() => {
    c.network.publish({ topic: "transactions", value: transaction(nonce++) });
    return heardOf.has(c.network.peerId);
  }, "the honest one is heard");
  const liar = await outlaw(t, b, "stubborn");
  let sent = 0;
  for (let slot = 0; slot < 20_000 && liar.stream.status === "open"; slot++) {
    const message = named({ topic: "submissions", value: [submission(slot)] });
    sent += message.data.length;
    liar.send([message]);
    if (slot % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => b.network.peers().length === 1, "it is cut off");
  assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes are enough`);
  assert.equal(b.network.peers()[0]?.peerId, c.network.peerId);
  assert.ok((b.network.peers()[0]?.score ?? -1) >= 0);
});

test("a peer that comes back is in the mesh again at once", async (t) => {
  const [b, c] = await line(t, 2);
  assert.ok(b && c);
  await ready(b, c);
  await c.network.stop();
  await until(() => b.network.peers().length === 0, "it is gone");
  const again = await createNode(`${t.name} 1`, {
    port: 0,
    peers: b.network.addresses(),
    identity: false,
  });
  await again.network.start();
  t.after(() => again.network.stop());
  await ready(b, again);
  await ready(again, b);
});
