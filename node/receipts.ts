/**
 * What a final block leaves for people to look up: where each transaction and proof is, how each round
 * ended, and what each proof earned and why. Written in the same batch as the block.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import type { ContributionReceipt, EpochReceipt, RoundReceipt } from "../consensus/state/settle-epoch.ts";
import type { ProofStatus, Round } from "../rpc/methods.ts";
import type { Executed } from "./executed.ts";
import type { StoreOp } from "./store/ops.ts";

export type RewardRecord = NonNullable<ProofStatus["reward"]>;
/** Which slot a proof was for; kept because the state forgets it when the round settles. */
export type ProofRecord = {
  readonly task: string;
  readonly epoch: string;
  readonly slot: number;
  readonly podId: string;
};

/** Rounds of a task sort by epoch. */
export const roundKey = (task: string, epoch: number): string =>
  `${task}-${epoch.toString().padStart(12, "0")}`;

function reasonOf({ fate }: ContributionReceipt, { revealed, stepped }: RoundReceipt): string {
  if (fate === "copy") return "a pod whose root is older proved the same rows in this round";
  if (fate === "one-row")
    return "all rows of the batch that count are one row, which its gradient gives away";
  if (!revealed) return "the sponsor did not open the holdout rows, so the round was not scored";
  if (!stepped) return "all survivors together did not lower the loss, so nobody was paid";
  switch (fate) {
    case "paid":
      return "";
    case "merged":
      return "nearly equal to another gradient of the round: the share was split";
    case "screened-out":
      return "this gradient alone did not lower the loss enough";
    default:
      return "its value among the round's gradients was not positive";
  }
}

function rewardText(receipt: ContributionReceipt, round: RoundReceipt): string {
  const { amount, value } = receipt;
  const reason = reasonOf(receipt, round);
  if (amount === 0n) return `no reward: ${reason === "" ? "the round minted too little to share" : reason}`;
  const of = `${formatZkp(amount)} for value ${value} of ${round.totalValue} in a round that paid ${formatZkp(round.paid)}`;
  return `${of}${reason === "" ? "" : ` (${reason})`}, spendable from epoch ${round.unlockEpoch}`;
}

/** Every factor of an amount, as the settlement had it. */
function arithmeticOf(
  { minted, fee, forfeited }: ContributionReceipt,
  { pot, quality, contributions }: RoundReceipt,
  epoch: EpochReceipt,
): NonNullable<RewardRecord["arithmetic"]> {
  return {
    lane: pot.lane,
    roundQuality: String(quality),
    potQuality: String(pot.quality),
    laneQuality: String(epoch.quality),
    target: String(epoch.target),
    mint: String(pot.mint),
    podsMint: String(pot.podsMint),
    fee: String(pot.fee),
    burned: String(pot.burned),
    podsFee: String(pot.podsFee),
    forfeit: String(pot.forfeit),
    contributions: contributions.filter(({ fate }) => fate !== "copy").length,
    minted: String(minted),
    feePart: String(fee),
    forfeited: String(forfeited),
  };
}

function roundOps(round: RoundReceipt, height: number, epoch: EpochReceipt): StoreOp[] {
  const task = toHex(round.task);
  const value = {
    epoch: String(round.epoch),
    height: String(height),
    lossBefore: String(round.lossBefore),
    lossAfter: String(round.lossAfter),
    stepped: round.stepped,
    quality: String(round.quality),
    paidToPods: String(round.paid),
    contributions: round.contributions.length,
    paid: round.contributions.filter(({ amount }) => amount > 0n).length,
    model: round.model.map(String),
    revealed: round.revealed,
    fee: String(round.pot.fee),
    burned: String(round.pot.burned),
    forfeit: String(round.pot.forfeit),
  } satisfies Round;
  const rewards = round.contributions.map((receipt): StoreOp => {
    const reward = {
      amount: String(receipt.amount),
      unlockEpoch: String(round.unlockEpoch),
      fate: receipt.fate,
      value: String(receipt.value),
      totalValue: String(round.totalValue),
      quality: String(receipt.quality),
      paidToPods: String(round.paid),
      text: rewardText(receipt, round),
      arithmetic: arithmeticOf(receipt, round, epoch),
    } satisfies RewardRecord;
    return { kind: "record", namespace: "rewards", key: toHex(receipt.nullifier), value: reward };
  });
  return [{ kind: "record", namespace: "rounds", key: roundKey(task, round.epoch), value }, ...rewards];
}

export function receiptOps(executed: Executed): StoreOp[] {
  const { block, height, receipt } = executed;
  const ops: StoreOp[] = [];
  for (const [index, id] of receipt.transactions.entries()) {
    ops.push({ kind: "index", of: "transaction", id, place: { height, index } });
  }
  for (const [index, id] of receipt.submissions.entries()) {
    const submission = block?.body.submissions[index];
    ops.push({ kind: "index", of: "proof", id, place: { height, index } });
    if (submission === undefined) continue;
    const value: ProofRecord = {
      task: toHex(submission.task),
      epoch: String(submission.epoch),
      slot: submission.slot,
      podId: toHex(submission.podId),
    };
    ops.push({ kind: "record", namespace: "proofs", key: toHex(id), value });
  }
  const { epoch } = receipt;
  for (const round of epoch?.rounds ?? [])
    if (epoch !== undefined) ops.push(...roundOps(round, height, epoch));
  return ops;
}
