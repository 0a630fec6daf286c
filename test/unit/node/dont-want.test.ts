/** Peers are told together what came already: each of the mesh but the sender, all of it, soon, and with a bound. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Verdict } from "../../../consensus/primitives/faults.ts";
import { type DontWantRouter, gatherDontWants, WAIT_MS } from "../../../node/network/dont-want.ts";
import type { Network } from "../../../node/network/network.ts";
import type { GossipMessage } from "../../../node/network/topics.ts";
import { createNode } from "./hosts.ts";
import { submission, transaction, until } from "./samples.ts";

const TOPIC = "submissions";
const id = (value: number): Uint8Array => Uint8Array.of(value >> 8, value);

function open(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sent: [string, number[]][] = [];
  const router: DontWantRouter = {
    mesh: new Map([[TOPIC, new Set(["a", "b", "c"])]]),
    sendRpc(peerId, { control }) {
      const ids = control.idontwant.flatMap(({ messageIDs }) => messageIDs);
      sent.push([peerId, ids.map(([high = 0, low = 0]) => 256 * high + low)]);
      return true;
    },
    sendIDontWants: () => assert.fail("the library's own"),
  };
  const dontWants = gatherDontWants(router);
  return {
    sent,
    dontWants,
    came: (value: number, from: string) => router.sendIDontWants(id(value), TOPIC, from),
  };
}

test("what comes within a moment is told in one message a peer, and to no sender of it", (t) => {
  const { sent, came } = open(t);
  came(1, "a");
  t.mock.timers.tick(45);
  came(2, "b");
  came(3, "a");
  t.mock.timers.tick(4);
  assert.equal(sent.length, 0);
  t.mock.timers.tick(1);
  assert.deepEqual(
    [...sent].sort(([one], [other]) => (one < other ? -1 : 1)),
    [
      ["a", [2]],
      ["b", [1, 3]],
      ["c", [1, 2, 3]],
    ],
  );
  came(4, "stranger");
  t.mock.timers.tick(50);
  assert.deepEqual(sent.slice(3), [
    ["a", [4]],
    ["b", [4]],
    ["c", [4]],
  ]);
});

test("it leaves earlier with what else is said, and not again", (t) => {
  const { sent, dontWants, came } = open(t);
  came(1, "a");
  dontWants.flush();
  assert.deepEqual(sent, [
    ["b", [1]],
    ["c", [1]],
  ]);
  t.mock.timers.tick(100);
  assert.equal(sent.length, 2);
});

test("however much comes, so many wait at most; of other topics nobody is told, and at the end nobody", (t) => {
  const { sent, dontWants, came } = open(t);
  for (let i = 0; i < 64; i++) came(i, "a");
  const all = Array.from({ length: 64 }, (_, i) => i);
  assert.deepEqual(sent, [
    ["b", all],
    ["c", all],
  ]);
  came(64, "a");
  dontWants.stop();
  t.mock.timers.tick(100);
  assert.equal(sent.length, 2);
});

type Node = { readonly network: Network; readonly heard: readonly GossipMessage[] };

test("what is large is passed on, and not before whoever has it too has said so", async (t) => {
  const nodes: Node[] = [];
  const cameMs: number[] = [];
  for (let i = 0; i < 3; i++) {
    const peers = nodes.at(-1)?.network.addresses() ?? [];
    const received: GossipMessage[] = [];
    const onGossip = (message: GossipMessage): Verdict => {
      received.push(message);
      if (message.topic === "submissions") cameMs[i] = performance.now();
      return { kind: "accept" };
    };
    const node = await createNode(`${t.name} ${i}`, {
      port: 0,
      peers,
      identity: false,
      handlers: { onGossip },
    });
    await node.network.start();
    t.after(() => node.network.stop());
    nodes.push({ network: node.network, heard: received });
  }
  const [first, , last] = nodes;
  assert.ok(first && last);
  let nonce = 0;
  await until(() => {
    first.network.publish({ topic: "transactions", value: transaction(nonce++) });
    return last.heard.length > 0;
  }, "gossip between the ends");
  const value = Array.from({ length: 20 }, (_, slot) => submission(slot));
  first.network.publish({ topic: "submissions", value });
  await until(() => cameMs[2] !== undefined, "the bundle, from one who was not sent it by its publisher");
  assert.ok((cameMs[2] ?? 0) - (cameMs[1] ?? 0) >= WAIT_MS);
});
