/** Finalized headers by gossip: which are passed on, which are ignored, which are punished, and what a follower does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Verdict } from "../../../consensus/primitives/faults.ts";
import { Epoch, Height } from "../../../consensus/primitives/units.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import type { FinalizedEvent } from "../../../node/chain.ts";
import { createHeaders } from "../../../node/headers.ts";
import { decodeGossip, encodeGossip, type FinalizedHeader } from "../../../node/network/topics.ts";
import {
  certify,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  playEpoch,
  subjectOf,
} from "../../helpers/chain.ts";
import { until } from "./samples.ts";

const chain = createChain();
const path: Link[] = [];
{
  let link = playEpoch(chain, playEpoch(chain, genesisLink(chain)));
  for (; link.block !== undefined; link = link.parent ?? genesisLink(chain)) path.unshift(link);
}
const linkAt = (height: number): Link => {
  const link = path[height - 1];
  assert.ok(link !== undefined);
  return link;
};
function headerAt(height: number, kind: 1 | 3 = VoteKind.finalize, signers = [0, 1, 3]): FinalizedHeader {
  const link = linkAt(height);
  assert.ok(link.block !== undefined);
  const certificate = certify(link.parent?.set ?? link.set, subjectOf(link, kind), signers, chain);
  return { header: link.block.header, certificate };
}

/** A node whose finalized tip is at a height. */
function open(height: number, { running = false, seated = false, followers = true } = {}) {
  const at = { height };
  const seen = { started: 0, published: [] as number[] };
  const clock = { ms: 0 };
  const final = () => {
    const link = at.height === 0 ? genesisLink(chain) : linkAt(at.height);
    return {
      ...link,
      height: link.state.height,
      receipt: { transactions: [], submissions: [], epoch: undefined },
    };
  };
  const headers = createHeaders({
    chain: { chain: chain.chain, final },
    network: {
      publish: (message) => {
        if (message.topic === "headers") seen.published.push(message.value.header.height);
      },
    },
    catchUp: { start: () => void seen.started++, isRunning: () => running },
    isSeated: () => seated,
    hasFollowers: () => followers,
    nowMs: () => clock.ms,
  });
  const become = (to: number): void => {
    at.height = to;
    const { certificate } = headerAt(to);
    headers.onFinalized({ blocks: [final()], certificate } as FinalizedEvent);
  };
  return { headers, at, seen, clock, become };
}
const codeOf = (verdict: Verdict): string =>
  verdict.kind === "accept" ? "accept" : `${verdict.kind} ${verdict.fault.code}`;

test("a header that is final is passed on once, and the blocks are fetched", (t) => {
  const { headers, seen } = open(3);
  t.after(headers.stop);
  assert.equal(codeOf(headers.judge(headerAt(5))), "accept");
  assert.equal(seen.started, 1);
  assert.equal(codeOf(headers.judge(headerAt(5))), "ignore node/stale", "of one height once");
  assert.equal(codeOf(headers.judge(headerAt(5, VoteKind.finalize, [1, 2, 3]))), "ignore node/stale");
  assert.equal(codeOf(headers.judge(headerAt(4))), "ignore node/stale", "not of a lower one either");
});

test("of this epoch and the next headers are verified, and of the one before at the tip", (t) => {
  const { headers } = open(EPOCH - 1);
  t.after(headers.stop);
  assert.equal(codeOf(headers.judge(headerAt(EPOCH))), "accept");
  assert.equal(codeOf(headers.judge(headerAt(EPOCH + 1))), "accept", "the next set is known");
  const late = open(EPOCH - 1);
  t.after(late.headers.stop);
  late.at.height = EPOCH;
  assert.equal(codeOf(late.headers.judge(headerAt(EPOCH))), "accept", "the last set is known still");
});

test("what is false is rejected: forged, of too few, of another kind, of another block", (t) => {
  const { headers, seen } = open(3);
  t.after(headers.stop);
  const good = headerAt(5);
  const other = headerAt(6);
  const signature = headerAt(4).certificate.signature;
  for (const [what, wrong] of [
    ["a signature of another block", { ...good, certificate: { ...good.certificate, signature } }],
    ["two of four", headerAt(5, VoteKind.finalize, [0, 1])],
    ["a notarization", headerAt(5, VoteKind.notarize)],
    ["another header", { header: other.header, certificate: good.certificate }],
    ["a field", { ...good, header: { ...good.header, timestampMs: good.header.timestampMs + 1 } }],
  ] as const) {
    assert.equal(codeOf(headers.judge(wrong)), "reject light/finality", what);
  }
  assert.equal(seen.started, 0, "nothing is fetched for a lie");
  assert.equal(codeOf(headers.judge(good)), "accept", "and a lie takes no place");
});

