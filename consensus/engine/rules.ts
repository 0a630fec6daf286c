/**
 * The voting rules that depend on own votes alone, each under its label in docs/protocol.md, and how
 * timeouts grow. Called by casting.ts and certificates.ts. Own votes are flags that never go back: a vote
 * counts as cast from the moment its effect leaves the engine.
 */
import type { View } from "../primitives/units.ts";
import { type Subject, sameSubject } from "../types/vote.ts";

/** What was cast here in one view. */
export type OwnVotes = { notarize: Subject | undefined; nullify: boolean; finalize: Subject | undefined };

export const noVotes = (): OwnVotes => ({ notarize: undefined, nullify: false, finalize: undefined });

/** N2: no notarize and no nullify was cast in this view. (Nor a finalize: only a restart can meet one here.) */
export function mayNotarize(own: OwnVotes): boolean {
  if (own.notarize !== undefined || own.finalize !== undefined) return false; // N2: one notarize a view
  if (own.nullify) return false; // N2: no notarize after nullify
  return true;
}

/** L: the view is current (the caller only ever names the current one) and no finalize was cast in it. */
export function mayNullify(own: OwnVotes): boolean {
  if (own.finalize !== undefined) return false; // L: no nullify after finalize
  return true;
}

/** F3–F5 for a notarization that is held (F1) of a block that was validated here (F2). */
export function mayFinalize(own: OwnVotes, notarized: Subject, finalizedView: View): boolean {
  if (own.finalize !== undefined) return false;
  if (own.nullify) return false; // F3: no finalize after nullify
  if (own.notarize !== undefined && !sameNotarize(own.notarize, notarized)) return false; // F4
  if (notarized.view <= finalizedView) return false; // F5
  return true;
}

const sameNotarize = (cast: Subject, notarized: Subject): boolean =>
  sameSubject(cast, { ...notarized, kind: cast.kind });

/** g = min(1.25^max(0, k − 3), 30), k views since the last finalized one. */
export function growth(view: View, finalizedView: View): number {
  return Math.min(1.25 ** Math.max(0, view - finalizedView - 3), 30);
}
