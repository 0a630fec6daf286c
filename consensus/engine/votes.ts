/**
 * Counting everybody's votes, the own ones included. Called by engine.ts and proposals.ts.
 */
import { proposerOf } from "../types/validator-set.ts";
import { isSubject, signingRoot, type Vote, VoteKind } from "../types/vote.ts";
import { nullify } from "./casting.ts";
import { takeCertificate } from "./certificates.ts";
import { blame, type Core, report } from "./core.ts";
import { heldAs, VIEWS_KEPT } from "./view-state.ts";

export const keyOf = (core: Core, position: number): Uint8Array =>
  core.options.set.members[position]?.blsKey ?? new Uint8Array(48);

/** Whether the proposer itself gave its view up before proposing anything. */
function gaveUp(core: Core, { subject, signer }: Vote): boolean {
  if (subject.kind !== VoteKind.nullify || subject.view !== core.view) return false;
  return (
    signer === proposerOf(core.options.set, core.view) && core.views.peek(core.view)?.candidate === undefined
  );
}

/** The epoch is over for us but not for the sender: it needs the last finalization. At most once a retry. */
function nudge(core: Core, { subject }: Vote): void {
  const certificate = core.views.peek(core.finalizedView)?.finalization;
  if (subject.kind === VoteKind.finalize || subject.view <= core.finalizedView || certificate === undefined)
    return;
  if (core.nowMs < core.nudgedMs + core.options.timeouts.retryMs) return;
  core.nudgedMs = core.nowMs;
  core.effects.push({ kind: "broadcast", certificate });
}

/** Counts a vote. `verified`: its signature was verified on its own already. */
export function takeVote(core: Core, vote: Vote, from: number | undefined, verified = false): void {
  const { options, tally, views } = core;
  const { subject, signer } = vote;
  if (subject.epoch !== options.set.epoch) return;
  if (!isSubject(subject) || signer >= options.set.members.length) {
    blame(core, from, "malformed vote");
    return;
  }
  if (!verified && from !== undefined && from !== signer) {
    blame(core, from, "vote of somebody else");
    return;
  }
  if (from === signer) core.heardMs[signer] = core.nowMs;
  if (core.finished && from !== undefined) nudge(core, vote);
  if (subject.view < core.view - VIEWS_KEPT || subject.view > core.view + 1) return;
  // Nobody answers for a vote without a sender that isn't one's own: verified before it is counted.
  const foreign = from === undefined && signer !== options.self && !verified;
  if (
    foreign &&
    !options.verifySignature(signingRoot(options.chain, subject), keyOf(core, signer), vote.signature)
  ) {
    return;
  }
  const added = tally.add(vote, verified || foreign);
  if (added.kind === "wrong") blame(core, from, "wrong signature");
  if (added.kind === "conflict")
    report(core, { kind: "equivocation", first: added.first, second: added.second });
  if (added.kind !== "counted") return;
  if (from !== undefined && gaveUp(core, vote)) nullify(core, { reason: "no-proposal" });
  const settled =
    subject.view <= core.finalizedView || heldAs(views.peek(subject.view), subject) !== undefined;
  if (settled || added.weight < options.set.quorum) return;
  const { certificate, wrong } = tally.assemble(subject);
  for (const culprit of wrong) blame(core, culprit, "wrong signature");
  if (certificate !== undefined) takeCertificate(core, certificate, "assembled", undefined);
}
