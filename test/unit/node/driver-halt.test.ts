/**
 * How a node gets into a halt by itself, and how it gets out: the whole node with a network that is the
 * test's. The others of four speak with their real keys; what leaves the node is seen.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { zkp } from "../../../consensus/primitives/units.ts";
import { type Block, blockHash } from "../../../consensus/types/block.ts";
import { type Subject, VoteKind } from "../../../consensus/types/vote.ts";
import { openStore } from "../../../node/store/store.ts";
import type { NodeStatus } from "../../../rpc/node-status.ts";
import { genesisLink, type Link, nextBlock, subjectOf } from "../../helpers/chain.ts";
import {
  certificateBy,
  createQuietChain,
  type LoneNode,
  nullificationOf,
  proposalOf,
  proposerIn,
  startLone,
  voteBy,
} from "../../helpers/lone-node.ts";
import { folder, until } from "./samples.ts";

const CLI = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
const chain = createQuietChain();
const genesis = genesisLink(chain);
const { set } = genesis;
/** In turn in view 4, so that others propose before. */
const [one = 0, two = 0, three = 0, self = 0] = [1, 2, 3, 4].map((view) => proposerIn(set, view));
const others = [one, two, three];

const statusOf = ({ client }: LoneNode): Promise<NodeStatus> => client.call("node_status", {});
async function statusWhen(node: LoneNode, what: string, ready: (it: NodeStatus) => boolean) {
  let status = await statusOf(node);
  for (let tries = 0; !ready(status); tries++) {
    assert.ok(tries < 1_000, `waited in vain: ${what}`);
    status = await statusOf(node);
  }
  return status;
}
const votedFor = (node: LoneNode, kind: VoteKind, view: number): boolean =>
  node.sent.votes.some(({ subject }) => subject.kind === kind && subject.view === view);

/** Of a stopped node. */
async function ownVotes(dir: string): Promise<Subject[]> {
  const store = await openStore(join(dir, "db"));
  try {
    return await store.ownVotes(store.voteEpoch());
  } finally {
    await store.close();
  }
}

async function dumpOf(dir: string, { signer }: NodeStatus) {
  const text = await readFile(join(dir, signer.halt?.dump ?? ""), "utf8");
  return JSON.parse(text) as {
    readonly kind: string;
    readonly blockHash?: string;
    readonly refusal?: { readonly code: string };
    readonly certificates: readonly { kind: number; view: number; blockHash: string; signers: number[] }[];
  };
}

/** Proposes a block; the `skipped` views are nullified by the others. */
function offer(node: LoneNode, link: Link, skipped: readonly number[]): void {
  const nullifications = skipped.map((view) => nullificationOf(chain, set, view, others));
  node.says(link.block?.header.proposer ?? 0).proposal(proposalOf(chain, link, nullifications));
}

/** Offers a good block, gives the node all the time it needs for a vote, and says that there was none. */
async function offerInVain(node: LoneNode, link: Link, skipped: readonly number[]): Promise<void> {
  const before = node.sent.votes.length;
  offer(node, link, skipped);
  const { height = 0, view = 0 } = link.block?.header ?? {};
  await statusWhen(node, "the check", (it) => Number(it.height) >= height);
  // Inputs are taken one at a time, each carried out in full: once this one shows, a vote would have left.
  node.says(one).certificate(nullificationOf(chain, set, view, others));
  await statusWhen(node, "the next view", (it) => Number(it.view) > view);
  assert.equal(node.sent.votes.length, before);
}

async function clearHalt(dir: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    CLI,
    "node",
    "clear-halt",
    "--dir",
    dir,
    "--yes",
  ]);
  return stdout;
}

test("a notarized block that fails here halts the node: dump, no vote, not after a restart either, until it is cleared", {
  timeout: 60_000,
}, async (t) => {
  const dir = join(await folder(t), "node");
  let node = await startLone({ dir, chain, validator: self });
  t.after(() => node.stop());

  // A block whose state root is another, notarized by everybody else.
  const { block, parent } = nextBlock(chain, genesis);
  assert.ok(block !== undefined);
  const wrong: Block = { ...block, header: { ...block.header, stateRoot: new Uint8Array(32).fill(9) } };
  const wrongLink = { block: wrong, parent } as Link;
  node.says(wrong.header.proposer).proposal(proposalOf(chain, wrongLink));
  await until(() => votedFor(node, VoteKind.nullify, 1), "its refusal");
  assert.equal((await statusOf(node)).signer.state, "signing", "an invalid block alone is nobody's alarm");
  const notarization = certificateBy(chain, set, subjectOf(wrongLink, VoteKind.notarize), others);
  node.says(one).certificate(notarization);
  const halted = await statusWhen(node, "the halt", ({ signer }) => signer.state === "halted");
  assert.equal(halted.signer.halt?.kind, "diverged");
  assert.match(halted.signer.halt?.fault ?? "", /state root|stateRoot|state-root/i);
  const dump = await dumpOf(dir, halted);
  assert.equal(dump.blockHash, toHex(blockHash(wrong.header)));
  assert.equal(dump.certificates.length, 1);
  assert.equal(dump.certificates[0]?.signers.length, 3);
  assert.ok(dump.refusal !== undefined);

  // What it would sign otherwise: a good block of view 2, view 1 nullified by the others.
  await offerInVain(node, nextBlock(chain, genesis, { view: 2 }), [1]);
  await node.stop();
  const signed = await ownVotes(dir);
  assert.deepEqual(
    signed.map(({ kind, view }) => [kind, view]),
    [[VoteKind.nullify, 1]],
  );

  // The engine that starts again knows nothing of it; the record does.
  node = await startLone({ dir, chain, validator: self });
  assert.deepEqual((await statusOf(node)).signer, halted.signer);
  await offerInVain(node, nextBlock(chain, genesis, { view: 3 }), [1, 2]);
  assert.deepEqual(node.sent.votes, [], "not even old votes again");
  await node.stop();
  assert.deepEqual(await ownVotes(dir), signed);

  assert.match(await clearHalt(dir), /cleared: diverged/);
  node = await startLone({ dir, chain, validator: self });
  assert.equal((await statusOf(node)).signer.state, "signing");
  offer(node, nextBlock(chain, genesis, { view: 5 }), [1, 2, 3, 4]);
  await until(() => votedFor(node, VoteKind.notarize, 5), "a vote");
  assert.deepEqual(node.fatal, []);
});

