/** The issuance rule over eight simulated years of hourly epochs, and who gets what of a mint. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  epochBudget,
  epochsPerYear,
  halfLifeFactor,
  issuanceConstants,
  type PublicLane,
  payouts,
  settlePublicLane,
  settleSponsoredLane,
  shares,
  splitFee,
  splitMint,
} from "../../../consensus/state/issuance.ts";

const ZKP = 10n ** 9n;
const SUPPLY_MAX = 100_000_000n * ZKP;
const YEAR = 8_760;
const whole = { numerator: 1n, denominator: 1n };

const parameters = {
  supplyMax: SUPPLY_MAX,
  blockIntervalMs: 2_000,
  epochHeights: 1_800,
  laneShare: whole,
  targetMin: 1n,
  emaEpochs: 720n,
};
const hourly = issuanceConstants(parameters);

type Rule = typeof settlePublicLane;

/** Millions of ZKP minted in each of eight years, and the lane at the end. */
function simulate(
  qualityAt: (epoch: number) => number,
  { target = 1_000_000n, rule = settlePublicLane }: { target?: bigint; rule?: Rule } = {},
): { years: number[]; total: number; lane: PublicLane } {
  const years: number[] = [];
  let lane: PublicLane = { target, floor: 0n, ema: 0n };
  let issued = 0n;
  let before = 0n;
  for (let epoch = 0; epoch < 8 * YEAR; epoch++) {
    const { mint, next } = rule({ ...lane, issued }, BigInt(qualityAt(epoch)), hourly);
    issued += mint;
    lane = next;
    if (epoch % YEAR === YEAR - 1) {
      years.push(millions(issued - before));
      before = issued;
    }
  }
  return { years, total: millions(issued), lane };
}

const millions = (amount: bigint): number => Number(amount / ZKP) / 1e6;
const about = (value: number | undefined, expected: number, within: number): void => {
  assert.ok(
    value !== undefined && Math.abs(value - expected) <= within,
    `${value} is not ${expected} ± ${within}`,
  );
};

describe("eight years", () => {
  test("steady load and a thousandfold throughput mint the same 75.0 million", () => {
    const steady = simulate(() => 1_000_000);
    about(steady.total, 75, 0.001);
    about(steady.years[1], 13.38, 0.01);
    for (const start of [0, 4_000]) {
      const thousandfold = simulate((epoch) => (epoch < start ? 1_000_000 : 1_000_000_000));
      assert.deepEqual(thousandfold.years, steady.years);
    }
  });

  test("quality falling to a tenth cuts the second year from 13.4 to 4.1 million", () => {
    const { years } = simulate((epoch) => (epoch < YEAR ? 1_000_000 : 100_000));
    about(years[1], 4.12, 0.02);
  });

  test("a dead chain mints nothing", () => {
    assert.deepEqual(simulate(() => 0).total, 0);
    assert.deepEqual(simulate(() => 0, { target: 1n }).total, 0);
  });

  test("without the floor the full budget would soon be paid for a tenth of the work", () => {
    const floorless: Rule = (lane, quality, constants) =>
      settlePublicLane({ ...lane, floor: 0n, ema: 0n }, quality, constants);
    const { years } = simulate((epoch) => (epoch < YEAR ? 1_000_000 : 100_000), { rule: floorless });
    assert.ok((years[1] ?? 0) > 12);
  });

  test("bursts a hundredfold one hour a day cost two percent, because they are winsorised", () => {
    const burst = (epoch: number): number => (epoch % 24 === 0 ? 100_000_000 : 1_000_000);
    about(simulate(burst).total, 73.5, 0.1);
  });

  test("a hundredfold burst raises the target by a 64th, however large it is", () => {
    const lane = { issued: 0n, target: 6_400n, floor: 0n, ema: 0n };
    assert.equal(settlePublicLane(lane, 640_000n, hourly).next.target, 6_500n);
    assert.equal(settlePublicLane(lane, 10n ** 30n, hourly).next.target, 6_500n);
  });

  test("a target of one rises to the load instead of paying everything for ever", () => {
    const { lane } = simulate(() => 50, { target: 1n });
    assert.equal(lane.target, 50n);
  });
});

test("half-life factors agree with floating point, and halves are exact", () => {
  for (const epochs of [1n, 2n, 3n, 24n, 8_760n, 35_040n, 6_307_200n]) {
    const factor = Number(halfLifeFactor(epochs)) / 2 ** 64;
    assert.ok(Math.abs(factor - 2 ** (-1 / Number(epochs))) < 1e-15);
  }
  assert.equal(halfLifeFactor(1n), 2n ** 63n);
  assert.equal(halfLifeFactor(0n), 2n ** 63n);
  // ⌊2^64/√2⌋ and ⌊2^64/2^(1/4)⌋, by integer square roots.
  for (const [epochs, power] of [
    [2n, 2n],
    [4n, 4n],
  ] as const) {
    const factor = halfLifeFactor(epochs);
    const one = 2n ** 64n;
    assert.ok(2n * factor ** power <= one ** power && 2n * (factor + 1n) ** power > one ** power);
  }
});

test("λ has a four-year half-life at the preset's epoch length", () => {
  assert.equal(epochsPerYear(2_000, 1_800), 8_760n);
  assert.equal(epochsPerYear(500, 40), 1_576_800n);
  assert.equal(epochsPerYear(2 ** 31, 2 ** 20), 1n);
  assert.equal(epochsPerYear(0, 0), 31_536_000_000n);
  assert.equal(hourly.lambda, 2n ** 64n - halfLifeFactor(35_040n));
});

