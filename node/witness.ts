/**
 * Remembers on disk the first vote of each kind that every validator cast in every view of the evidence
 * window, so that a second one is found after a restart, or epochs later when the engine no longer
 * looks. Votes come from their signers' own authenticated streams. Called by the driver and node.ts.
 */
import { verifySignature } from "../consensus/primitives/bls.ts";
import { equalBytes } from "../consensus/primitives/bytes.ts";
import { Epoch, type View } from "../consensus/primitives/units.ts";
import { memberAt } from "../consensus/state/sets.ts";
import { offenceOf } from "../consensus/types/evidence.ts";
import { isSubject, signingRoot, type Vote, VoteKind } from "../consensus/types/vote.ts";
import type { Chain } from "./chain.ts";
import type { EvidencePool } from "./evidence.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store/store.ts";

/** Votes that wait to be written: many views' worth. More are not remembered. */
const WAITING_MAX = 4_096;
/** Between two writes: each holds up the votes of the next view for a sync. */
const WRITE_EVERY_MS = 250;
const KINDS = [VoteKind.notarize, VoteKind.nullify, VoteKind.finalize] as const;

export type WitnessComponents = {
  readonly chain: Pick<Chain, "final" | "params" | "chain">;
  readonly store: Pick<Store, "seenVote" | "write" | "pruneSeen">;
  readonly evidence: Pick<EvidencePool, "add">;
  readonly log: Log;
  /** Of a clock that never goes back. */
  readonly nowMs?: () => number;
};
export type Witness = ReturnType<typeof createWitness>;

const nameOf = ({ epoch, view }: Vote["subject"], kind: number, signer: number): string =>
  `${epoch}/${view}/${kind}/${signer}`;

export function createWitness({
  chain,
  store,
  evidence,
  log,
  nowMs = () => performance.now(),
}: WitnessComponents) {
  const waiting = new Map<string, Vote>();
  let flushing = false;
  let prunedBelow = 0;
  let writtenMs = Number.NEGATIVE_INFINITY;

  const seen = ({ subject, signer }: Vote, kind: number): Vote | undefined =>
    waiting.get(nameOf(subject, kind, signer)) ?? store.seenVote(subject.epoch, subject.view, kind, signer);
  const remember = (vote: Vote): void => {
    if (waiting.size < WAITING_MAX) waiting.set(nameOf(vote.subject, vote.subject.kind, vote.signer), vote);
  };

  return {
    /** A vote as it came from the peer with this key. `current` is the view that the engine is in. */
    observe(vote: Vote, blsKey: Uint8Array | undefined, current: View): void {
      const { subject, signer } = vote;
      const { state } = chain.final();
      const oldest = state.epoch - Number(chain.params.evidenceEpochs);
      if (blsKey === undefined || !isSubject(subject)) return;
      if (subject.epoch > state.epoch || subject.epoch < oldest) return;
      const member = memberAt(state, subject.epoch, signer);
      if (member === undefined || !equalBytes(member.blsKey, blsKey)) return;
      for (const kind of KINDS) {
        const first = seen(vote, kind);
        if (first === undefined || offenceOf(first.subject, subject) === undefined) continue;
        const { kind: verdict } = evidence.add({ selector: 0, value: { first, second: vote } });
        // One of the two signatures is wrong; what is remembered must be what can be shown.
        const isWrong = verdict === "reject" && sameKind(first, vote);
        if (isWrong && verifySignature(signingRoot(chain.chain, subject), blsKey, vote.signature))
          remember(vote);
      }
      // Of earlier epochs nothing new is remembered, or anybody who ever had a seat could fill the disk.
      if (subject.epoch !== state.epoch || subject.view > current + 1) return;
      if (seen(vote, subject.kind) === undefined) remember(vote);
    },
    /**
     * Writes what was heard since, at most four times a second; forgets what is outside the window. What a
     * crash loses is evidence that others have too, never a vote of one's own.
     */
    async onFinalized(): Promise<void> {
      if (flushing || waiting.size === 0 || nowMs() < writtenMs + WRITE_EVERY_MS) return;
      flushing = true;
      writtenMs = nowMs();
      const batch = [...waiting.entries()];
      try {
        await store.write(batch.map(([, vote]) => ({ kind: "seen-vote", vote })));
        for (const [name, vote] of batch) if (waiting.get(name) === vote) waiting.delete(name);
        const oldest = chain.final().state.epoch - Number(chain.params.evidenceEpochs);
        if (oldest > prunedBelow) {
          await store.pruneSeen(Epoch(oldest));
          prunedBelow = oldest;
        }
      } catch (error) {
        log.error({ error: String(error) }, "heard votes could not be written");
      } finally {
        flushing = false;
      }
    },
  };
}

const sameKind = (a: Vote, b: Vote): boolean => a.subject.kind === b.subject.kind;