test("what is old or of an unknown epoch is ignored; the latter is a hint, once a second", (t) => {
  const { headers, seen, clock } = open(EPOCH + 3);
  t.after(headers.stop);
  assert.equal(codeOf(headers.judge(headerAt(2))), "ignore node/stale");
  const far = headerAt(EPOCH + 5);
  const ahead = {
    ...far,
    header: { ...far.header, height: Height(900), epoch: Epoch(90) },
  };
  for (let i = 0; i < 5; i++) assert.equal(codeOf(headers.judge(ahead)), "ignore node/stale");
  assert.equal(seen.started, 1);
  clock.ms = 1_000;
  headers.judge(ahead);
  assert.equal(seen.started, 2);
});

test("what becomes final here is published, unless others said so first or it was fetched", (t) => {
  const { headers, seen, become } = open(3);
  t.after(headers.stop);
  become(4);
  assert.deepEqual(seen.published, [4]);
  headers.judge(headerAt(5));
  become(5);
  assert.deepEqual(seen.published, [4]);
  const behind = open(3, { running: true });
  behind.become(6);
  assert.deepEqual(behind.seen.published, []);
});

test("where all who are connected vote, one a second is published; with a follower among them, each", (t) => {
  const alone = open(1, { followers: false });
  t.after(alone.headers.stop);
  for (const height of [2, 3, 4]) {
    alone.become(height);
    alone.clock.ms += 400;
  }
  assert.deepEqual(alone.seen.published, [2]);
  alone.become(5);
  assert.deepEqual(alone.seen.published, [2, 5], "a second after the last that was");
  const followed = open(1);
  t.after(followed.headers.stop);
  for (const height of [2, 3, 4]) followed.become(height);
  assert.deepEqual(followed.seen.published, [2, 3, 4]);
});

test("at the own tip a header is still passed on: the peer behind may have no other way", (t) => {
  const { headers, at, seen } = open(3);
  t.after(headers.stop);
  at.height = 4;
  assert.equal(codeOf(headers.judge(headerAt(4))), "accept");
  assert.equal(seen.started, 0);
});

test("a follower asks again while the block is not there, a validator only after a second", async (t) => {
  const follower = open(3);
  const validator = open(3, { seated: true });
  t.after(follower.headers.stop);
  t.after(validator.headers.stop);
  follower.headers.judge(headerAt(5));
  validator.headers.judge(headerAt(5));
  await until(() => follower.seen.started >= 3, "it asks again");
  assert.equal(validator.seen.started, 0);
  follower.at.height = 5;
  const asked = follower.seen.started;
  await until(() => validator.seen.started > 0, "the validator asks at last");
  assert.ok(follower.seen.started <= asked + 1, "who has it does not ask");
});

test("what a validator has in a moment it doesn't look at: no lie costs it more than a question a second", async (t) => {
  const validator = open(3, { seated: true });
  t.after(validator.headers.stop);
  const good = headerAt(5);
  const lie = { ...good, certificate: { ...good.certificate, signature: headerAt(4).certificate.signature } };
  for (let i = 0; i < 5; i++) {
    assert.equal(codeOf(validator.headers.judge(lie)), "ignore node/stale");
    assert.equal(codeOf(validator.headers.judge(good)), "ignore node/stale");
  }
  await until(() => validator.seen.started > 0, "it asks");
  assert.equal(validator.seen.started, 1);
  validator.become(5);
  assert.deepEqual(
    validator.seen.published,
    [5],
    "others are told by it all the same, once it is final here",
  );
  assert.equal(codeOf(validator.headers.judge(headerAt(5))), "ignore node/stale");
});

test("a header has one encoding", () => {
  const message = { topic: "headers", value: headerAt(5) } as const;
  const bytes = encodeGossip(message);
  const decoded = decodeGossip("headers", bytes);
  assert.ok(decoded !== undefined);
  assert.deepEqual(encodeGossip(decoded), bytes);
  assert.equal(decodeGossip("headers", new Uint8Array([...bytes, 0])), undefined);
  assert.ok(bytes.length < 512);
});
