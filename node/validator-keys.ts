/**
 * Whose votes are worth carrying: everybody who has stake, seated or on the way in or out, and the seats
 * of this epoch and the next. The stake is there a whole epoch before the seat, so nobody misses the
 * first vote. Asked by the network for every message; looked up again with each epoch and each newcomer.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { membersAt } from "../consensus/state/sets.ts";
import { validators } from "../consensus/state/validators.ts";
import type { Chain } from "./chain.ts";

export type ValidatorKeys = ReturnType<typeof createValidatorKeys>;

export function createValidatorKeys({ chain }: { readonly chain: Pick<Chain, "final"> }) {
  let known:
    | { readonly epoch: number; readonly count: number; readonly keys: ReadonlySet<string> }
    | undefined;
  const keysNow = (): ReadonlySet<string> => {
    const { state } = chain.final();
    const { epoch } = state;
    const count = state.validators.length;
    if (known?.epoch === epoch && known.count === count) return known.keys;
    const seated = [epoch, epoch + 1].flatMap((of) => membersAt(state, of) ?? []);
    const staked = validators(state).flatMap(({ it }) => (it.stake > 0n ? [it] : []));
    known = { epoch, count, keys: new Set([...seated, ...staked].map(({ blsKey }) => toHex(blsKey))) };
    return known.keys;
  };
  return (blsKey: Uint8Array): boolean => keysNow().has(toHex(blsKey));
}
