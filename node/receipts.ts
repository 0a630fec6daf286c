/**
 * What a final block leaves for people to look up: where each transaction and proof is, how each round
 * ended, and what each proof earned and why. Written in the same batch as the block: an entry a proof, and two a
 * round, because what a write costs is the number of its entries more than their size.
 */
import { toHex } from "../consensus/primitives/bytes.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import type { ContributionReceipt, EpochReceipt, RoundReceipt } from "../consensus/state/settle-epoch.ts";
import type { ProofStatus, Round } from "../rpc/methods.ts";
import type { Executed } from "./executed.ts";
import type { ProofPlace, StoreOp } from "./store/ops.ts";

export type RewardRecord = NonNullable<ProofStatus["reward"]>;
/** Which slot a proof was for. */
export type ProofRecord = {
  readonly task: string;
  readonly epoch: string;
  readonly slot: number;
  readonly podId: string;
};

export const recordOf = ({
  task,
  epoch,
  slot,
  podId,
}: Pick<ProofPlace, "task" | "epoch" | "slot" | "podId">): ProofRecord => ({
  task: toHex(task),
  epoch: String(epoch),
  slot,
  podId: toHex(podId),
});

/** Rounds of a task sort by epoch. */
export const roundKey = (task: string, epoch: number): string =>
  `${task}-${epoch.toString().padStart(12, "0")}`;

/** What the proofs of a round have in common, and each one's own by its id: 64 of them at most. */
export type RoundRewards = {
  readonly revealed: boolean;
  readonly stepped: boolean;
  readonly shared: Pick<RewardRecord, "unlockEpoch" | "totalValue" | "paidToPods">;
  readonly arithmetic: Omit<Arithmetic, "minted" | "feePart" | "forfeited">;
  readonly proofs: Readonly<Record<string, ProofReward>>;
};
type Arithmetic = NonNullable<RewardRecord["arithmetic"]>;
type ProofReward = Pick<RewardRecord, "amount" | "value" | "quality"> &
  Pick<Arithmetic, "minted" | "feePart" | "forfeited"> & { readonly fate: ContributionReceipt["fate"] };

function reasonOf({ fate }: ProofReward, { revealed, stepped }: RoundRewards): string {
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

function rewardText(proof: ProofReward, round: RoundRewards): string {
  const { amount, value } = proof;
  const { totalValue, paidToPods, unlockEpoch } = round.shared;
  const reason = reasonOf(proof, round);
  if (amount === "0") return `no reward: ${reason === "" ? "the round minted too little to share" : reason}`;
  const of = `${formatZkp(BigInt(amount))} for value ${value} of ${totalValue} in a round that paid ${formatZkp(BigInt(paidToPods))}`;
  return `${of}${reason === "" ? "" : ` (${reason})`}, spendable from epoch ${unlockEpoch}`;
}

/** What a proof of this round earned and why; undefined if it was not in the round. */
export function rewardOf(round: RoundRewards, id: string): RewardRecord | undefined {
  const proof = Object.hasOwn(round.proofs, id) ? round.proofs[id] : undefined;
  if (proof === undefined) return undefined;
  const { minted, feePart, forfeited, ...own } = proof;
  return {
    ...own,
    ...round.shared,
    text: rewardText(proof, round),
    arithmetic: { ...round.arithmetic, minted, feePart, forfeited },
  };
}

/** Every factor of the amounts, as the settlement had it. */
function rewardsOf(round: RoundReceipt, epoch: EpochReceipt): RoundRewards {
  const { pot, contributions } = round;
  const { revealed, stepped } = round;
  return {
    revealed,
    stepped,
    shared: {
      unlockEpoch: String(round.unlockEpoch),
      totalValue: String(round.totalValue),
      paidToPods: String(round.paid),
    },
    arithmetic: {
      lane: pot.lane,
      roundQuality: String(round.quality),
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
    },
    proofs: Object.fromEntries(
      contributions.map(({ nullifier, amount, fate, value, quality, minted, fee, forfeited }) => [
        toHex(nullifier),
        {
          amount: String(amount),
          fate,
          value: String(value),
          quality: String(quality),
          minted: String(minted),
          feePart: String(fee),
          forfeited: String(forfeited),
        },
      ]),
    ),
  };
}

function roundOps(round: RoundReceipt, height: number, epoch: EpochReceipt): StoreOp[] {
  const key = roundKey(toHex(round.task), round.epoch);
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
  return [
    { kind: "record", namespace: "rounds", key, value },
    { kind: "record", namespace: "rewards", key, value: rewardsOf(round, epoch) },
  ];
}

export function receiptOps(executed: Executed): StoreOp[] {
  const { block, height, receipt } = executed;
  const ops: StoreOp[] = [];
  for (const [index, id] of receipt.transactions.entries())
    ops.push({ kind: "transaction", id, place: { height, index } });
  for (const [index, id] of receipt.submissions.entries()) {
    const submission = block?.body.submissions[index];
    if (submission === undefined) continue;
    const { task, epoch, slot, podId } = submission;
    ops.push({ kind: "proof", id, at: { place: { height, index }, task, epoch, slot, podId } });
  }
  const { epoch } = receipt;
  for (const round of epoch?.rounds ?? [])
    if (epoch !== undefined) ops.push(...roundOps(round, height, epoch));
  return ops;
}
