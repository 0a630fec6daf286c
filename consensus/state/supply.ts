/**
 * The supply account: genesis + minted = circulating + staked + bonded + escrowed + locked + treasury +
 * burned. `slashed` is a part of what is burned.
 */
import { type Amount, add, subtract } from "../primitives/units.ts";
import type { State } from "./state.ts";

export type SupplyField =
  | "minted"
  | "burned"
  | "treasury"
  | "staked"
  | "bonded"
  | "locked"
  | "slashed"
  | "escrowed";

export function addToSupply(state: State, field: SupplyField, amount: Amount): void {
  state.supply[field] = add(state.supply[field], amount);
}

export function takeFromSupply(state: State, field: SupplyField, amount: Amount): void {
  state.supply[field] = subtract(state.supply[field], amount);
}

/** What accounts hold freely: all that was ever issued, less what is somewhere else. */
export function circulating(state: State): Amount {
  const { genesis, minted, burned, treasury, staked, bonded, locked, escrowed } = state.supply;
  return subtract(add(genesis, minted), add(burned, treasury, staked, bonded, locked, escrowed));
}
