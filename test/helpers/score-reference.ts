/**
 * The score of a round as docs/protocol.md says it, in bigint and with nothing clever: what `consensus/work` must
 * equal to the last unit. Slow; for tests only.
 */
import { createDraw, drawWithout } from "../../consensus/primitives/hash.ts";
import type { Fate, ScoreInput } from "../../consensus/work/score.ts";

type Vector = readonly bigint[];
type Row = { readonly x: Vector; readonly label: number };

const big = (values: ArrayLike<number>): bigint[] => Array.from(values, BigInt);
const add = (a: Vector, b: Vector): bigint[] => a.map((value, j) => value + (b[j] ?? 0n));
const squared = (a: Vector): bigint => a.reduce((sum, value) => sum + value * value, 0n);
const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));
const clamp = (value: bigint, low: bigint, high: bigint): bigint =>
  value < low ? low : value > high ? high : value;

function lossOf(model: Vector, rows: readonly Row[]): bigint {
  let sum = 0n;
  for (const { x, label } of rows) {
    const z = [...x, 256n].reduce((total, value, j) => total + value * (model[j] ?? 0n), 0n);
    const a = 2n ** 25n - (label === 1 ? z : -z);
    const c = clamp(a, 0n, 2n ** 26n) >> 14n;
    sum += 2n * c * c + (a > 2n ** 26n ? a - 2n ** 26n : 0n);
  }
  return sum;
}

function clipped(gradient: Vector, bound: bigint): { gradient: bigint[]; shift: number } {
  const least = bound < 2n ** 90n ? bound : 2n ** 90n;
  for (let shift = 0; shift <= 53; shift++) {
    const candidate = gradient.map((value) => value >> BigInt(shift));
    const small = candidate.every((value) => value <= 2n ** 45n && value >= -(2n ** 45n));
    if (small && squared(candidate) <= least) return { gradient: candidate, shift };
  }
  return { gradient: gradient.map(() => 0n), shift: 53 };
}

function oneRow(model: Vector, gradient: Vector, rows: number): boolean {
  const residuals = gradient.at(-1) ?? 0n;
  for (let copies = 8n; copies <= BigInt(rows); copies++) {
    if (residuals === 0n || residuals % (256n * copies) !== 0n) continue;
    const residual = residuals / 256n / copies;
    if (gradient.some((value) => value % (residual * copies) !== 0n)) continue;
    const x = gradient.slice(0, -1).map((value) => value / (residual * copies));
    if (x.some((value) => value < -2048n || value > 2047n)) continue;
    const z = [...x, 256n].reduce((total, value, j) => total + value * (model[j] ?? 0n), 0n);
    const label = residual < 0n ? 1n : 0n;
    if (clamp(z + 2n ** 25n, 0n, 2n ** 26n) - label * 2n ** 26n === residual) return true;
  }
  return false;
}

type Clip = ReturnType<typeof clipped>;

function isNear(a: Clip, b: Clip): boolean {
  const shift = Math.max(a.shift, b.shift);
  const [x, y] = [a, b].map((it) => it.gradient.map((value) => value >> BigInt(shift - it.shift)));
  if (x === undefined || y === undefined) return false;
  const distance = 400n * squared(x.map((value, j) => value - (y[j] ?? 0n)));
  return distance < squared(x) && distance < squared(y);
}

function before(a: Vector, b: Vector): number {
  for (const [j, value] of a.entries()) if (value !== b[j]) return value < (b[j] ?? 0n) ? -1 : 1;
  return 0;
}

/** Groups of near gradients, closed over pairs; the smallest gradient of each comes first, and so do groups. */
function groupsOf(survivors: readonly number[], clips: readonly Clip[]): number[][] {
  const byContent = (a: number, b: number): number =>
    before(clips[a]?.gradient ?? [], clips[b]?.gradient ?? []);
  let groups = survivors.map((i) => [i]);
  const joined = (a: readonly number[], b: readonly number[]): boolean =>
    a.some((i) => b.some((j) => isNear(clips[i] as Clip, clips[j] as Clip)));
  for (let i = 0; i < groups.length; i++) {
    for (let j = i + 1; j < groups.length; j++) {
      if (!joined(groups[i] ?? [], groups[j] ?? [])) continue;
      const together = [...(groups[i] ?? []), ...(groups[j] ?? [])].sort(byContent);
      groups = groups.filter((_, k) => k !== j).with(i, together);
      [i, j] = [-1, groups.length];
    }
  }
  return groups.sort(([a = 0], [b = 0]) => byContent(a, b));
}

