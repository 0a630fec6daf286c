/** What simulated nodes send each other. The network says who the sender is. */
import type { Epoch, View } from "../../consensus/primitives/units.ts";
import type { Block, Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import type { Vote } from "../../consensus/types/vote.ts";

export type Message =
  | { readonly kind: "proposal"; readonly proposal: Proposal }
  | { readonly kind: "vote"; readonly vote: Vote }
  | { readonly kind: "certificate"; readonly certificate: Certificate }
  | { readonly kind: "block"; readonly block: Block }
  | { readonly kind: "ask-certificates"; readonly epoch: Epoch; readonly from: View; readonly to: View }
  | { readonly kind: "ask-block"; readonly blockHash: Uint8Array }
  /** For the asker's epoch: its boundary's finalization if it is over, else the highest one. */
  | { readonly kind: "ask-tip"; readonly epoch: Epoch };

/** The epoch that a consensus message belongs to. */
export function epochOf(message: Message): Epoch | undefined {
  if (message.kind === "proposal") return message.proposal.vote.subject.epoch;
  if (message.kind === "vote") return message.vote.subject.epoch;
  return message.kind === "certificate" ? message.certificate.subject.epoch : undefined;
}
