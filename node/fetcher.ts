/**
 * Carries out the engine's `fetch`: missing certificates, and certified blocks that nobody sent. From the
 * own disk first, then from peers; the engine verifies what comes back like anything else.
 */
import type { Effect, Input } from "../consensus/engine/protocol.ts";
import { equalBytes } from "../consensus/primitives/bytes.ts";
import { View } from "../consensus/primitives/units.ts";
import { blockHash } from "../consensus/types/block.ts";
import type { Chain } from "./chain.ts";
import type { Log } from "./log.ts";
import type { Network, PeerInfo } from "./network/network.ts";
import type { Store } from "./store/store.ts";

/** Peers asked for one missing thing. */
const ASK_MAX = 3;

type FetcherComponents = {
  readonly chain: Pick<Chain, "find">;
  readonly store: Pick<Store, "blockByHash">;
  readonly network: Pick<Network, "peers" | "request">;
  readonly log: Log;
  push(input: Input): void;
  positionOf(blsKey: Uint8Array | undefined): number | undefined;
};

export function createFetcher({
  chain,
  store,
  network,
  log,
  push,
  positionOf,
}: FetcherComponents): (effect: Extract<Effect, { kind: "fetch" }>) => void {
  /** Asks a few peers in turn; what comes back is verified by the engine like anything else. */
  const ask = async (
    peers: readonly PeerInfo[],
    what: (peerId: string) => Promise<boolean>,
  ): Promise<void> => {
    for (const { peerId } of peers.slice(0, ASK_MAX)) {
      try {
        if (await what(peerId)) return;
      } catch (error) {
        log.debug({ peer: peerId, error: String(error) }, "a peer did not answer");
      }
    }
  };

  return (effect) => {
    const peers = [...network.peers()].sort(() => Math.random() - 0.5);
    if (effect.want === "certificates") {
      void ask(peers, async (peerId) => {
        const { epoch, from, to } = effect;
        const answer = await network.request(peerId, {
          kind: "certificates",
          epoch,
          fromView: from,
          toView: View(Math.min(to, from + 255)),
        });
        const position = positionOf(peers.find((peer) => peer.peerId === peerId)?.blsKey);
        for (const certificate of answer.certificates)
          push({ kind: "certificate", certificate, from: position });
        return answer.certificates.length > 0;
      });
      return;
    }
    const known = chain.find(effect.blockHash)?.block ?? store.blockByHash(effect.blockHash);
    if (known !== undefined) {
      push({ kind: "block", block: known, from: undefined });
      return;
    }
    const signers = peers.filter(({ blsKey }) => effect.signers.includes(positionOf(blsKey) ?? -1));
    void ask([...signers, ...peers.filter((peer) => !signers.includes(peer))], async (peerId) => {
      const { block } = await network.request(peerId, { kind: "block-by-hash", hash: effect.blockHash });
      if (block === undefined || !equalBytes(blockHash(block.header), effect.blockHash)) return false;
      push({ kind: "block", block, from: undefined });
      return true;
    });
  };
}
