/**
 * Evidence on its way into a block: from the own engine, from votes that contradict what is on disk, or
 * from peers. Each piece is judged and verified once, passed on once, offered to every block until it is
 * included or too old. Made by node.ts; the proposer takes from it.
 */
import { verifyAggregate } from "../consensus/primitives/bls.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, fault, type Verdict } from "../consensus/primitives/faults.ts";
import { evidenceChecks } from "../consensus/state/checks.ts";
import { checkEvidence } from "../consensus/state/slashing.ts";
import type { State } from "../consensus/state/state.ts";
import { EVIDENCE_MAX, type Evidence, evidenceId } from "../consensus/types/evidence.ts";
import type { Chain } from "./chain.ts";
import type { Log } from "./log.ts";
import type { GossipMessage } from "./network/topics.ts";

/** Sixteen blocks full; more is refused until some are included. */
const POOLED_MAX = 256;

export type EvidenceComponents = {
  readonly chain: Pick<Chain, "tip" | "params">;
  readonly network: { publish(message: GossipMessage): void };
  readonly log: Log;
};
export type EvidencePool = ReturnType<typeof createEvidencePool>;

/** Faults that may be the difference of a block between two nodes, and so nobody's fault. */
const MOMENTARY: ReadonlySet<Fault["code"]> = new Set(["evidence/window", "evidence/known"]);

export function createEvidencePool({ chain, network, log }: EvidenceComponents) {
  const pool = new Map<string, Evidence>();
  const isOpen = (state: State, evidence: Evidence): boolean =>
    !("code" in checkEvidence(state, evidence, chain.params));

  return {
    size: (): number => pool.size,
    /** Idempotent; what is accepted is gossiped. */
    add(evidence: Evidence, from?: string): Verdict {
      const id = toHex(evidenceId(evidence));
      if (pool.has(id)) return { kind: "accept" };
      const { state } = chain.tip();
      const checked = checkEvidence(state, evidence, chain.params);
      if ("code" in checked)
        return { kind: MOMENTARY.has(checked.code) ? "ignore" : "reject", fault: checked };
      if (pool.size >= POOLED_MAX) return { kind: "ignore", fault: fault("rpc/busy", { pooled: pool.size }) };
      const wrong = evidenceChecks(state, evidence).some(
        ({ keys, message, signature }) => !verifyAggregate(message, keys, signature),
      );
      if (wrong) return { kind: "reject", fault: fault("evidence/signature") };
      pool.set(id, evidence);
      const { epoch, view } = evidence.value.first.subject;
      const validators = checked.culprits.map(({ validator }) => validator);
      log.warn({ validators, epoch, view }, "evidence of equivocation");
      // What came from a peer is gossiped on by its verdict.
      if (from === undefined) network.publish({ topic: "evidence", value: evidence });
      return { kind: "accept" };
    },
    /** What a block on this state may carry. */
    candidates: (state: State): Evidence[] =>
      [...pool.values()].filter((it) => isOpen(state, it)).slice(0, EVIDENCE_MAX),
    /** All of it: for peers that ask what waits here. */
    all: (): Evidence[] => [...pool.values()],
    /** Drops what was included, or can't be any more. */
    onFinalized(state: State): void {
      for (const [id, evidence] of pool) if (!isOpen(state, evidence)) pool.delete(id);
    },
  };
}
