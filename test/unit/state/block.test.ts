/** A block on its parent: each wrong field has its fault, limits hold, checks are exactly what is left out. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BitArray } from "@chainsafe/ssz";
import { verifyAggregate } from "../../../consensus/primitives/bls.ts";
import { equalBytes } from "../../../consensus/primitives/bytes.ts";
import type { FaultCode } from "../../../consensus/primitives/faults.ts";
import { Amount, Epoch, Height, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { type Checks, collectChecks, submissionChecks } from "../../../consensus/state/checks.ts";
import { fork, RoundType, stateRoot, TaskType } from "../../../consensus/state/state.ts";
import { applyBlock, buildBlock, checkHeader, contextOf } from "../../../consensus/state/transition.ts";
import {
  BLOCK_BYTES_MAX,
  type Block,
  BlockType,
  type Body,
  bodyRoot,
  type Header,
} from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import { proposerOf } from "../../../consensus/types/validator-set.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { shapeOf } from "../../../consensus/work/gradient.ts";
import { verifyEd25519 } from "../../../node/keys.ts";
import {
  CLOSE,
  certify,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  nonceOf,
  revealOf,
  sign,
  subjectOf,
  submissionsOf,
  toPlace,
  transferOf,
  unwrap,
} from "../../helpers/chain.ts";

const chain = createChain();
const { params } = chain;
const [alice] = chain.accounts;
assert.ok(alice !== undefined);
const to = new Uint8Array(20).fill(4);
const parent = toPlace(chain, genesisLink(chain), 5);
const pay = sign(chain, alice, 0, transferOf(to, 2_000_000n));
const good = nextBlock(chain, parent, {
  transactions: [pay],
  submissions: submissionsOf(chain, parent.state).slice(0, 2),
  late: [0, 1, 2],
  signed: true,
});
assert.ok(good.block !== undefined);
const block: Block = good.block;

function assertFault(link: Link, wrong: Block, code: FaultCode): void {
  const before = stateRoot(link.state);
  const result = applyBlock(link, wrong, params);
  assert.ok("code" in result, "refused");
  assert.equal(result.code, code);
  assert.deepEqual(stateRoot(link.state), before, "the parent's state is not touched");
}
const withHeader = (change: Partial<Header>): Block => ({ ...block, header: { ...block.header, ...change } });
/** The body changed, and the header's root with it. */
function withBody(change: Partial<Body>): Block {
  const body = { ...block.body, ...change };
  return { body, header: { ...block.header, bodyRoot: bodyRoot(body) } };
}