/** Two blocks of view 1 that both were finalized: `one` and `two` signed for both. */
const mine = nextBlock(chain, genesis);
const theirs = nextBlock(chain, genesis, { timestampMs: genesis.state.timestampMs + 5_000 });
const finalizationOf = (link: Link, validators: readonly number[]) =>
  certificateBy(chain, set, subjectOf(link, VoteKind.finalize), validators);

/** Brings a node to where a block of view 1 is final, by the votes of its own and of two others. */
async function finalizeOn(node: LoneNode, link: Link, signers: readonly number[]): Promise<void> {
  offer(node, link, []);
  await until(() => votedFor(node, VoteKind.notarize, 1), "its notarize");
  const notarization = certificateBy(chain, set, subjectOf(link, VoteKind.notarize), signers);
  node.says(one).certificate(notarization);
  await until(() => votedFor(node, VoteKind.finalize, 1), "its finalize");
  node.says(one).certificate(finalizationOf(link, signers));
  await statusWhen(node, "finality", ({ finalizedHeight }) => finalizedHeight === "1");
}

test("two finalizations that contradict halt the node, whose evidence slashes whoever signed both, at another node", {
  timeout: 60_000,
}, async (t) => {
  const root = await folder(t);
  const dir = join(root, "node");
  let node = await startLone({ dir, chain, validator: self });
  t.after(() => node.stop());
  await finalizeOn(node, mine, [self, one, two]);
  const final = await statusOf(node);
  node.says(three).certificate(finalizationOf(theirs, [one, two, three]));
  const halted = await statusWhen(node, "the halt", ({ signer }) => signer.state === "halted");
  assert.equal(halted.signer.halt?.kind, "contradiction");
  const dump = await dumpOf(dir, halted);
  assert.deepEqual(
    dump.certificates.map((it) => [it.kind, it.view, it.blockHash]),
    [
      [VoteKind.finalize, 1, toHex(mine.hash)],
      [VoteKind.finalize, 1, toHex(theirs.hash)],
    ],
  );
  assert.equal(halted.finalizedHash, final.finalizedHash, "what is final stays");
  assert.equal(node.sent.evidence.length, 1);
  const [evidence] = node.sent.evidence;
  assert.ok(evidence?.selector === 1);

  await offerInVain(node, nextBlock(chain, mine, { signed: true }), []);
  await node.stop();
  const signed = await ownVotes(dir);
  assert.deepEqual(
    signed.map(({ kind, view }) => [kind, view]),
    [
      [VoteKind.notarize, 1],
      [VoteKind.finalize, 1],
    ],
  );

  node = await startLone({ dir, chain, validator: self });
  assert.deepEqual((await statusOf(node)).signer, halted.signer);
  await offerInVain(node, nextBlock(chain, mine, { signed: true, view: 3 }), [2]);
  assert.deepEqual(node.sent.votes, []);
  await node.stop();
  assert.deepEqual(await ownVotes(dir), signed);

  // One on the other side, who has signed nothing twice, hears of it and has its turn.
  const other = await startLone({ dir: join(root, "other"), chain, validator: three });
  t.after(() => other.stop());
  assert.deepEqual(await other.says(self).evidence(evidence), { kind: "accept" }, "gossip passes it on");
  await finalizeOn(other, theirs, others);
  other.says(one).certificate(nullificationOf(chain, set, 2, [one, two, self]));
  await until(() => other.sent.proposals.length > 0, "its proposal");
  const [proposal] = other.sent.proposals;
  assert.ok(proposal !== undefined);
  assert.deepEqual(proposal.block.body.evidence, [evidence]);
  const { subject } = proposal.vote;
  const finalize = { ...subject, kind: VoteKind.finalize };
  for (const validator of [one, two]) {
    other.says(validator).vote(voteBy(chain, set, validator, subject));
    other.says(validator).vote(voteBy(chain, set, validator, finalize));
  }
  await statusWhen(other, "the block with evidence", ({ finalizedHeight }) => finalizedHeight === "2");
  const { validators } = await other.client.call("validator_list", {});
  for (const it of validators) {
    const isGuilty = it.validator === one || it.validator === two;
    assert.equal(it.slashes, isGuilty ? 1 : 0, `validator ${it.validator}`);
    assert.equal(it.slashed, isGuilty ? String(zkp(50)) : "0");
  }
  assert.equal((await statusOf(other)).queues.evidence, 0);
  assert.deepEqual(other.fatal, []);
});
