/**
 * Who may use a batch that two pods hold: the one whose root was registered first. Equal data tags in a round
 * mean equal rows, whatever identity proved them. Called at inclusion (apply-submission.ts) and at the
 * settlement (settle-epoch.ts). docs/decisions/0031-the-older-root-has-the-data.md.
 */
import { nameOf } from "../primitives/bytes.ts";
import { getDataset } from "./maps.ts";
import type { RoundView, State } from "./state.ts";

/** Height at which the root of a slot was registered: the lower, the better its right. */
function registeredAt(state: State, round: RoundView, slot: number): number {
  const dataset = getDataset(state, round.slots.getReadonly(slot).toValue().dataRoot);
  return dataset === undefined ? Number.MAX_SAFE_INTEGER : dataset.registered;
}

/** Whether the root of slot `newcomer` is older than that of slot `holder`; at one height who came first stays. */
export function hasBetterRight(state: State, round: RoundView, newcomer: number, holder: number): boolean {
  return registeredAt(state, round, newcomer) < registeredAt(state, round, holder);
}

/** Places, in this order, of contributions whose rows a contribution of an older root brought as well. */
export function copiesAmong(
  state: State,
  round: RoundView,
  contributions: readonly { readonly slot: number; readonly dataTag: Uint8Array }[],
): ReadonlySet<number> {
  const originals = new Map<string, number>();
  const copies = new Set<number>();
  for (const [i, { slot, dataTag }] of contributions.entries()) {
    const tag = nameOf(dataTag);
    const other = originals.get(tag);
    const holder = other === undefined ? undefined : contributions[other];
    if (other === undefined || holder === undefined) originals.set(tag, i);
    else if (hasBetterRight(state, round, slot, holder.slot)) {
      copies.add(other);
      originals.set(tag, i);
    } else copies.add(i);
  }
  return copies;
}