describe("applyBlock", () => {
  test("refuses each wrong header field with its fault", () => {
    const { header } = block;
    const other = ValidatorIndex((header.proposer + 1) % 4);
    const wrong: [Partial<Header>, FaultCode][] = [
      [{ height: Height(header.height + 1) }, "block/header"],
      [{ height: Height(header.height - 1) }, "block/header"],
      [{ epoch: Epoch(1) }, "block/header"],
      [{ parentHash: new Uint8Array(32) }, "block/header"],
      [{ view: View(0) }, "block/header"],
      [{ parentView: header.view }, "block/header"],
      [{ parentView: View(2 ** 50) }, "block/header"],
      [{ proposer: other }, "block/proposer"],
      [{ proposer: ValidatorIndex(4) }, "block/proposer"],
      [{ proposer: ValidatorIndex(2 ** 32 - 1) }, "block/proposer"],
      [{ timestampMs: parent.state.timestampMs + 99 }, "block/timestamp"],
      [{ timestampMs: 0 }, "block/timestamp"],
      [{ bodyRoot: new Uint8Array(32) }, "block/body-root"],
      [{ stateRoot: new Uint8Array(32) }, "block/state-root"],
      [{ timestampMs: header.timestampMs + 1 }, "block/state-root"],
      [{ timestampMs: Number.MAX_SAFE_INTEGER }, "block/state-root"],
    ];
    for (const [change, code] of wrong) assertFault(parent, withHeader(change), code);
  });

  test("takes a view of another turn of the same proposer, because the engine judges views", () => {
    const view = View(block.header.view + parent.set.turns.length);
    assert.equal(proposerOf(parent.set, view), proposerOf(parent.set, block.header.view));
    assert.ok(!("code" in applyBlock(parent, withHeader({ view }), params)));
  });

  test("refuses a body that is not the header's", () => {
    assertFault(parent, { ...block, body: { ...block.body, transactions: [] } }, "block/body-root");
    assertFault(parent, { ...block, body: { ...block.body, parentCertificate: [] } }, "block/body-root");
    assertFault(
      parent,
      { ...block, body: { ...block.body, beaconReveal: new Uint8Array(96) } },
      "block/body-root",
    );
  });

  test("refuses a body of other effects than the state root says", () => {
    assertFault(parent, withBody({ transactions: [] }), "block/state-root");
    assertFault(parent, withBody({ submissions: [] }), "block/state-root");
    assertFault(parent, withBody({ lateCertificate: [] }), "block/state-root");
    assertFault(parent, withBody({ beaconReveal: new Uint8Array(96) }), "block/state-root");
    assertFault(parent, withBody({ submissions: block.body.submissions.toReversed() }), "block/state-root");
  });

  test("refuses a transaction or a submission twice, or one that the state refuses", () => {
    assertFault(parent, withBody({ transactions: [pay, pay] }), "block/transaction");
    const gap = sign(chain, alice, 1, transferOf(to, 1n));
    assertFault(parent, withBody({ transactions: [gap] }), "block/transaction");
    const [one] = block.body.submissions;
    assert.ok(one !== undefined);
    assertFault(parent, withBody({ submissions: [one, one] }), "block/submission");
    assertFault(
      parent,
      withBody({ submissions: [{ ...one, outputs: new Uint8Array() }] }),
      "block/submission",
    );
    assertFault(parent, withBody({ submissions: [{ ...one, slot: 65_535 }] }), "block/submission");
  });

  test("refuses more transactions or submissions than the preset takes", () => {
    const many = new Array(Number(params.transactionsMax) + 1).fill(pay);
    assertFault(parent, withBody({ transactions: many }), "block/limits");
    const [one] = block.body.submissions;
    assert.ok(one !== undefined);
    const proofs = new Array(Number(params.submissionsMax) + 1).fill(one);
    assertFault(parent, withBody({ submissions: proofs }), "block/limits");
  });

  test("refuses a block of more than two mebibytes", () => {
    const slices = chain.slices.map((slice) => ({ ...slice, features: new Uint8Array(1_024) }));
    const task = parent.state.tasks.getReadonly(0).id;
    const reveal = sign(chain, alice, 0, {
      selector: 4,
      value: { task, epoch: Epoch(0), slices: [...slices, ...slices, ...slices, ...slices] },
    });
    const body = { ...block.body, transactions: new Array(24).fill(reveal) };
    const large = { ...block, body };
    assert.ok(BlockType.value_serializedSize(large as never) > BLOCK_BYTES_MAX);
    assertFault(parent, large, "block/limits");
  });
});

describe("a late certificate", () => {
  const [late] = block.body.lateCertificate;
  assert.ok(late !== undefined);
  const certificate: Certificate = late;
  const wrongLate = (change: Partial<Certificate>): Block =>
    withBody({ lateCertificate: [{ ...certificate, ...change }] });
  const { subject } = certificate;

  test("is of the ancestor four heights below, a notarization, of this epoch", () => {
    const other = nextBlock(chain, parent.parent ?? parent);
    const cases = [
      { ...subject, kind: VoteKind.finalize },
      { ...subject, kind: VoteKind.nullify },
      { ...subject, kind: 9 },
      { ...subject, epoch: Epoch(1) },
      { ...subject, blockHash: new Uint8Array(32) },
      { ...subject, blockHash: parent.hash },
      { ...subject, blockHash: other.hash },
    ];
    for (const it of cases) assertFault(parent, wrongLate({ subject: it }), "block/certificate");
  });

  test("has one bit a member: more or fewer is a fault, not an exception", () => {
    for (const flags of [[], [true, true, true], [true, true, true, true, true], new Array(128).fill(true)]) {
      assertFault(parent, wrongLate({ signers: BitArray.fromBoolArray(flags) }), "block/certificate");
    }
  });

  test("carries a quorum, which the checks ask for", () => {
    const context = contextOf(block.header, params);
    const few = wrongLate({ signers: BitArray.fromBoolArray([true, true, false, false]) });
    const checks = collectChecks(parent.state, parent.set, few, context);
    assert.ok("code" in checks && checks.code === "block/certificate");
    const wide = wrongLate({ signers: BitArray.fromBoolArray([true, true, true, false, false]) });
    assert.ok("code" in collectChecks(parent.state, parent.set, wide, context));
  });

  test("is not taken in the first four blocks of an epoch", () => {
    const last = toPlace(chain, parent, EPOCH);
    const first = nextBlock(chain, last);
    assert.ok(first.block !== undefined);
    const ancestor = last.parent?.parent?.parent;
    assert.ok(ancestor !== undefined);
    for (const epoch of [0, 1]) {
      const about = { ...subjectOf(ancestor, VoteKind.notarize), epoch: Epoch(epoch) };
      const body = { ...first.block.body, lateCertificate: [certify(last.set, about, [0, 1, 2])] };
      const wrong = { body, header: { ...first.block.header, bodyRoot: bodyRoot(body) } };
      assertFault(last, wrong, "block/certificate");
    }
  });
});

