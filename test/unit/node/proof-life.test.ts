/** What a node tells about a proof, from pooled to rewarded, or why it came to nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { FaultError, fault } from "../../../consensus/primitives/faults.ts";
import { Height } from "../../../consensus/primitives/units.ts";
import { nullifierOf } from "../../../consensus/types/submission.ts";
import type { Executed } from "../../../node/executed.ts";
import { createMempool } from "../../../node/mempool.ts";
import { createProofLife, isReached } from "../../../node/proof-life.ts";
import { receiptOps } from "../../../node/receipts.ts";
import type { JsonValue, ProofPlace } from "../../../node/store/ops.ts";
import {
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  playEpoch,
  submissionsOf,
} from "../../helpers/chain.ts";

const chain = createChain();
const genesis = genesisLink(chain);
const [submission] = submissionsOf(chain, genesis.state);
assert.ok(submission !== undefined);
const nullifier = nullifierOf(submission);
const id = toHex(nullifier);
const record = {
  task: toHex(submission.task),
  epoch: "0",
  slot: 0,
  podId: toHex(submission.podId),
};

function executedOf({ hash, block, state, set, receipt }: Link): Executed {
  assert.ok(receipt !== undefined);
  return { hash, block, state, set, receipt, height: Height(state.height) };
}

/** A life over a store of plain maps. */
function create() {
  const places = new Map<string, ProofPlace>();
  const records = new Map<string, JsonValue>();
  const hashes = new Map<number, Uint8Array>();
  const pending: Executed[] = [];
  const mempool = createMempool(chain.params, chain.chain);
  const life = createProofLife({
    chain: { pending: () => pending },
    mempool,
    store: {
      proof: (key) => places.get(toHex(key)),
      record: (namespace, key) => records.get(`${namespace}/${key}`),
      hashAt: (height) => hashes.get(height),
      lowest: () => Height(1),
    },
  });
  const finalize = (link: Link): void => {
    hashes.set(link.state.height, link.hash);
    for (const op of receiptOps(executedOf(link))) {
      if (op.kind === "proof") places.set(toHex(op.id), op.at);
      if (op.kind === "record") records.set(`${op.namespace}/${op.key}`, op.value);
    }
  };
  return { life, mempool, pending, finalize };
}

function linksOf(last: Link): Link[] {
  const links: Link[] = [];
  for (let at: Link | undefined = last; at?.block !== undefined; at = at.parent) links.unshift(at);
  return links;
}

describe("a proof's life", () => {
  test("is unknown, pooled, included, final and rewarded in turn", () => {
    const { life, mempool, pending, finalize } = create();
    assert.throws(
      () => life.status(id, nullifier),
      (error) => error instanceof FaultError && error.code === "rpc/not-found",
    );
    mempool.addSubmission(submission);
    assert.deepEqual(life.status(id, nullifier), { id, stage: "pooled", ...record });
    const links = linksOf(playEpoch(chain, genesis));
    const [first] = links;
    assert.ok(first !== undefined);
    pending.push(executedOf(first));
    const where = { height: "1", blockHash: toHex(first.hash) };
    assert.deepEqual(life.status(id, nullifier), { id, stage: "included", ...record, ...where });
    pending.length = 0;
    finalize(first);
    assert.deepEqual(life.status(id, nullifier), { id, stage: "final", ...record, ...where });
    for (const link of links.slice(1)) finalize(link);
    const end = life.status(id, nullifier);
    assert.equal(end.stage, "rewarded");
    assert.equal(end.reward?.unlockEpoch, "3");
    assert.match(end.reward?.text ?? "", /ZKP for value \d+ of \d+ .* spendable from epoch 3$/);
  });

  test("ends as scored, with the reason, where nothing was paid", () => {
    const { life, finalize } = create();
    for (const link of linksOf(playEpoch(chain, genesis, { reveal: false }))) finalize(link);
    const end = life.status(id, nullifier);
    assert.equal(end.stage, "scored");
    assert.match(end.reward?.text ?? "", /the sponsor did not open the holdout rows/);
  });

  test("ends as rejected or expired, with the fault", () => {
    const { life } = create();
    life.onRejected(id, fault("submission/proof-invalid"), record);
    const rejected = life.status(id, nullifier);
    assert.equal(rejected.stage, "rejected");
    assert.equal(rejected.fault?.code, "submission/proof-invalid");
    life.onExpired(id, record);
    assert.equal(life.status(id, nullifier).stage, "expired");
  });

  test("goes on after a rejection when the right proof comes", () => {
    const { life, mempool } = create();
    life.onRejected(id, fault("submission/proof-invalid"), record);
    mempool.addSubmission(submission);
    assert.equal(life.status(id, nullifier).stage, "pooled");
  });

  test("is remembered for a bounded number of refusals, the newest", () => {
    const { life } = create();
    const idOf = (i: number): string => `0x${i.toString(16).padStart(64, "0")}`;
    for (let i = 0; i < 4_097; i++) life.onExpired(idOf(i), record);
    assert.throws(() => life.status(idOf(0), nullifier), FaultError);
    assert.equal(life.status(idOf(4_096), nullifier).stage, "expired");
  });
});

describe("a wait", () => {
  test("ends at the stage that was asked for or where no other follows", () => {
    assert.ok(isReached("final", "included"));
    assert.ok(!isReached("included", "final"));
    assert.ok(isReached("scored", "rewarded"), "a proof that earned nothing waits no more");
    assert.ok(!isReached("final", "rewarded"));
    for (const stage of ["rejected", "expired"] as const) assert.ok(isReached(stage, "rewarded"));
  });
});

test("a round's record holds the model and what was paid", () => {
  const last = playEpoch(
    chain,
    nextBlock(chain, genesis, { submissions: submissionsOf(chain, genesis.state) }),
  );
  assert.equal(last.state.height, EPOCH);
  const round = receiptOps(executedOf(last)).find((op) => op.kind === "record" && op.namespace === "rounds");
  assert.ok(round?.kind === "record");
  const value = round.value as { paidToPods: string; paid: number; model: string[]; contributions: number };
  assert.equal(value.contributions, 3);
  assert.equal(value.model.length, 3);
  assert.ok(BigInt(value.paidToPods) > 0n);
});
