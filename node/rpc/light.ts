/** Answers to light clients: branches, and the headers up to the next finalization. Reads only. */
import { toHex } from "../../consensus/primitives/bytes.ts";
import { FaultError } from "../../consensus/primitives/faults.ts";
import { Height } from "../../consensus/primitives/units.ts";
import { accountBranch, setProof, submissionBranch } from "../../consensus/state/proofs.ts";
import type { Header } from "../../consensus/types/block.ts";
import {
  AccountProofType,
  EpochProofType,
  type Finalized,
  HEADERS_MAX,
  SetProofType,
  SubmissionProofType,
} from "../../consensus/types/light-client.ts";
import type { Genesis } from "../../genesis/state.ts";
import type { Chain } from "../chain.ts";
import type { Store } from "../store/store.ts";

export type LightComponents = {
  readonly chain: Pick<Chain, "final" | "finalCertificate">;
  readonly store: Pick<Store, "blockAt" | "finalizationAt" | "epochProof" | "proof" | "lowest">;
  readonly genesis: Pick<Genesis, "state">;
};

export function createLightAnswers({ chain, store, genesis }: LightComponents) {
  /** A height's header and those above it, up to the first that is finalized directly. */
  const finalizedFrom = (from: Height): Finalized => {
    const headers: Header[] = [];
    for (let height = from; headers.length < HEADERS_MAX; height = Height(height + 1)) {
      const block = store.blockAt(height);
      if (block === undefined) break;
      headers.push(block.header);
      const finalization = store.finalizationAt(height);
      if (finalization !== undefined) return { headers, finalization };
    }
    throw new FaultError("block/unknown", { height: from, finalized: chain.final().height });
  };

  return {
    genesis: (): Uint8Array => SetProofType.serialize(setProof(genesis.state, 0)),

    epoch(epoch: number): Uint8Array {
      const proof = store.epochProof(epoch);
      if (proof === undefined)
        throw new FaultError("rpc/not-found", { epoch, current: chain.final().state.epoch });
      return EpochProofType.serialize(proof);
    },

    account(address: Uint8Array): Uint8Array {
      const { state, block } = chain.final();
      const finalization = chain.finalCertificate();
      if (block === undefined || finalization === undefined)
        throw new FaultError("block/unknown", { height: 0 });
      const finalized = { headers: [block.header], finalization };
      return AccountProofType.serialize({ finalized, ...accountBranch(state, address) });
    },

    submission(id: Uint8Array): Uint8Array {
      const place = store.proof(id)?.place;
      const block = place === undefined ? undefined : store.blockAt(place.height);
      const submission = block?.body.submissions[place?.index ?? 0];
      if (place === undefined || block === undefined || submission === undefined)
        throw new FaultError("rpc/not-found", { id: toHex(id), lowestHeight: store.lowest() });
      const { index, height } = place;
      const branch = submissionBranch(block.body, index);
      return SubmissionProofType.serialize({ finalized: finalizedFrom(height), index, submission, branch });
    },
  };
}
