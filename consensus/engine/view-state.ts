/**
 * What is known of each view: certificates, the proposer's proposal, own votes. Kept from
 * {@link VIEWS_KEPT} below the last finalized view on, however many are above it. Used by every part of the engine.
 */
import { toHex } from "../primitives/bytes.ts";
import type { View } from "../primitives/units.ts";
import type { Header, Proposal } from "../types/block.ts";
import type { Certificate } from "../types/certificate.ts";
import { type Subject, VoteKind } from "../types/vote.ts";
import { noVotes, type OwnVotes } from "./rules.ts";

/** Views below the current one whose votes still count, for finality, participation and evidence. */
export const VIEWS_KEPT = 256;
/** Own votes of this many views below the highest are sent again after a restart. */
export const REPEATED_VIEWS = 64;

/** The first proposal of a view's proposer (N1). */
export type Candidate = {
  readonly subject: Subject;
  readonly header: Header;
  /** Nobody may ever vote for it: whatever is missing, it will not become valid. */
  readonly invalid: boolean;
};

export type ViewState = {
  readonly own: OwnVotes;
  notarization: Certificate | undefined;
  nullification: Certificate | undefined;
  finalization: Certificate | undefined;
  candidate: Candidate | undefined;
  /** Own proposal of this view, to be sent again. */
  proposal: Omit<Proposal, "vote"> | undefined;
  /** `build` was asked for. */
  building: boolean;
};

export type Views = {
  /** Makes the state if there is none. */
  at(view: View): ViewState;
  peek(view: View): ViewState | undefined;
  /** The highest view below `view` with a notarization or finalization, and the better of the two. */
  parentBelow(view: View): Certificate | undefined;
  /** Nullifications of the views strictly between, ascending, and the views that have none. */
  between(
    parent: View,
    view: View,
  ): { readonly held: readonly Certificate[]; readonly missing: readonly View[] };
  /** Views whose notarization or finalization names this block. */
  certifying(isBlock: (subject: Subject) => boolean): readonly View[];
  /** Hashes, as hex, of the blocks that notarizations and finalizations name. */
  certifiedBlocks(): ReadonlySet<string>;
  /** Forgets the bodies of own proposals of views that will not be repeated. */
  dropProposals(below: View): void;
  dropBelow(view: View): void;
};

export const certified = (state: ViewState | undefined): Certificate | undefined =>
  state?.finalization ?? state?.notarization;

export function heldAs(state: ViewState | undefined, subject: Subject): Certificate | undefined {
  if (subject.kind === VoteKind.notarize) return state?.notarization;
  return subject.kind === VoteKind.nullify ? state?.nullification : state?.finalization;
}

export function createViews(): Views {
  const states = new Map<View, ViewState>();
  return {
    at(view) {
      const known = states.get(view);
      if (known !== undefined) return known;
      const state: ViewState = {
        own: noVotes(),
        notarization: undefined,
        nullification: undefined,
        finalization: undefined,
        candidate: undefined,
        proposal: undefined,
        building: false,
      };
      states.set(view, state);
      return state;
    },
    peek: (view) => states.get(view),
    parentBelow(view) {
      let best: Certificate | undefined;
      for (const [at, state] of states) {
        const it = at < view ? certified(state) : undefined;
        if (it !== undefined && (best === undefined || it.subject.view > best.subject.view)) best = it;
      }
      return best;
    },
    between(parent, view) {
      const held: Certificate[] = [];
      const missing: View[] = [];
      for (let at = parent + 1; at < view; at++) {
        const it = states.get(at as View)?.nullification;
        if (it === undefined) missing.push(at as View);
        else held.push(it);
      }
      return { held, missing };
    },
    certifying(isBlock) {
      const views: View[] = [];
      for (const [at, state] of states) {
        const subject = certified(state)?.subject;
        if (subject !== undefined && isBlock(subject)) views.push(at);
      }
      return views;
    },
    certifiedBlocks() {
      const names = new Set<string>();
      for (const state of states.values()) {
        const subject = certified(state)?.subject;
        if (subject !== undefined) names.add(toHex(subject.blockHash));
      }
      return names;
    },
    dropProposals(below) {
      for (const [at, state] of states) if (at < below) state.proposal = undefined;
    },
    dropBelow(view) {
      for (const at of states.keys()) if (at < view) states.delete(at);
    },
  };
}
