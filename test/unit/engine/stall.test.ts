import assert from "node:assert/strict";
import { test } from "node:test";
import { createBlocks } from "../../../consensus/engine/blocks.ts";
import { createViews, REPEATED_VIEWS, VIEWS_KEPT } from "../../../consensus/engine/view-state.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import {
  bench,
  bystander,
  certificate,
  finalize,
  make,
  nullify,
  propose,
  proposer,
  view,
  vote,
  votesIn,
} from "./harness.ts";

const ONE = make(1);
const LONG = VIEWS_KEPT + 2;

test("without finality for long, certificates stay: a proposer still shows every skipped view", () => {
  const last = Array.from({ length: 4 }, (_, i) => LONG + i).find((of) => proposer(of) !== proposer(1)) ?? 0;
  const it = bench(proposer(last));
  it.certificate(certificate(ONE.subject));
  it.block(ONE.block);
  it.checked(ONE);
  for (let of = 2; of < last - 1; of++) it.certificate(certificate(nullify(of)));
  const [build] = it.certificate(certificate(nullify(last - 1))).filter(({ kind }) => kind === "build");
  assert.ok(build?.kind === "build" && build.parentView === 1);
  assert.deepEqual(it.engine.status().missing, []);
});

test("without finality for long, votes of old views are dropped, and a certificate still finalizes them", () => {
  const it = bench(bystander(1, 2));
  it.certificate(certificate(ONE.subject));
  for (const signer of [0, 1]) it.vote(vote(signer, finalize(ONE.subject)));
  for (let of = 2; of <= LONG; of++) it.certificate(certificate(nullify(of)));
  for (const signer of [0, 1, 2, 3]) it.vote(vote(signer, finalize(ONE.subject)));
  assert.equal(it.engine.finalizedView, 0);
  it.certificate(certificate(finalize(ONE.subject)));
  assert.equal(it.engine.finalizedView, 1);
});

test("an own vote stays a flag however long ago it was cast", () => {
  const it = bench(bystander(1, 2));
  it.tick();
  for (let of = 1; of <= LONG; of++) it.certificate(certificate(nullify(of)));
  it.certificate(certificate(ONE.subject));
  it.block(ONE.block);
  assert.deepEqual(votesIn(it.checked(ONE)), []);
});

test("blocks that nobody certified are forgotten after a while, and had again if they are certified later", () => {
  const it = bench(bystander(1, 2));
  it.proposal(propose(ONE));
  it.checked(ONE);
  for (let of = 1; of <= REPEATED_VIEWS + 1; of++) it.certificate(certificate(nullify(of)));
  const effects = it.certificate(certificate(ONE.subject));
  assert.ok(effects.some((effect) => effect.kind === "fetch" && effect.want === "block"));
  it.block(ONE.block);
  assert.deepEqual(votesIn(it.checked(ONE)), ["finalize 1"]);
});

test("a block that is kept by name is not dropped", () => {
  const blocks = createBlocks();
  blocks.named(ONE.hash, view(1));
  blocks.dropBelow(view(2), new Set([toHex(ONE.hash)]));
  assert.ok(blocks.get(ONE.hash) !== undefined);
  blocks.dropBelow(view(2));
  assert.equal(blocks.get(ONE.hash), undefined);
});

test("bodies of own proposals go when they will not be repeated", () => {
  const views = createViews();
  const { block, justification } = propose(ONE);
  views.at(view(1)).proposal = { block, justification };
  views.dropProposals(view(1));
  assert.ok(views.at(view(1)).proposal !== undefined);
  views.dropProposals(view(2));
  assert.equal(views.at(view(1)).proposal, undefined);
});
