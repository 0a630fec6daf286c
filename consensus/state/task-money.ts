/**
 * Operations `task-fund`, `task-approve` and `task-close`, and what the end of an epoch makes of them: tasks
 * enter the public lane or end, and whatever was not paid goes back whole. Called by apply-transaction.ts and
 * settle-epoch.ts.
 */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { type Amount, add, Epoch, ZERO } from "../primitives/units.ts";
import type { Operation, SELECTOR } from "../types/transaction.ts";
import { quorumOf } from "../types/validator-set.ts";
import type { Decision, Sender } from "./context.ts";
import { credit, debit, taskIndexOf } from "./maps.ts";
import { currentMembers } from "./sets.ts";
import { LANE, type State } from "./state.ts";
import { addToSupply, takeFromSupply } from "./supply.ts";

type Value<Name extends keyof typeof SELECTOR> = Extract<
  Operation,
  { selector: (typeof SELECTOR)[Name] }
>["value"];

/** Place of a task that has not ended, or why there is none. */
function livingTask(state: State, id: Uint8Array): number | Fault {
  const index = taskIndexOf(state, id);
  if (index < 0) return fault("task/unknown");
  if (state.epoch > state.tasks.getReadonly(index).lastRound) return fault("task/closed");
  return index;
}

/** Anybody may fund; what is left goes to the sponsor. */
export function taskFund(state: State, sender: Sender, { task: id, amount }: Value<"taskFund">): Decision {
  const index = livingTask(state, id);
  if (typeof index !== "number") return index;
  if (state.tasks.getReadonly(index).lane === LANE.public) return fault("task/lane-public");
  if (amount === 0n) return fault("transaction/amount-zero");
  if (sender.available < amount)
    return fault("transaction/balance-low", { needed: String(amount), field: "amount" });
  return () => {
    debit(state, sender.address, amount);
    addToSupply(state, "escrowed", amount);
    const task = state.tasks.get(index);
    task.escrow = add(task.escrow, amount);
  };
}

/** Counted once a seat; what is counted is forgotten at the epoch's end. */
export function taskApprove(state: State, sender: Sender, { task: id }: Value<"taskApprove">): Decision {
  const index = livingTask(state, id);
  if (typeof index !== "number") return index;
  const task = state.tasks.getReadonly(index);
  if (task.lane === LANE.public) return fault("task/lane-public");
  const given = task.approvals.getAll();
  const seats = [...currentMembers(state).entries()].flatMap(([position, { validator }]) =>
    equalBytes(state.validators.getReadonly(validator).account, sender.address) ? [position] : [],
  );
  if (seats.length === 0)
    return fault("transaction/sender-not-allowed", { owner: "the account of a seated validator" });
  return () => {
    const { approvals } = state.tasks.get(index);
    for (const seat of seats) if (!given.includes(seat)) approvals.push(seat);
  };
}

/** The round that runs is still settled; one that has not begun never does. */
export function taskClose(state: State, sender: Sender, { task: id }: Value<"taskClose">): Decision {
  const index = livingTask(state, id);
  if (typeof index !== "number") return index;
  if (!equalBytes(state.tasks.getReadonly(index).sponsor, sender.address))
    return fault("transaction/sender-not-allowed", { owner: "the sponsor" });
  return () => {
    state.tasks.get(index).lastRound = Epoch(state.epoch);
  };
}

/** The unpaid escrow, whole, back to the sponsor. */
function refundEscrow(state: State, index: number): Amount {
  const task = state.tasks.getReadonly(index);
  const { escrow, sponsor } = task;
  if (escrow === 0n) return ZERO;
  state.tasks.get(index).escrow = ZERO;
  takeFromSupply(state, "escrowed", escrow);
  credit(state, sponsor, escrow);
  return escrow;
}

/**
 * After an epoch was settled: approved tasks become public, and what approvals there are is forgotten. A task
 * ends with its last round, and with an escrow that does not pay another one; then the bond goes back too.
 */
export function turnTasks(state: State): void {
  const members = currentMembers(state);
  const quorum = quorumOf(members.reduce((sum, { weight }) => sum + weight, 0n));
  for (let index = 0; index < state.tasks.length; index++) {
    const { approvals, lastRound, bond, escrow, roundPay, sponsor } = state.tasks.getReadonly(index);
    if (approvals.length > 0) {
      const seats = approvals.getAll();
      const weight = seats.reduce((sum, seat) => sum + (members[seat]?.weight ?? 0n), 0n);
      const task = state.tasks.get(index);
      task.approvals = task.type.fields.approvals.toViewDU([]);
      if (weight >= quorum) {
        state.tasks.get(index).lane = LANE.public;
        refundEscrow(state, index);
      }
    }
    const dry = state.tasks.getReadonly(index).lane === LANE.sponsored && escrow < roundPay;
    if (lastRound > state.epoch && !dry) continue;
    if (lastRound > state.epoch) state.tasks.get(index).lastRound = Epoch(state.epoch);
    refundEscrow(state, index);
    if (bond === 0n) continue;
    state.tasks.get(index).bond = ZERO;
    takeFromSupply(state, "bonded", bond);
    credit(state, sponsor, bond);
  }
}
