/**
 * The arithmetic of a proof's reward, every factor named, made again from what the chain says it settled with.
 * Called by `zkp pod explain` and the SDK. Whoever does not believe the amount can follow it here line by line.
 */
import { MINT_PERCENT } from "../consensus/primitives/params.ts";
import { formatZkp } from "../consensus/primitives/units.ts";
import type { ProofStatus } from "../rpc/methods.ts";

export type Explanation = {
  readonly lines: readonly string[];
  /** nzkp, made from the factors; undefined before the round is settled. */
  readonly amount: bigint | undefined;
};

const FATES: Readonly<Record<string, string>> = {
  paid: "it lowered the loss on rows that nobody had seen, and has a positive Shapley value",
  merged: "nearly equal to another gradient of the round: one player, whose value was split",
  copy: "a pod whose root is older proved the same rows in this round, and is paid for them alone",
  "one-row": "all rows of the batch that count are one row, which its gradient gives away: nothing is paid",
  "screened-out": "alone it did not lower the loss, or by less than a quarter of the median",
  "no-value": "its Shapley value among the round's gradients was not positive",
  "no-step": "all survivors together did not lower the loss, so nobody was paid",
  "no-reveal": "the sponsor did not open the drawn rows, so the round was not scored",
};

const part = (pot: bigint, value: bigint, total: bigint): bigint =>
  total === 0n ? 0n : (pot * value) / total;

export function explainProof({
  id,
  stage,
  task,
  epoch,
  slot,
  height,
  fault,
  reward,
}: ProofStatus): Explanation {
  const lines = [
    `proof ${id}`,
    `task ${task}, epoch ${epoch}, slot ${slot}`,
    `${stage}${height === undefined ? "" : `, in block ${height}`}`,
  ];
  if (fault !== undefined) lines.push(`${fault.reason} ${fault.hint} [${fault.code}]`);
  if (reward === undefined) return { lines, amount: undefined };
  lines.push(`${reward.fate}: ${FATES[reward.fate] ?? ""}`);
  const { arithmetic } = reward;
  if (arithmetic === undefined) return { lines: [...lines, reward.text], amount: BigInt(reward.amount) };

  const [value, totalValue] = [BigInt(reward.value), BigInt(reward.totalValue)];
  const quality = part(BigInt(arithmetic.roundQuality), value, totalValue);
  const [podsMint, podsFee, potQuality] = [
    BigInt(arithmetic.podsMint),
    BigInt(arithmetic.podsFee),
    BigInt(arithmetic.potQuality),
  ];
  const minted = part(podsMint, quality, potQuality);
  const fee = part(podsFee, quality, potQuality);
  const count = BigInt(arithmetic.contributions);
  const forfeited = count === 0n || reward.fate === "copy" ? 0n : BigInt(arithmetic.forfeit) / count;
  const amount = minted + fee + forfeited;

  if (totalValue > 0n) {
    lines.push(
      `quality  ⌊round's quality ${arithmetic.roundQuality} × value ${value} / all values ${totalValue}⌋ = ${quality}`,
    );
  }
  if (podsMint > 0n) {
    lines.push(
      arithmetic.lane === "public"
        ? `mint     public lane: quality ${arithmetic.laneQuality} against a target of ${arithmetic.target} minted ${formatZkp(BigInt(arithmetic.mint))}`
        : `mint     sponsored lane: at most 9/10 of the ${formatZkp(BigInt(arithmetic.burned))} that this round burned: ${formatZkp(BigInt(arithmetic.mint))}`,
      `         pods' part ⌊${MINT_PERCENT.pods} % × ${arithmetic.mint}⌋ = ${podsMint} nzkp`,
      `         ⌊${podsMint} × quality ${quality} / ${potQuality}⌋ = ${minted} nzkp`,
    );
  }
  if (podsFee > 0n) {
    lines.push(
      `fee      the sponsor paid ${formatZkp(BigInt(arithmetic.fee))}, pods' part ${podsFee} nzkp`,
      `         ⌊${podsFee} × quality ${quality} / ${potQuality}⌋ = ${fee} nzkp`,
    );
  }
  if (forfeited > 0n)
    lines.push(`forfeit  ⌊the sponsor's ${arithmetic.forfeit} / ${count} contributions⌋ = ${forfeited} nzkp`);
  lines.push(`sum      ${amount} nzkp = ${formatZkp(amount)}, spendable from epoch ${reward.unlockEpoch}`);
  if (amount !== BigInt(reward.amount))
    lines.push(`the chain paid ${reward.amount} nzkp: these do not agree`);
  return { lines, amount };
}
