/**
 * What goes into the engine and what comes out. The engine has no I/O, no timers and no keys: the
 * driver (node/driver.ts) feeds inputs one at a time, carries out the effects in their order, and
 * keeps one timer for the engine's `deadline`.
 */

import type { Epoch, View } from "../primitives/units.ts";
import type { Block, Proposal } from "../types/block.ts";
import type { Certificate } from "../types/certificate.ts";
import type { Subject, Vote } from "../types/vote.ts";

/** The driver's answer to `check`: fully valid, permanently invalid, or not decidable yet (rule N5). */
export type CheckVerdict = "valid" | "invalid" | "pending";

export type Input =
  /** A proposal from the network or from the own disk; `from` is the sender's position, undefined for oneself. */
  | { readonly kind: "proposal"; readonly proposal: Proposal; readonly from: number | undefined }
  /** A vote, the own ones included once they are durable and signed. The sender must be the signer. */
  | { readonly kind: "vote"; readonly vote: Vote; readonly from: number | undefined }
  /** A certificate from anybody. */
  | { readonly kind: "certificate"; readonly certificate: Certificate; readonly from: number | undefined }
  /** A block that `fetch` asked for, from disk or from a peer. Not checked yet: the engine answers with `check`. */
  | { readonly kind: "block"; readonly block: Block; readonly from: number | undefined }
  /** The answer to `build`; undefined if no block could be built. */
  | { readonly kind: "built"; readonly view: View; readonly block: Block | undefined }
  /** The answer to `check`; may come again after "pending". */
  | { readonly kind: "checked"; readonly blockHash: Uint8Array; readonly verdict: CheckVerdict }
  /** The deadline passed. */
  | { readonly kind: "tick" };

/** Why something is worth the operator's or the driver's attention. */
export type Report =
  | {
      readonly kind: "entered-view";
      readonly view: View;
      readonly proposer: number;
      readonly because: "start" | "notarization" | "nullification" | "finalization";
    }
  /** Two verified votes of one signer that no honest signer casts; evidence from issue to issue. */
  | { readonly kind: "equivocation"; readonly first: Vote; readonly second: Vote }
  /** A message that no honest peer sends. */
  | { readonly kind: "misbehaviour"; readonly from: number; readonly reason: string }
  /** Why the own vote for a view was nullify. */
  | {
      readonly kind: "missed-view";
      readonly view: View;
      readonly reason:
        | "no-proposal"
        | "late"
        | "invalid"
        | "missing-parent"
        | "inactive-proposer"
        | "build-failed";
      /** The block that is invalid. */
      readonly blockHash?: Uint8Array;
      /** With "missing-parent": the timestamp of the block that was waited for, if it is here. */
      readonly timestampMs?: number;
    }
  /**
   * Two verified certificates of one view that exclude each other: a third of the weight is Byzantine.
   * The signers of both are evidence if the kinds are two notarizations, two finalizations, or a
   * nullification and a finalization. Reported once, before "diverged".
   */
  | { readonly kind: "contradiction"; readonly first: Certificate; readonly second: Certificate }
  /** A notarized block failed validation here, or certificates contradict: stop signing, dump, alarm. */
  | { readonly kind: "diverged"; readonly blockHash: Uint8Array };

export type Effect =
  /**
   * Build a block on this parent (rule P) and answer with `built`. Send time: min(parent's timestamp,
   * `enteredMs`) + interval; stamp: max(now, parent's timestamp + interval).
   */
  | {
      readonly kind: "build";
      readonly view: View;
      readonly parentView: View;
      readonly parentHash: Uint8Array;
      /** Certificate of the parent that the block carries; undefined only on genesis. */
      readonly parentCertificate: Certificate | undefined;
      readonly enteredMs: number;
    }
  /**
   * Validate a block fully (N5) and answer with `checked`. Asked once a block; the driver answers again
   * when "pending" ends. The engine has already compared the body with the header's root, and
   * verified the parent's certificate.
   */
  | { readonly kind: "check"; readonly block: Block; readonly blockHash: Uint8Array }
  /**
   * Make the vote durable, sign it, send it, feed it back, in this order. With `proposal` the vote is
   * the proposer's own notarize: block and vote are made durable together and the proposal is sent.
   * May be asked again for the same subject: then it is signed and sent again, never changed.
   */
  | { readonly kind: "vote"; readonly subject: Subject; readonly proposal?: Omit<Proposal, "vote"> }
  /** A certificate assembled or acted upon here: store it, then send it to all validators. */
  | { readonly kind: "broadcast"; readonly certificate: Certificate }
  /** A certificate acted upon that others already spread: store it only. */
  | { readonly kind: "store"; readonly certificate: Certificate }
  /**
   * Data that somebody must have: nullifications of skipped views (each answered as a `certificate`;
   * a notarization of the view does not do instead), or a certified block (answered as `block`, from
   * the own disk if it is there). May be asked again.
   */
  | {
      readonly kind: "fetch";
      readonly want: "certificates";
      readonly epoch: Epoch;
      readonly from: View;
      readonly to: View;
    }
  | {
      readonly kind: "fetch";
      readonly want: "block";
      readonly blockHash: Uint8Array;
      readonly signers: readonly number[];
    }
  /** The block and all its ancestors are final. */
  | { readonly kind: "finalize"; readonly certificate: Certificate }
  | { readonly kind: "report"; readonly report: Report };

export type EngineTimeouts = {
  /** t_l: how long to wait for a proposal. */
  readonly proposalMs: number;
  /** t_a: how long to wait for a notarization. */
  readonly notarizationMs: number;
  /** t_r: how often to repeat while stuck. */
  readonly retryMs: number;
  /** How long a proposer may be silent, while a quorum is heard, before its views are skipped at once. */
  readonly skipMs: number;
};
