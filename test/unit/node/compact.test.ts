/** Compact proposals: what they weigh, how they are completed, and what a hostile proposer gets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { View } from "../../../consensus/primitives/units.ts";
import {
  type Block,
  BodyType,
  blockHash,
  bodyRoot,
  type Proposal,
  SUBMISSIONS_MAX,
  TRANSACTIONS_MAX,
} from "../../../consensus/types/block.ts";
import { rootOf } from "../../../consensus/types/ssz.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { createAssembler } from "../../../node/compact.ts";
import { createIntake } from "../../../node/intake.ts";
import { silentLog } from "../../../node/log.ts";
import {
  type CompactProposal,
  compactOf,
  decodeBlocksMessage,
  encodeCompact,
  encodeProposal,
  encodeWhole,
  type Parts,
  type PartsRequest,
  partsOf,
} from "../../../node/network/compact.ts";
import { FRAME_BYTES_MAX } from "../../../node/network/messages.ts";
import type { Network, PeerInfo } from "../../../node/network/network.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../../../node/network/requests.ts";
import { bytes, proposal, submission, transaction, until } from "./samples.ts";

const PEER: PeerInfo = { peerId: "proposer", blsKey: bytes(48, 1) };

/** A proposal whose header commits to its body. */
function blockOf(view: number, submissions: Submission[], transactions = [transaction(view)]): Proposal {
  const it = proposal(view);
  const body = { ...it.block.body, transactions, submissions };
  const block: Block = { header: { ...it.block.header, bodyRoot: bodyRoot(body) }, body };
  const subject = { ...it.vote.subject, blockHash: blockHash(block.header) };
  return { ...it, block, vote: { ...it.vote, subject } };
}
const many = (count: number): Submission[] => Array.from({ length: count }, (_, slot) => submission(slot));
const hashOf = ({ block }: Proposal): Uint8Array => blockHash(block.header);

type Answer = (request: PartsRequest, peerId: string) => Promise<Parts>;

/** A receiver whose pool holds `held`, and what its peers answer. */
function receiver(held: readonly Submission[], answer: Answer, view = 5) {
  const blamed: string[] = [];
  const asked: PartsRequest[] = [];
  const done: Proposal[] = [];
  const blocks = new Map<string, Block>();
  const pool = new Map(
    held.map((it) => [Buffer.from(rootOf(submissionType(), it)).toString("hex"), it] as const),
  );
  const assembler = createAssembler({
    chain: { find: (hash) => ({ block: blocks.get(Buffer.from(hash).toString("hex")) }) },
    store: { blockByHash: () => undefined },
    pool: {
      transaction: () => undefined,
      submission: (root) => pool.get(Buffer.from(root).toString("hex")),
    },
    network: {
      request: (async (peerId: string, request: PartsRequest) => {
        asked.push(request);
        return { kind: "parts", ...(await answer(request, peerId)) };
      }) as unknown as Network["request"],
      blame: (peerId) => blamed.push(peerId),
    },
    log: silentLog,
    view: () => View(view),
  });
  const take = (it: CompactProposal, from = PEER): void =>
    assembler.assemble(it, from, (whole) => done.push(whole));
  return { assembler, blamed, asked, done, take, pool, blocks };
}
const submissionType = () => BodyType.fields.submissions.elementType;
const answering =
  (...blocks: readonly Proposal[]): Answer =>
  async (request) => {
    const of = blocks.find((it) => Buffer.from(hashOf(it)).equals(request.hash));
    const parts = of === undefined ? undefined : partsOf(of.block, request);
    if (parts === undefined) throw new FaultError("node/request-refused", {});
    return parts;
  };
