/**
 * Follows the ends of epochs by certificates alone, from the own final state to the newest one that peers
 * show: each names the next set (consensus/types/light-client.ts). What holds is stored at once, because
 * light clients ask for it, and a restart goes on there. Called by catch-up.ts.
 */
import { verifyAggregate } from "../../consensus/primitives/bls.ts";
import { blockHash, type Header } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { type EpochProof, nextSet } from "../../consensus/types/light-client.ts";
import type { ValidatorSet } from "../../consensus/types/validator-set.ts";
import type { Chain } from "../chain.ts";
import { BOUNDARIES_PER_RESPONSE_MAX } from "../network/requests.ts";
import type { StoreOp } from "../store/ops.ts";
import type { Store } from "../store/store.ts";
import { aTurn } from "../turns.ts";
import type { Asking } from "./asking.ts";

/** Peers serve the state after the newest of them. */
export const BOUNDARIES_KEPT = 2;
/** Verified in one go; a pairing takes a millisecond or two. */
const AT_ONCE = 8;

/** The last block of an epoch, finalized by the set of that epoch. */
export type Boundary = {
  readonly header: Header;
  readonly hash: Uint8Array;
  readonly certificate: Certificate;
};

export type BoundariesComponents = {
  readonly chain: Pick<Chain, "chain" | "params" | "final">;
  readonly store: Pick<Store, "epochProof" | "write">;
  isStopped(): boolean;
  /** The epoch whose end was verified last. */
  onProgress(epoch: number): void;
};

export function createBoundaries({ chain, store, isStopped, onProgress }: BoundariesComponents) {
  const heights = Number(chain.params.epochHeights);

  /** The boundary and the set after it, if the proof is of this set's epoch and of its last block. */
  const verify = (
    set: ValidatorSet,
    proof: EpochProof,
  ): { boundary: Boundary; next: ValidatorSet } | undefined => {
    const { headers, finalization } = proof.finalized;
    const [header] = headers;
    if (header === undefined || headers.length !== 1 || header.height !== (set.epoch + 1) * heights)
      return undefined;
    const next = nextSet(set, proof, { chain: chain.chain, verifyAggregate });
    if ("code" in next) return undefined;
    return { boundary: { header, hash: blockHash(header), certificate: finalization }, next };
  };

  /** As many of them as hold, from the set's epoch on. */
  const verifyAll = async (from: ValidatorSet, proofs: readonly EpochProof[]) => {
    let set = from;
    const found: { boundary: Boundary; proof: EpochProof }[] = [];
    for (const [i, proof] of proofs.entries()) {
      if (i % AT_ONCE === AT_ONCE - 1) await aTurn();
      const verified = verify(set, proof);
      if (verified === undefined) break;
      found.push({ boundary: verified.boundary, proof });
      set = verified.next;
    }
    return { set, found };
  };

  return {
    /** The newest boundaries that certificates lead to from the own final state, the newest last. */
    async follow(asking: Asking): Promise<Boundary[]> {
      let { set } = chain.final();
      let newest: Boundary[] = [];
      const keep = (found: readonly { boundary: Boundary }[]): void => {
        newest = [...newest, ...found.map(({ boundary }) => boundary)].slice(-BOUNDARIES_KEPT);
        onProgress(set.epoch);
      };
      while (!isStopped()) {
        const stored: EpochProof[] = [];
        for (let proof = store.epochProof(set.epoch); proof !== undefined; ) {
          stored.push(proof);
          if (stored.length >= BOUNDARIES_PER_RESPONSE_MAX) break;
          proof = store.epochProof(set.epoch + stored.length);
        }
        const known = await verifyAll(set, stored);
        set = known.set;
        keep(known.found);
        if (known.found.length > 0) continue;

        const request = {
          kind: "epoch-boundaries",
          fromEpoch: set.epoch,
          count: BOUNDARIES_PER_RESPONSE_MAX,
        } as const;
        let page: Awaited<ReturnType<typeof verifyAll>> | undefined;
        await asking.ask(request, async ({ proofs }) => {
          if (proofs.length === 0) return "nothing";
          const verified = await verifyAll(set, proofs);
          if (verified.found.length < proofs.length) return "wrong";
          page = verified;
          return "right";
        });
        if (page === undefined) break;
        await store.write(
          page.found.map(({ boundary, proof }): StoreOp => {
            return { kind: "epoch-proof", epoch: boundary.header.epoch, proof };
          }),
        );
        set = page.set;
        keep(page.found);
      }
      return newest;
    },
  };
}