describe("buildBlock", () => {
  const build = (transactions: Body["transactions"], on: Link = parent) => {
    const view = View(on.view + 1);
    const proposer = on.set.members[proposerOf(on.set, view)]?.validator;
    assert.ok(proposer !== undefined);
    const timestampMs = on.state.timestampMs + 100;
    return buildBlock(
      on,
      {
        header: { view, parentView: on.view, proposer, timestampMs },
        beaconReveal: new Uint8Array(96),
        parentCertificate: undefined,
        lateCertificate: undefined,
        transactions,
        submissions: [],
        evidence: [],
      },
      params,
    );
  };

  test("drops what the state refuses and keeps the rest in order", () => {
    const bad = sign(chain, alice, 7, transferOf(to, 1n));
    const second = sign(chain, alice, 1, transferOf(to, 2n));
    const built = build([bad, pay, pay, second]);
    assert.deepEqual(built.block.body.transactions, [pay, second]);
    assert.equal(built.receipt.transactions.length, 2);
    unwrap(applyBlock(parent, built.block, params));
  });

  test("does not let refused candidates take the places of good ones", () => {
    const bad = new Array(Number(params.transactionsMax) + 5).fill(sign(chain, alice, 9, transferOf(to, 1n)));
    assert.deepEqual(build([...bad, pay]).block.body.transactions, [pay]);
  });

  test("never exceeds the count that others take", () => {
    const small = createChain({ params: { transactionsMax: "3" } });
    const link = genesisLink(small);
    const many = [0, 1, 2, 3, 4].map((nonce) => sign(small, alice, nonce, transferOf(to, 2_000_000n)));
    assert.equal(nextBlock(small, link, { transactions: many }).receipt?.transactions.length, 3);
  });

  test("never exceeds two mebibytes, and takes what still fits", () => {
    const wide = createChain({ params: { slicesPerRound: "64" }, slices: 64 });
    const close = toPlace(wide, genesisLink(wide), CLOSE);
    const state = fork(close.state);
    const task = state.tasks.getReadonly(0).toValue();
    const round = state.rounds.getReadonly(0).toValue();
    // Eighty tasks whose reveals of 30 kB would each be taken.
    for (let i = 1; i < 80; i++) {
      const id = task.id.slice();
      id[0] = i;
      id[1] = 0xff;
      state.tasks.push(TaskType.toViewDU({ ...task, id }));
      state.rounds.push(RoundType.toViewDU(round));
    }
    state.commit();
    const link = { ...close, state };
    const candidates = Array.from({ length: 80 }, (_, i) =>
      sign(wide, wide.sponsor, i, revealOf(wide, state, i)),
    );
    const { block: built } = build([...candidates, sign(wide, alice, 0, transferOf(to, 2_000_000n))], link);
    const size = BlockType.value_serializedSize(built as never);
    assert.ok(size <= BLOCK_BYTES_MAX && size > BLOCK_BYTES_MAX - 40_000);
    const { transactions } = built.body;
    assert.ok(transactions.length < 80 && transactions.length > 60);
    assert.equal(transactions.at(-1)?.operation.selector, 0, "a small one after the large ones");
    assert.equal(checkHeader(link, built, params), undefined);
  });
});

