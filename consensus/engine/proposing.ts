/**
 * Rule P: what the proposer of the current view builds on. Called by engine.ts after every input.
 */
import type { View } from "../primitives/units.ts";
import { type Block, blockHash, type Justification, NULLIFICATIONS_MAX } from "../types/block.ts";
import type { Certificate } from "../types/certificate.ts";
import { proposerOf } from "../types/validator-set.ts";
import { VoteKind } from "../types/vote.ts";
import { notarize, nullify, signs } from "./casting.ts";
import { type Core, fetchCertificates } from "./core.ts";
import { mayNotarize } from "./rules.ts";

/** Of the skipped views, as many as may travel; the others are fetched. */
function justify(
  nullifications: readonly Certificate[],
  notarization: readonly Certificate[],
): Justification {
  return { nullifications: nullifications.slice(0, NULLIFICATIONS_MAX), notarization: [...notarization] };
}

/** P: asks for a block as soon as the parent and every nullification above it are there. */
export function propose(core: Core): void {
  const { options, views, blocks, view } = core;
  if (!signs(core) || proposerOf(options.set, view) !== options.self) return;
  const state = views.at(view);
  if (state.building || !mayNotarize(state.own)) return;
  const parent = views.parentBelow(view);
  const parentView = parent?.subject.view ?? (0 as View);
  if (parentView < core.finalizedView) {
    fetchCertificates(core, core.finalizedView, core.finalizedView);
    return;
  }
  const { held, missing } = views.between(parentView, view); // P: a nullification of every view in between
  const [first] = missing;
  if (first !== undefined) {
    fetchCertificates(core, first, (missing.at(-1) ?? first) as View);
    return;
  }
  if (parent === undefined) {
    state.building = true;
    const { hash, certificate } = options.root;
    build(core, parentView, hash, certificate);
    return;
  }
  const { blockHash: parentHash } = parent.subject;
  const known = blocks.get(parentHash);
  if (known?.verdict !== "valid") return;
  state.building = true;
  if (known.header?.height !== options.lastHeight) {
    build(core, parentView, parentHash, parent);
    return;
  }
  if (known.block !== undefined) proposeAgain(core, known.block, parent, held);
}

function build(
  core: Core,
  parentView: View,
  parentHash: Uint8Array,
  certificate: Certificate | undefined,
): void {
  const { view, enteredMs } = core;
  core.effects.push({
    kind: "build",
    view,
    parentView,
    parentHash,
    parentCertificate: certificate,
    enteredMs,
  });
}

/** The epoch's last block is notarized, not final: nothing may follow it, so it is proposed itself, at once. */
function proposeAgain(
  core: Core,
  block: Block,
  parent: Certificate,
  nullifications: readonly Certificate[],
): void {
  const { view, options } = core;
  const { view: parentView, blockHash: hash } = parent.subject;
  const subject = { kind: VoteKind.notarize, epoch: options.set.epoch, view, parentView, blockHash: hash };
  core.views.at(view).candidate = { subject, header: block.header, invalid: false };
  notarize(core, subject, { block, justification: justify(nullifications, [parent]) });
}

/** The driver built a block, or could not. */
export function takeBuilt(core: Core, view: View, block: Block | undefined): void {
  const state = core.views.peek(view);
  if (view !== core.view || state === undefined || !state.building || !mayNotarize(state.own) || !signs(core))
    return;
  if (block === undefined) {
    nullify(core, { reason: "build-failed" });
    return;
  }
  // An answer to another epoch's engine: its view means nothing here.
  if (block.header.epoch !== core.options.set.epoch || block.header.view !== view) return;
  const { header } = block;
  const hash = blockHash(header);
  const { held } = core.views.between(header.parentView, view);
  const known = core.blocks.named(hash, view);
  known.header = header;
  known.verdict = "valid";
  if (header.height === core.options.lastHeight) known.block = block;
  const { parentView } = header;
  const subject = { kind: VoteKind.notarize, epoch: header.epoch, view, parentView, blockHash: hash };
  state.candidate = { subject, header, invalid: false };
  notarize(core, subject, { block, justification: justify(held, []) });
}
