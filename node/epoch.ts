/** What the engine of the finalized state's epoch starts with, with all that the disk has of it. For driver.ts. */
import type { EngineOptions } from "../consensus/engine/core.ts";
import { aggregateSignatures, verifyAggregate, verifySignature } from "../consensus/primitives/bls.ts";
import { Height, View } from "../consensus/primitives/units.ts";
import { validatorSet } from "../consensus/state/sets.ts";
import { certificatesFrom } from "./certificates.ts";
import type { Chain } from "./chain.ts";
import type { Store } from "./store/store.ts";

export type EpochComponents = {
  readonly chain: Pick<
    Chain,
    "final" | "finalCertificate" | "finalView" | "chain" | "genesisRoot" | "params"
  >;
  readonly store: Pick<Store, "hashAt" | "finalizationAt" | "certificates" | "ownVotes" | "ownProposal">;
  /** Whether this node has votes of its own. */
  readonly signs: boolean;
};

export async function epochOptions(
  self: number | undefined,
  { chain, store, signs }: EpochComponents,
): Promise<EngineOptions> {
  const { params } = chain;
  const final = chain.final();
  const { state, set } = final;
  const epochStart = state.epoch * Number(params.epochHeights);
  const atStart = final.height === epochStart;
  const rootHash = atStart ? final.hash : (store.hashAt(Height(epochStart)) ?? chain.genesisRoot);
  const rootCertificate =
    atStart && final.height > 0 ? chain.finalCertificate() : store.finalizationAt(Height(epochStart));
  const certificates = await certificatesFrom(store, state.epoch, atStart ? View(1) : chain.finalView());
  const subjects = signs ? await store.ownVotes(state.epoch) : [];
  const ownFinal = chain.finalCertificate();
  return {
    chain: chain.chain,
    set,
    self,
    lastHeight: Height(epochStart + Number(params.epochHeights)),
    intervalMs: Number(params.blockIntervalMs),
    timeouts: {
      proposalMs: Number(params.proposalTimeoutMs),
      notarizationMs: Number(params.notarizationTimeoutMs),
      retryMs: Number(params.retryMs),
      skipMs: Number(params.skipMs),
    },
    root: {
      hash: rootHash,
      certificate: state.epoch === 0 ? undefined : rootCertificate,
      set: state.epoch === 0 ? undefined : validatorSet(state, "previous"),
    },
    verifyAggregate,
    verifySignature,
    aggregateSignatures,
    restored: {
      subjects: subjects.map((subject) => {
        const proposal = store.ownProposal(subject.epoch, subject.view);
        return proposal === undefined ? { subject } : { subject, proposal };
      }),
      certificates:
        atStart || ownFinal === undefined
          ? certificates
          : [...certificates.filter((it) => it !== ownFinal), ownFinal],
      finalized: atStart ? undefined : { view: chain.finalView(), hash: final.hash },
    },
  };
}
