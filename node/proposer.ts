/**
 * Builds the own block when the engine asks: waits for its time, selects, applies, fills in the roots. Other events
 * have their turn meanwhile. Called by the driver.
 */
import type { Effect } from "../consensus/engine/protocol.ts";
import { placeInEpoch } from "../consensus/primitives/params.ts";
import type { View } from "../consensus/primitives/units.ts";
import { buildSteps } from "../consensus/state/transition.ts";
import { type Block, blockHash } from "../consensus/types/block.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import { proposerOf } from "../consensus/types/validator-set.ts";
import type { Chain } from "./chain.ts";
import type { EvidencePool } from "./evidence.ts";
import type { Mempool } from "./mempool.ts";
import type { Signer } from "./signer.ts";
import { inTurns, TURN_MS, UNWANTED } from "./turns.ts";

type Build = Extract<Effect, { kind: "build" }>;

export type ProposerComponents = {
  readonly chain: Pick<Chain, "find" | "addBuilt" | "ancestor" | "params" | "score">;
  readonly mempool: Pick<Mempool, "candidates">;
  readonly evidence: Pick<EvidencePool, "candidates">;
  readonly signer: Pick<Signer, "reveal">;
  /** The notarization of a view with all signatures heard since. */
  lateCertificate(view: View): Certificate | undefined;
  /** Whether the view that asked goes on; looked at after every turn of others. */
  isWanted(): boolean;
};

/** How long until the block may be sent: min(parent's timestamp, entry) + interval. */
export function sendDelayMs(parentTimestampMs: number, enteredMs: number, intervalMs: number): number {
  const enteredWallMs = enteredMs + (Date.now() - performance.now());
  return Math.max(0, Math.min(parentTimestampMs, enteredWallMs) + intervalMs - Date.now());
}

/**
 * The block for a view, on a parent that is executed here. "missing": it is not; "unwanted": the view went on while
 * it was being built, and nothing of it is kept.
 */
export async function propose(
  build: Build,
  components: ProposerComponents,
): Promise<Block | "missing" | "unwanted"> {
  const { chain, mempool, evidence, signer, lateCertificate, isWanted } = components;
  const { params } = chain;
  const parent = chain.find(build.parentHash);
  if (parent === undefined) return "missing";
  const { set, state } = parent;
  const position = proposerOf(set, build.view);
  const proposer = set.members[position]?.validator;
  if (proposer === undefined) return "missing";
  const distance = Number(params.lateDistance);
  const ancestor =
    placeInEpoch(state.height + 1, params) > distance ? chain.ancestor(parent, distance - 1) : undefined;
  const steps = buildSteps(
    parent,
    {
      header: {
        view: build.view,
        parentView: build.parentView,
        proposer,
        timestampMs: Math.max(Date.now(), state.timestampMs + Number(params.blockIntervalMs)),
      },
      beaconReveal: signer.reveal(state.epoch, build.view),
      parentCertificate: build.parentCertificate,
      lateCertificate: ancestor === undefined ? undefined : lateCertificate(ancestor.view),
      ...mempool.candidates(state),
      evidence: evidence.candidates(state),
    },
    params,
    chain.score,
  );
  const built = await inTurns(steps, TURN_MS.blocks, isWanted);
  if (built === UNWANTED || !isWanted()) return "unwanted";
  chain.addBuilt(blockHash(built.block.header), built);
  return built.block;
}
