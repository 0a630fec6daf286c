/**
 * The blocks that the engine has to do with: headers, verdicts of the driver's checks (N5), and
 * whole blocks only where they may be proposed again. Used by proposals.ts, certificates.ts and
 * proposing.ts. Bounded by the views that name a block.
 */
import { toHex } from "../primitives/bytes.ts";
import type { View } from "../primitives/units.ts";
import type { Block, Header } from "../types/block.ts";
import type { CheckVerdict } from "./protocol.ts";

export type KnownBlock = {
  /** Undefined while only a certificate is known. */
  header: Header | undefined;
  /** "unknown" until the driver answered. */
  verdict: CheckVerdict | "unknown";
  /** Kept only of an epoch's last block, which may have to be proposed again. */
  block: Block | undefined;
  /** The highest view that named it. */
  view: View;
};

export type Blocks = {
  /** Makes the entry if there is none, and notes that this view names it. */
  named(hash: Uint8Array, view: View): KnownBlock;
  get(hash: Uint8Array): KnownBlock | undefined;
  /** Drops what no view from here on named, but for the blocks to keep (hashes as hex). */
  dropBelow(view: View, keep?: ReadonlySet<string>): void;
};

export function createBlocks(): Blocks {
  const known = new Map<string, KnownBlock>();
  return {
    named(hash, view) {
      const name = toHex(hash);
      const entry = known.get(name);
      if (entry === undefined) {
        const made: KnownBlock = { header: undefined, verdict: "unknown", block: undefined, view };
        known.set(name, made);
        return made;
      }
      if (view > entry.view) entry.view = view;
      return entry;
    },
    get: (hash) => known.get(toHex(hash)),
    dropBelow(view, keep) {
      for (const [name, entry] of known) {
        if (entry.view < view && keep?.has(name) !== true) known.delete(name);
      }
    },
  };
}
