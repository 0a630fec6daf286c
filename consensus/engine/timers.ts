/**
 * What time does: giving a view up (L) and repeating while stuck. The engine holds no timer; the
 * driver sends `tick` when the deadline passed. Called by engine.ts.
 */
import type { View } from "../primitives/units.ts";
import { proposerOf, weightOf } from "../types/validator-set.ts";
import { VoteKind } from "../types/vote.ts";
import { type Missed, nullify, repeatVotes, signs } from "./casting.ts";
import { fetchBlocks } from "./certificates.ts";
import { type Core, fetchCertificates } from "./core.ts";

/** No finality for this many retries: the last finalization is sent again, and certificates are asked for. */
const STANDSTILL_RETRIES = 5;

/** When the engine next wants a tick. */
export function deadlineOf(core: Core): number {
  if (core.finished || core.halted) return Number.POSITIVE_INFINITY;
  const proposalMs = hasCandidate(core) ? Number.POSITIVE_INFINITY : core.proposalDeadlineMs;
  return Math.min(proposalMs, core.notarizationDeadlineMs, core.retryMs);
}

const hasCandidate = (core: Core): boolean => core.views.peek(core.view)?.candidate !== undefined;

export function takeTick(core: Core): void {
  const { nowMs } = core;
  if (core.finished || core.halted) return;
  if (nowMs >= core.proposalDeadlineMs && !hasCandidate(core)) giveUp(core);
  if (nowMs >= core.notarizationDeadlineMs) giveUp(core);
  if (nowMs >= core.retryMs) repeat(core);
}

/** Why the view came to nothing, as far as it can be seen from here. */
function missedBecause(core: Core): Missed {
  const state = core.views.peek(core.view);
  if (state?.own.notarize !== undefined) return { reason: "late" };
  if (state?.candidate === undefined) {
    if (proposerOf(core.options.set, core.view) !== core.options.self) return { reason: "no-proposal" };
    if (state?.building === true) return { reason: "build-failed" };
  }
  // The other's block, or in the own turn its parent: this or something below it is not here, or not yet its time.
  const parent = core.views.parentBelow(core.view)?.subject;
  const header = state?.candidate?.header ?? (parent && core.blocks.get(parent.blockHash)?.header);
  const reason = "missing-parent";
  return header === undefined ? { reason } : { reason, timestampMs: header.timestampMs };
}

function giveUp(core: Core): void {
  nullify(core, missedBecause(core));
  // An observer, or one that may not nullify (L), still repeats.
  core.proposalDeadlineMs = core.notarizationDeadlineMs = Number.POSITIVE_INFINITY;
  core.retryMs = core.nowMs + core.options.timeouts.retryMs;
}

/** L, every t_r while stuck: the own votes again (which feeds them back), and what opened the view. */
function repeat(core: Core): void {
  const { timeouts } = core.options;
  core.retryMs = core.nowMs + timeouts.retryMs;
  repeatVotes(core, core.view, [VoteKind.nullify, VoteKind.finalize]);
  if (core.entry !== undefined && signs(core))
    core.effects.push({ kind: "broadcast", certificate: core.entry });
  fetchBlocks(core);
  if (core.nowMs < core.finalizedMs + STANDSTILL_RETRIES * timeouts.retryMs) return;
  const finalization = core.views.peek(core.finalizedView)?.finalization;
  if (finalization !== undefined && signs(core))
    core.effects.push({ kind: "broadcast", certificate: finalization });
  fetchCertificates(core, (core.finalizedView + 1) as View, core.view);
}

/**
 * The proposer was not heard for long while a quorum was: its view is skipped at once. A local hint,
 * not used when a proposal is at hand, and never while less than a quorum is heard (it fails open).
 */
export function skipInactive(core: Core): void {
  const { set, self, timeouts } = core.options;
  const proposer = proposerOf(set, core.view);
  const since = core.nowMs - timeouts.skipMs;
  if (proposer === self || (core.heardMs[proposer] ?? 0) > since || !signs(core)) return;
  if (hasCandidate(core) || core.views.peek(core.view)?.own.nullify === true) return;
  const heard = set.members
    .map((_, position) => position)
    .filter((it) => it === self || (core.heardMs[it] ?? 0) > since);
  if (weightOf(set, heard) >= set.quorum) nullify(core, { reason: "inactive-proposer" });
}
