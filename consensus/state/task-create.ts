/** Operation `task-create`: a sponsor asks for rounds of training, with a bond for its reveals and an escrow. */
import { equalBytes } from "../primitives/bytes.ts";
import { type Fault, fault } from "../primitives/faults.ts";
import { hash } from "../primitives/hash.ts";
import type { Params } from "../primitives/params.ts";
import { Amount, Epoch, Height } from "../primitives/units.ts";
import { ZERO32 } from "../types/ssz.ts";
import { createdTaskId, HOLDOUT_DEPTH, type Operation, type SELECTOR } from "../types/transaction.ts";
import { modelValid, shapeKnown, shapeOf } from "../work/gradient.ts";
import { rateValid } from "../work/step.ts";
import type { Context, Decision, Sender } from "./context.ts";
import { debit, getAccount } from "./maps.ts";
import { bytesText, fromInt32, LANE, RoundType, type State, TASKS_MAX, TaskType } from "./state.ts";
import { addToSupply } from "./supply.ts";

type Create = Extract<Operation, { selector: typeof SELECTOR.taskCreate }>["value"];

const invalid = (field: string, expected: string): Fault =>
  fault("transaction/operation-invalid", { field, expected });

/** Whether every float64 of the bytes is a number: consensus reads no more of them. */
function allFinite(bytes: Uint8Array): boolean {
  for (let i = 7; i < bytes.length; i += 8) {
    if (((bytes[i] ?? 0) & 0x7f) === 0x7f && (bytes[i - 1] ?? 0) >= 0xf0) return false;
  }
  return true;
}

/** Limits of what is computed with, of what is shown, and of how long it lasts. */
function checkFields(task: Create, features: number, params: Params): Fault | undefined {
  if (task.name.length === 0 || !task.name.every((byte) => byte >= 0x20 && byte <= 0x7e))
    return invalid("name", "printable ASCII");
  if (task.standardisation.length !== 2 * 8 * features || !allFinite(task.standardisation))
    return invalid("standardisation", `a finite mean and scale for each of ${features} features`);
  if (!rateValid({ numerator: task.rateNumerator, shift: task.rateShift }))
    return invalid("rate", "numerator 1 … 2^16, shift 0 … 32");
  if (task.normBound < 1n) return invalid("normBound", "1 … 2^128 − 1");
  if (task.lead < 1 || BigInt(task.lead) > params.taskLeadMax)
    return invalid("lead", `1 … ${params.taskLeadMax}`);
  if (task.rounds < 1) return invalid("rounds", "at least 1");
  if (task.holdoutSlices > 2 ** HOLDOUT_DEPTH)
    return invalid("holdoutSlices", `at most ${2 ** HOLDOUT_DEPTH}`);
  const needed = BigInt(task.rounds) * params.slicesPerRound;
  if (BigInt(task.holdoutSlices) < needed)
    return fault("task/pool-small", { slices: task.holdoutSlices, needed: String(needed) });
  if (task.model.length > 0 && !modelValid(task.model.map(fromInt32), features))
    return invalid("model", `nothing, or ${features + 1} weights of 24 bits`);
  return undefined;
}

/** What a task's place costs, however early it ends: sixteen places would be held for nothing else. */
function placeFee({ lead, rounds }: Create, params: Params): Amount {
  return Amount(params.taskPlaceFee * BigInt(lead + rounds));
}

function checkMoney(task: Create, sender: Sender, params: Params): Fault | undefined {
  const { roundPay, bond, escrow } = task;
  if (roundPay < params.roundPayMin || escrow < roundPay)
    return fault("task/pay-low", { roundPayMin: String(params.roundPayMin), escrow: String(escrow) });
  if (bond < 2n * roundPay) return fault("task/bond-low", { least: String(2n * roundPay) });
  const needed = bond + escrow + placeFee(task, params);
  if (sender.available < needed)
    return fault("transaction/balance-low", { needed: String(needed), field: "bond, escrow and place" });
  return undefined;
}

/** Place for a new task: at the end, or where the first one ended that no evidence can be about; or why not. */
function placeFor(state: State, params: Params): number | Fault {
  let open = 0;
  let ended = -1;
  for (let i = 0; i < state.tasks.length; i++) {
    const { lastRound } = state.tasks.getReadonly(i);
    if (lastRound >= state.epoch) open++;
    else if (ended < 0) ended = i;
  }
  if (open >= params.tasksOpenMax) return fault("task/limit", { open });
  if (state.tasks.length < TASKS_MAX) return state.tasks.length;
  return ended < 0 ? fault("task/limit", { open }) : ended;
}

export function taskCreate(state: State, sender: Sender, task: Create, { params }: Context): Decision {
  const shapeId = bytesText(task.shape);
  const circuit = state.circuits.getAllReadonly().find(({ shape }) => equalBytes(shape, task.shape));
  if (circuit === undefined || !shapeKnown(shapeId)) return fault("task/shape-unlisted", { shape: shapeId });
  const { features } = shapeOf(shapeId);
  const wrong = checkFields(task, features, params) ?? checkMoney(task, sender, params);
  if (wrong !== undefined) return wrong;
  if (!equalBytes(task.groupRoot, ZERO32)) return fault("task/group-unavailable");
  const place = placeFor(state, params);
  if (typeof place !== "number") return place;

  const { vkHash } = circuit;
  const id = createdTaskId(
    state.chain,
    vkHash,
    sender.address,
    getAccount(state, sender.address)?.nonce ?? 0,
  );
  const firstRound = Epoch(state.epoch + task.lead);
  return () => {
    const fee = placeFee(task, params);
    debit(state, sender.address, Amount(task.bond + task.escrow + fee));
    addToSupply(state, "burned", fee);
    addToSupply(state, "bonded", task.bond);
    addToSupply(state, "escrowed", task.escrow);
    const { lead: _lead, rounds, model, ...fields } = task;
    const view = TaskType.toViewDU({
      ...fields,
      id,
      vkHash,
      normalization: hash("data-normalization", task.standardisation),
      firstRound,
      lastRound: Epoch(firstRound + rounds - 1),
      sponsor: sender.address,
      drawn: new Uint8Array(task.holdoutSlices),
      revealedFrom: Height(0),
      model: model.length > 0 ? model : new Array<number>(features + 1).fill(0),
      enrollments: [],
      lane: LANE.sponsored,
      approvals: [],
    });
    if (place < state.tasks.length) {
      state.tasks.set(place, view);
      state.rounds.set(place, RoundType.defaultViewDU());
    } else {
      state.tasks.push(view);
      state.rounds.push(RoundType.defaultViewDU());
    }
  };
}
