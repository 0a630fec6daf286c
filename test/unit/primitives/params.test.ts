/** Parameters: presets are safe, and an override that is not is refused by its name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import {
  closePlace,
  epochOfHeight,
  PARAMS,
  type ParamName,
  placeInEpoch,
  resolveParams,
} from "../../../consensus/primitives/params.ts";

function assertRefused(overrides: Partial<Record<ParamName, bigint>>, field: string): void {
  assert.throws(
    () => resolveParams("dev", overrides),
    (error) =>
      error instanceof FaultError &&
      error.code === "genesis/invalid" &&
      error.fault.data?.field === `params.${field}`,
  );
}

describe("resolveParams", () => {
  test("takes both presets as they are", () => {
    for (const preset of ["dev", "testnet"] as const) {
      const params = resolveParams(preset);
      for (const name of Object.keys(PARAMS) as ParamName[]) assert.equal(params[name], PARAMS[name][preset]);
    }
  });

  test("refuses what is negative or too large for any parameter", () => {
    for (const name of Object.keys(PARAMS) as ParamName[]) {
      assertRefused({ [name]: -1n }, name);
      assertRefused({ [name]: 2n ** 63n }, name);
    }
  });

  test("refuses timeouts that a healthy network would pass", () => {
    assertRefused({ proposalTimeoutMs: 750n }, "proposalTimeoutMs");
    assertRefused({ blockIntervalMs: 750n }, "proposalTimeoutMs");
    assertRefused({ notarizationTimeoutMs: 1_000n }, "notarizationTimeoutMs");
    resolveParams("dev", { proposalTimeoutMs: 751n });
  });

  test("refuses a reward that unlocks before the evidence window ends, or later than the state remembers", () => {
    assertRefused({ rewardLockEpochs: 1n }, "rewardLockEpochs");
    assertRefused({ podEvidenceEpochs: 4n }, "rewardLockEpochs");
    assertRefused({ rewardLockEpochs: 1_024n }, "rewardLockEpochs");
    resolveParams("dev", { rewardLockEpochs: 1_023n });
  });

  test("refuses a round with a part that has no block", () => {
    assertRefused({ epochHeights: 4n }, "epochHeights");
    assertRefused({ submitPercent: 0n }, "submitPercent");
    assertRefused({ submitPercent: 91n }, "submitPercent");
    assertRefused({ submitPercent: 90n, epochHeights: 5n }, "submitPercent");
    assertRefused({ submitPercent: 90n, epochHeights: 10n }, "submitPercent");
    resolveParams("dev", { submitPercent: 90n, epochHeights: 11n });
  });

  test("refuses more than the state's lists have room for", () => {
    assertRefused({ slicesPerRound: 65n }, "slicesPerRound");
    assertRefused({ slotsPerTask: 65n }, "slotsPerTask");
    assertRefused({ lateDistance: 8n }, "lateDistance");
    assertRefused({ transactionsMax: 4_097n }, "transactionsMax");
    assertRefused({ submissionsMax: 1_025n }, "submissionsMax");
    assertRefused({ batchReuseMax: 256n }, "batchReuseMax");
  });

  test("refuses what would divide by zero, mint for nothing or mint past the budget", () => {
    assertRefused({ targetMin: 0n }, "targetMin");
    assertRefused({ bondUnit: 0n }, "bondUnit");
    assertRefused({ stakeMin: 0n }, "stakeMin");
    assertRefused({ emaEpochs: 0n }, "emaEpochs");
    assertRefused({ publicLanePercent: 101n }, "publicLanePercent");
  });
});

describe("places", () => {
  const params = resolveParams("dev");
  test("count from 1 within an epoch; genesis is before the first", () => {
    const places = [1, 40, 41, 80, 81].map((height) => [
      placeInEpoch(height, params),
      epochOfHeight(height, params),
    ]);
    assert.deepEqual(places, [
      [1, 0],
      [40, 0],
      [1, 1],
      [40, 1],
      [1, 2],
    ]);
    assert.equal(epochOfHeight(0, params), -1);
  });

  test("close submissions after the first part", () => {
    assert.equal(closePlace(params), 24);
    assert.equal(closePlace(resolveParams("dev", { epochHeights: 5n, submitPercent: 1n })), 1);
    assert.equal(closePlace(resolveParams("testnet")), 1_080);
  });
});