describe("collectChecks", () => {
  const context = contextOf(block.header, params);
  const checksOf = (it: Block): Checks =>
    unwrap<Checks>(collectChecks(parent.state, parent.set, it, context));

  test("yields every signature and proof of a block, and all of an honest one verify", () => {
    const checks = checksOf(block);
    assert.deepEqual(
      checks.bls.map(({ code, keys }) => [code, keys.length]),
      [
        ["block/reveal", 1],
        ["block/certificate", 3],
      ],
    );
    for (const { message, keys, signature } of checks.bls)
      assert.ok(verifyAggregate(message, keys, signature));
    assert.equal(checks.transactions.length, 1);
    assert.equal(checks.submissions.length, 2);
    const signed = [
      ...checks.transactions.map(({ ed25519 }) => ed25519),
      ...checks.submissions.map(({ ed25519 }) => ed25519),
    ];
    for (const { publicKey, message, signature } of signed) {
      assert.ok(verifyEd25519(publicKey, message, signature));
    }
  });

  test("binds each submission's proof to its outputs and to inputs rebuilt from the state", () => {
    const [check] = checksOf(block).submissions;
    const [submission] = block.body.submissions;
    assert.ok(check !== undefined && submission !== undefined);
    assert.ok(equalBytes(check.proof.outputs, submission.outputs));
    assert.equal(check.proof.inputs.length, 32 * (5 + 3));
    assert.ok(equalBytes(check.proof.proof, submission.proof));
    assert.ok(equalBytes(check.proof.vkHash, parent.state.tasks.getReadonly(0).vkHash));
  });

  test("knows a submission by all of its bytes: with another signature or proof it is to be verified anew", () => {
    const [submission] = block.body.submissions;
    assert.ok(submission !== undefined);
    const other = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 9 ? byte ^ 1 : byte));
    const names = [
      submission,
      { ...submission, signature: other(submission.signature) },
      { ...submission, proof: other(submission.proof) },
      { ...submission, outputs: other(submission.outputs) },
    ].map((it) => {
      const statement = {
        shape: shapeOf("gradient-4x2"),
        vkHash: new Uint8Array(32),
        inputs: new Uint8Array(),
        inputsHash: new Uint8Array(32),
      };
      const slot = parent.state.rounds.getReadonly(0).slots.getReadonly(0);
      const accepted = { slot, statement };
      return submissionChecks(parent.state.chain, it, accepted).name;
    });
    assert.equal(new Set(names).size, names.length);
  });

  test("names another message when the block's proposer, view or chain is another", () => {
    const [reveal] = checksOf(block).bls;
    const next = withHeader({ view: View(block.header.view + 1) });
    const [other] = checksOf(next).bls;
    assert.ok(reveal !== undefined && other !== undefined);
    assert.notDeepEqual(reveal.message, other.message);
    assert.equal(verifyAggregate(other.message, other.keys, other.signature), false);
  });

  test("finds a submission that the parent's state refuses before any proof is verified", () => {
    const [submission] = block.body.submissions;
    assert.ok(submission !== undefined);
    const wrong = withBody({ submissions: [{ ...submission, inputsHash: new Uint8Array(32) }] });
    const found = collectChecks(parent.state, parent.set, wrong, context);
    assert.ok("code" in found && found.code === "block/submission");
  });

  test("of an empty block are the reveal alone", () => {
    const empty = nextBlock(chain, parent);
    assert.ok(empty.block !== undefined);
    const checks = checksOf(empty.block);
    assert.equal(checks.bls.length, 1);
    assert.equal(checks.transactions.length + checks.submissions.length, 0);
  });
});

test("nonces and amounts at their limits do not trip the transition", () => {
  const huge = sign(chain, alice, Number.MAX_SAFE_INTEGER, transferOf(to, 2n ** 64n - 1n), 2n ** 64n - 1n);
  assertFault(parent, withBody({ transactions: [huge] }), "block/transaction");
  assert.equal(nonceOf(parent.state, alice), 0);
  assert.equal(Amount(0n), 0n);
});
