/**
 * What an epoch's contributions do to their pods' reputation. Gathered first and written once a pod, because a pod
 * has contributions in many rounds. Called by settle-epoch.ts.
 */
import { nameOf } from "../primitives/bytes.ts";
import type { Steps } from "../primitives/steps.ts";
import type { Fate } from "../work/score.ts";
import { getPod, putPod } from "./maps.ts";
import { type Pod, PUT_AT_ONCE, type State } from "./state.ts";

/** What counts as rejected. */
const WORTHLESS: readonly string[] = ["screened-out", "no-value", "one-row", "copy"];

export function createReputation(state: State) {
  /** As they will be. */
  const pods = new Map<string, Pod>();
  return {
    /** A contribution that was not scored has no fate. */
    count(podId: Uint8Array, fate: Fate | "copy" | undefined, quality: bigint): void {
      const name = nameOf(podId);
      const pod = pods.get(name) ?? getPod(state, podId);
      if (pod === undefined) return;
      const accepted = pod.accepted + (fate === "paid" || fate === "merged" ? 1 : 0);
      const rejected = pod.rejected + (fate !== undefined && WORTHLESS.includes(fate) ? 1 : 0);
      pods.set(name, { ...pod, accepted, rejected, settledQuality: pod.settledQuality + quality });
    },
    *writeSteps(): Steps<void> {
      for (const [i, pod] of [...pods.values()].entries()) {
        putPod(state, pod);
        if (i % PUT_AT_ONCE !== PUT_AT_ONCE - 1) continue;
        state.pods.commit();
        yield;
      }
    },
  };
}
export type Reputation = ReturnType<typeof createReputation>;
