/** What a simulated node answers its peers. Used by node.ts. */
import { toHex } from "../../consensus/primitives/bytes.ts";
import type { Epoch } from "../../consensus/primitives/units.ts";
import type { Block } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { VoteKind } from "../../consensus/types/vote.ts";
import type { Disk } from "./disk.ts";
import type { Message } from "./messages.ts";

const CERTIFICATES_MAX = 512;

type Ask = Extract<Message, { kind: "ask-block" | "ask-certificates" | "ask-tip" }>;

function highestFinalization(disk: Disk, epoch: Epoch): Certificate | undefined {
  const boundary = disk.boundaries.get(epoch);
  if (boundary !== undefined) return boundary;
  let best: Certificate | undefined;
  for (const it of disk.certificates.get(epoch)?.values() ?? []) {
    if (it.subject.kind === VoteKind.finalize && it.subject.view > (best?.subject.view ?? 0)) best = it;
  }
  return best;
}

export function answer(
  disk: Disk,
  inMemory: (name: string) => Block | undefined,
  epoch: Epoch,
  ask: Ask,
): Message[] {
  if (ask.kind === "ask-block") {
    const name = toHex(ask.blockHash);
    const block = inMemory(name) ?? disk.blocks.get(name);
    return block === undefined ? [] : [{ kind: "block", block }];
  }
  if (ask.epoch > epoch) return [];
  const tip = highestFinalization(disk, ask.epoch);
  const found: Certificate[] = tip === undefined ? [] : [tip];
  if (ask.kind === "ask-certificates") {
    for (const it of disk.certificates.get(ask.epoch)?.values() ?? []) {
      const wanted = it.subject.view >= ask.from && it.subject.view <= ask.to;
      if (wanted && found.length < CERTIFICATES_MAX) found.push(it);
    }
  }
  return found.map((certificate) => ({ kind: "certificate", certificate }));
}