export type ReferenceScore = {
  readonly model: readonly number[];
  readonly fates: readonly Fate[];
  readonly improvements: readonly number[];
  readonly values: readonly bigint[];
  readonly quality: bigint;
  readonly totalValue: bigint;
};

export function referenceScore(input: ScoreInput): ReferenceScore {
  const { rate, rowsPerGradient: n } = input;
  const model = big(input.model);
  const { features, x, y } = input.rows;
  const rows = Array.from(y, (label, i): Row => {
    return { x: big(x.slice(i * features, (i + 1) * features)), label };
  });
  const lossBefore = lossOf(model, rows);
  const zero = model.map(() => 0n);
  const step = (sum: Vector, players: number): bigint[] => {
    const by = BigInt(players * n) << BigInt(18 + rate.shift);
    return model.map((weight, j) =>
      clamp(weight - floorDiv(BigInt(rate.numerator) * (sum[j] ?? 0n), by), -(2n ** 23n), 2n ** 23n - 1n),
    );
  };
  const worth = (sum: Vector, players: number): bigint => lossBefore - lossOf(step(sum, players), rows);
  const gradients = input.gradients.map(big);
  const single = gradients.map((gradient) => oneRow(model, gradient, n));
  const clips = gradients.map((gradient) => clipped(gradient, input.normBound));
  const improvements = clips.map(({ gradient }, i) => (single[i] ? 0n : worth(gradient, 1)));
  const positive = improvements.filter((it) => it > 0n).sort((a, b) => Number(a - b));
  const half = positive.length >> 1;
  const twiceMedian = (positive[half] ?? 0n) + (positive[half - 1 + (positive.length % 2)] ?? 0n);
  const survivors = [...improvements.keys()].filter(
    (i) => (improvements[i] ?? 0n) > 0n && 8n * (improvements[i] ?? 0n) > twiceMedian,
  );
  const groups = groupsOf(survivors, clips);
  const players = groups.map(([first = 0]) => clips[first]?.gradient ?? []);
  const count = players.length;
  const everyone = players.reduce(add, zero);
  const fall = count === 0 ? 0n : worth(everyone, count);

  const sums = players.map(() => 0n);
  const playOrder = (order: readonly number[]): void => {
    let sum: Vector = zero;
    let last = 0n;
    for (const player of order) {
      sum = add(sum, players[player] ?? []);
      const next = worth(sum, count);
      sums[player] = (sums[player] ?? 0n) + next - last;
      last = next;
    }
  };
  let orders = 64;
  if (count > 8) {
    const draw = createDraw("score-permutation", input.seed);
    for (let i = 0; i < orders; i++) playOrder(drawWithout(draw, count, count));
  } else {
    const all = permutations([...players.keys()]);
    orders = all.length;
    for (const order of all) playOrder(order);
  }
  const values = gradients.map(() => 0n);
  let paidPlayers = 0;
  for (const [player, members] of groups.entries()) {
    const sum = sums[player] ?? 0n;
    const value = fall > 0n && sum > 0n ? sum / BigInt(orders) / BigInt(members.length) : 0n;
    if (value > 0n) paidPlayers++;
    for (const member of members) values[member] = value;
  }
  const totalValue = values.reduce((total, value) => total + value, 0n);
  const stepped = totalValue > 0n;
  const fates = gradients.map((_, i): Fate => {
    const group = groups.find((members) => members.includes(i));
    if (group === undefined) return single[i] ? "one-row" : "screened-out";
    if (!stepped) return "no-step";
    if ((values[i] ?? 0n) === 0n) return "no-value";
    return group.length > 1 ? "merged" : "paid";
  });
  return {
    model: (stepped ? step(everyone, count) : model).map(Number),
    fates,
    improvements: improvements.map(Number),
    values,
    quality: stepped ? (BigInt(input.weight) * BigInt(n * paidPlayers) * fall * 1_000_000n) / lossBefore : 0n,
    totalValue,
  };
}

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