test("one epoch never mints more than its share of the budget, nor anything past the supply", () => {
  const natural = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(
      natural,
      natural,
      natural,
      natural,
      fc.bigInt({ min: -5n, max: 2n ** 80n }),
      (issued, target, floor, ema, quality) => {
        const constants = issuanceConstants({ ...parameters, laneShare: { numerator: 2n, denominator: 5n } });
        const { mint, next } = settlePublicLane({ issued, target, floor, ema }, quality, constants);
        const budget = epochBudget(issued, constants);
        assert.ok(mint >= 0n && mint <= (budget * 2n) / 5n + 1n);
        assert.ok(issued + mint <= (issued > SUPPLY_MAX ? issued : SUPPLY_MAX));
        if (quality <= 0n) assert.equal(mint, 0n);
        assert.ok(next.target >= 1n && next.target >= next.floor && next.floor >= 0n && next.ema >= 0n);
      },
    ),
  );
});

describe("the sponsored lane", () => {
  const constants = issuanceConstants({ ...parameters, laneShare: { numerator: 2n, denominator: 5n } });

  test("whoever owns sponsor, pods, proposer and validators still loses", () => {
    const amounts = fc.array(fc.bigInt({ min: 0n, max: SUPPLY_MAX }), { maxLength: 16 });
    fc.assert(
      fc.property(amounts, fc.bigInt({ min: 0n, max: SUPPLY_MAX }), (fees, issued) => {
        const split = fees.map(splitFee);
        for (const [i, fee] of fees.entries()) {
          const { burned = 0n, pods = 0n, validators = 0n } = split[i] ?? {};
          assert.equal(burned + pods + validators, fee);
        }
        const mints = settleSponsoredLane(
          issued,
          split.map(({ burned }) => burned),
          constants,
        );
        for (const [i, mint] of mints.entries()) assert.ok(mint * 10n <= (split[i]?.burned ?? 0n) * 9n);
        const total = mints.reduce((sum, it) => sum + it, 0n);
        assert.ok(total <= (epochBudget(issued, constants) * 3n) / 5n);
      }),
    );
  });

  test("a task that burned nothing mints nothing, and scarcity is shared by what was burned", () => {
    assert.deepEqual(settleSponsoredLane(0n, [0n, 100n, -3n], constants), [0n, 90n, 0n]);
    const [small = 0n, large = 0n] = settleSponsoredLane(0n, [10n ** 15n, 3n * 10n ** 15n], constants);
    assert.ok(large - 3n * small >= 0n && large - 3n * small <= 3n);
    assert.deepEqual(settleSponsoredLane(SUPPLY_MAX, [100n], constants), [0n]);
  });
});

describe("a mint is handed out", () => {
  test("72, 8, 15 and 5 percent, each floored", () => {
    assert.deepEqual(splitMint(100n), { pods: 72n, proposers: 8n, validators: 15n, treasury: 5n });
    assert.deepEqual(splitMint(99n), { pods: 71n, proposers: 7n, validators: 14n, treasury: 4n });
    assert.deepEqual(splitMint(0n), { pods: 0n, proposers: 0n, validators: 0n, treasury: 0n });
  });

  test("what the absent miss is not minted, and nobody gains by it", () => {
    const paid = payouts({
      mint: 1_000n,
      values: [3n, 1n, 0n],
      carried: [4n],
      presence: [
        { weight: 10n, present: 40, opportunities: 40 },
        { weight: 10n, present: 10, opportunities: 40 },
        { weight: 10n, present: 0, opportunities: 40 },
      ],
    });
    assert.deepEqual(paid.contributions, [540n, 180n, 0n]);
    assert.deepEqual(paid.proposers, [80n]);
    assert.deepEqual(paid.validators, [50n, 12n, 0n]);
    assert.equal(paid.treasury, 50n);
    assert.equal(paid.minted, 540n + 180n + 80n + 62n + 50n);
  });

  test("any epoch pays at most its mint, exactly what it counts, and nothing below zero", () => {
    const quality = fc.bigInt({ min: -9n, max: 2n ** 70n });
    const presence = fc.record({
      weight: fc.bigInt({ min: -1n, max: 2n ** 64n }),
      present: fc.integer(),
      opportunities: fc.integer(),
    });
    fc.assert(
      fc.property(
        fc.bigInt({ min: -9n, max: SUPPLY_MAX }),
        fc.array(quality, { maxLength: 64 }),
        fc.array(quality, { maxLength: 8 }),
        fc.array(presence, { maxLength: 8 }),
        (mint, values, carried, validators) => {
          const paid = payouts({ mint, values, carried, presence: validators });
          const all = [...paid.contributions, ...paid.proposers, ...paid.validators, paid.treasury];
          assert.ok(all.every((amount) => amount >= 0n));
          assert.equal(
            all.reduce((sum, amount) => sum + amount, 0n),
            paid.minted,
          );
          assert.ok(paid.minted <= (mint > 0n ? mint : 0n));
        },
      ),
    );
  });

  test("no value at all pays nobody", () => {
    assert.deepEqual(shares(100n, [0n, 0n]), [0n, 0n]);
    assert.deepEqual(shares(100n, []), []);
    assert.equal(payouts({ mint: 0n, values: [1n], carried: [], presence: [] }).minted, 0n);
  });
});
