/**
 * Tells peers together which messages have come here already. The library says so of each message at once, in a
 * message of its own to each peer, and that costs both ends about as much as the message did. So nobody passes a message
 * on sooner after it came than this waits at most, which is less than it takes to judge a bundle's proofs when there
 * are many. Used by gossip.ts.
 */

/** So long at most; whatever else is said meanwhile takes it along. */
export const WAIT_MS = 50;
/** To one peer at once; with more it leaves. */
const IDS_MAX = 64;

type Control = Readonly<Record<"graft" | "prune" | "ihave" | "iwant", readonly never[]>> & {
  readonly idontwant: readonly { readonly messageIDs: readonly Uint8Array[] }[];
};
/** What the library keeps private. */
export type DontWantRouter = {
  readonly mesh: ReadonlyMap<string, ReadonlySet<string>>;
  sendRpc(
    peerId: string,
    rpc: {
      readonly subscriptions: readonly never[];
      readonly messages: readonly never[];
      readonly control: Control;
    },
  ): boolean;
  sendIDontWants(messageId: Uint8Array, topic: string, source: string): void;
};
export type DontWants = ReturnType<typeof gatherDontWants>;

export function gatherDontWants(router: DontWantRouter) {
  const waiting = new Map<string, Uint8Array[]>();
  let timer: NodeJS.Timeout | undefined;

  const tell = (peerId: string, messageIDs: readonly Uint8Array[]): void => {
    waiting.delete(peerId);
    router.sendRpc(peerId, {
      subscriptions: [],
      messages: [],
      control: { graft: [], prune: [], ihave: [], iwant: [], idontwant: [{ messageIDs }] },
    });
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    for (const [peerId, ids] of waiting) tell(peerId, ids);
  };
  router.sendIDontWants = (messageId, topic, source) => {
    for (const peerId of router.mesh.get(topic) ?? []) {
      if (peerId === source) continue;
      const ids = waiting.get(peerId) ?? [];
      ids.push(messageId);
      if (ids.length >= IDS_MAX) tell(peerId, ids);
      else waiting.set(peerId, ids);
    }
    if (waiting.size > 0) timer ??= setTimeout(flush, WAIT_MS);
  };

  return {
    /** Before something else is said to all, which it then leaves with. */
    flush,
    /** What waits is dropped: there is nobody left to tell. */
    stop(): void {
      clearTimeout(timer);
      timer = undefined;
      waiting.clear();
    },
  };
}