const silence: Answer = () => new Promise(() => {});
const timeout: Answer = async () => {
  throw new FaultError("node/request-timeout", {});
};
/** Until what was promised has been heard. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the encoding", () => {
  test("an outline has the root of its body, and a body's root is what the encoding's own rule says", () => {
    for (const it of [blockOf(3, []), blockOf(3, many(1)), blockOf(4, many(7), [])]) {
      assert.deepEqual(bodyRoot(it.block.body), rootOf(BodyType, it.block.body));
      assert.deepEqual(decodeBlocksMessage(encodeCompact(compactOf(it))), {
        selector: 1,
        value: compactOf(it),
      });
    }
  });

  test("a body's root follows every byte of what it holds, also after it was asked for", () => {
    const [one] = many(1);
    assert.ok(one !== undefined);
    const root = (it: Submission) => bodyRoot(blockOf(3, [it]).block.body);
    const before = root(one);
    assert.notDeepEqual(root({ ...one, signature: bytes(64, 8) }), before);
    assert.notDeepEqual(root({ ...one, proof: bytes(128, 8) }), before);
    assert.deepEqual(root({ ...one }), before);
  });

  test("what is small is sent whole, what is large by names", () => {
    assert.equal(decodeBlocksMessage(encodeProposal(blockOf(3, many(4))))?.selector, 0);
    const large = blockOf(3, many(256));
    assert.equal(decodeBlocksMessage(encodeProposal(large))?.selector, 1);
    assert.ok(encodeProposal(large).length * 8 < encodeWhole(large).length);
  });

  test("more names than a body may have are malformed, and so are names of another body", () => {
    const it = compactOf(blockOf(3, many(2)));
    const withNames = (submissions: Uint8Array[]): CompactProposal => ({
      ...it,
      block: { ...it.block, body: { ...it.block.body, submissions } },
    });
    const names = it.block.body.submissions;
    assert.equal(decodeBlocksMessage(encodeCompact(withNames([...names, bytes(32, 7)]))), undefined);
    assert.equal(decodeBlocksMessage(encodeCompact(withNames(names.toReversed()))), undefined);
    // The library refuses to encode too long a list too, so the count is forged by doubling the bytes.
    const full = encodeCompact(withNames(Array.from({ length: SUBMISSIONS_MAX }, () => bytes(32, 7))));
    const forged = new Uint8Array(full.length + 32).fill(7);
    forged.set(full);
    assert.equal(decodeBlocksMessage(forged), undefined);
  });

  test("a request for all parts of the largest body fits its frame and comes out as it went in", () => {
    const request = {
      kind: "parts",
      hash: bytes(32, 1),
      transactions: Array.from({ length: TRANSACTIONS_MAX }, (_, at) => at),
      submissions: [0, 7, 8, SUBMISSIONS_MAX - 1],
    } as const;
    const encoded = encodeRequest(7, request);
    assert.ok(encoded.length <= FRAME_BYTES_MAX.request);
    assert.deepEqual(decodeRequest(encoded), { id: 7, request });
    const none = { ...request, transactions: [], submissions: [] } as const;
    assert.deepEqual(decodeRequest(encodeRequest(8, none)), { id: 8, request: none });
    const response = { kind: "parts", transactions: [transaction(1)], submissions: many(2) } as const;
    assert.deepEqual(decodeResponse(encodeResponse(9, response)), { id: 9, response });
  });

  test("parts that a block does not have are not answered", () => {
    const { block } = blockOf(3, many(2));
    const hash = blockHash(block.header);
    assert.equal(partsOf(block, { hash, transactions: [], submissions: [2] }), undefined);
    assert.equal(partsOf(block, { hash, transactions: [0, 1], submissions: [] }), undefined);
    assert.deepEqual(partsOf(block, { hash, transactions: [0], submissions: [1] }), {
      transactions: block.body.transactions,
      submissions: block.body.submissions.slice(1),
    });
  });
});

describe("a receiver", () => {
  const large = blockOf(5, many(40), []);

  test("that holds everything has the proposal at once and asks for nothing", () => {
    const it = receiver(large.block.body.submissions, silence);
    it.take(compactOf(large));
    assert.deepEqual(it.done, [large]);
    assert.deepEqual(it.asked, []);
  });

  test("asks the proposer for exactly what is missing, in one request", async () => {
    const it = receiver(large.block.body.submissions.slice(3, 38), answering(large));
    it.take(compactOf(large));
    assert.deepEqual(it.done, [], "nothing is handed on before it is whole");
    await until(() => it.done.length === 1, "the proposal");
    assert.deepEqual(it.done, [large]);
    assert.deepEqual(it.asked[0]?.submissions, [0, 1, 2, 38, 39]);
    assert.equal(it.asked.length, 1);
  });

  test("doesn't take a pooled copy with another signature for what is named", async () => {
    const copies = large.block.body.submissions.map((one) => ({ ...one, signature: bytes(64, 8) }));
    const it = receiver(copies, answering(large));
    it.take(compactOf(large));
    await until(() => it.done.length === 1, "the proposal");
    assert.deepEqual(it.done, [large]);
    assert.equal(it.asked[0]?.submissions.length, 40);
  });

  test("knows a block again that it has executed, whatever its pool has dropped since", () => {
    const it = receiver([], silence);
    it.blocks.set(Buffer.from(hashOf(large)).toString("hex"), large.block);
    const { subject } = large.vote;
    const again = { ...large, vote: { ...large.vote, subject: { ...subject, view: View(6) } } };
    it.take(compactOf(again));
    assert.deepEqual(it.done, [again]);
  });

  test("asks again after a timeout, for what is still missing then", async () => {
    let tries = 0;
    const it = receiver([], (request, peerId) => {
      tries += 1;
      if (tries > 1) return answering(large)(request, peerId);
      for (const one of large.block.body.submissions.slice(0, 39)) {
        it.pool.set(Buffer.from(rootOf(submissionType(), one)).toString("hex"), one);
      }
      return timeout(request, peerId);
    });
    it.take(compactOf(large));
    await until(() => it.done.length === 1, "the proposal");
    assert.deepEqual(it.asked[1]?.submissions, [39]);
  });
});

describe("a hostile proposer", () => {
  const large = blockOf(5, many(40), []);

  test("that answers with other parts is cut off, and nothing is handed on", async () => {
    const lies: Parts[] = [
      { transactions: [], submissions: large.block.body.submissions.toReversed() },
      { transactions: [], submissions: large.block.body.submissions.slice(1) },
      { transactions: [transaction(1)], submissions: large.block.body.submissions },
      {
        transactions: [],
        submissions: large.block.body.submissions.with(7, { ...submission(7), signature: bytes(64, 8) }),
      },
    ];
    for (const lie of lies) {
      const it = receiver([], async () => lie);
      it.take(compactOf(large));
      await until(() => it.assembler.counts().pending === 0, "the end");
      assert.deepEqual(it.done, []);
      assert.deepEqual(it.blamed, [PEER.peerId]);
    }
  });

  test("that names what nobody has, or never answers, is asked a few times and given up, not blamed", async () => {
    for (const answer of [answering(), timeout]) {
      const it = receiver([], answer);
      it.take(compactOf(large));
      await until(() => it.assembler.counts().pending === 0, "the end");
      assert.ok(it.asked.length <= 3);
      assert.deepEqual(it.done, []);
      assert.deepEqual(it.blamed, [], "a slow link is no lie");
      assert.equal(it.assembler.counts().givenUp, 1);
    }
  });

  test("that is silent doesn't hold up the same block from another peer", async () => {
    const it = receiver([], (request, peerId) =>
      (peerId === "liar" ? silence : answering(large))(request, peerId),
    );
    it.take(compactOf(large), { ...PEER, peerId: "liar" });
    it.take(compactOf(large));
    await until(() => it.done.length === 1, "the proposal");
    assert.deepEqual(it.done, [large]);
  });

  test("keeps the two places nearest to the present view, and is asked once however often it repeats itself", () => {
    const it = receiver([], silence);
    for (let view = 5; view < 25; view++) {
      for (let repeats = 0; repeats < 3; repeats++) it.take(compactOf(blockOf(view, many(30), [])));
    }
    assert.equal(it.assembler.counts().pending, 2);
    assert.equal(it.asked.length, 2);
  });

  test("and all its friends with views far ahead don't push out the proposal of the present view", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const it = receiver([], async (request, peerId) => {
      if (peerId !== PEER.peerId) return silence(request, peerId);
      await held;
      return answering(large)(request, peerId);
    });
    it.take(compactOf(large));
    for (let n = 0; n < 42; n++) {
      for (const view of [100 + n, 200 + n, 10_000 + n]) {
        it.take(compactOf(blockOf(view, many(30), [])), { ...PEER, peerId: `liar-${n}` });
      }
    }
    assert.equal(it.assembler.counts().pending, 16);
    release();
    await until(() => it.done.length === 1, "the proposal");
    assert.deepEqual(it.done, [large]);
  });

  test("that is dropped for a nearer view is not handed on when its parts come after all", async () => {
    const proposals = [5, 6, 7].map((view) => blockOf(view, many(30), []));
    const waiting: (() => void)[] = [];
    const it = receiver([], async (request, peerId) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return answering(...proposals)(request, peerId);
    });
    for (const one of proposals) it.take(compactOf(one));
    for (const resolve of waiting) resolve();
    await until(() => it.done.length === 2, "two of the three");
    await settled();
    assert.deepEqual(it.done, proposals.slice(0, 2));
    assert.equal(it.assembler.counts().givenUp, 1);
  });
});

describe("the intake", () => {
  const large = blockOf(5, many(40), []);
  const intakeOf = (isInTurn: boolean, epoch = 1) => {
    const assembled: CompactProposal[] = [];
    const pushed: unknown[] = [];
    const intake = createIntake({
      push: (input) => pushed.push(input),
      positionOf: (key) => (key === undefined ? undefined : (key[0] ?? 0) - 1),
      epoch: () => epoch as never,
      view: () => View(5),
      isInTurn: () => isInTurn,
      assembler: {
        assemble(compact, _from, done) {
          assembled.push(compact);
          done(large);
        },
      },
      nextMembers: () => undefined,
      witness: { observe: () => undefined },
      onBehind: () => undefined,
    });
    return { intake, assembled, pushed };
  };

  test("has only the proposer's own compact proposals completed, and hands them on as proposals", () => {
    const { intake, assembled, pushed } = intakeOf(true);
    intake.onCompactProposal(compactOf(large), { peerId: "observer", blsKey: undefined });
    intake.onCompactProposal(compactOf(large), { peerId: "relay", blsKey: bytes(48, 2) });
    assert.deepEqual(assembled, []);
    intake.onCompactProposal(compactOf(large), PEER);
    assert.deepEqual(pushed, [{ kind: "proposal", proposal: large, from: 0 }]);
  });

  test("asks for no parts of a proposal out of turn, or of another epoch", () => {
    const wrong = [intakeOf(false), intakeOf(true, 2)];
    for (const { intake, assembled, pushed } of wrong) {
      intake.onCompactProposal(compactOf(large), PEER);
      assert.deepEqual([...assembled, ...pushed], []);
    }
  });
});
