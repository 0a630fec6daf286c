/** The simulator shows each failure without its rule, and none with it; and liars earn nothing on real rows. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { simulateRules } from "../../simulate/rules.ts";
import { findWdbc, type WdbcRow, wdbcAttacks } from "../../simulate/wdbc.ts";
import { simulateYears } from "../../simulate/years.ts";

test("each rule, switched off, lets in the failure that it exists for", () => {
  const rows = new Map(simulateRules(8).map((row) => [row.failure.split(":")[0] ?? "", row]));
  const of = (name: string) => {
    const row = rows.get(name);
    assert.ok(row !== undefined, name);
    return row;
  };
  assert.ok(of("no floor").off > 12 && of("no floor").on < 4.2);
  assert.ok(of("bursts").off < 45 && of("bursts").on > 73);
  assert.ok(of("unfunded quality").off < of("unfunded quality").on / 2);
  assert.ok(of("free riding on opened slices").off > 15 && of("free riding on opened slices").on === 0);
  assert.ok(of("leaked slices").off > 2 * of("leaked slices").on);
  assert.ok(of("splitting three units into three identities").off > 30);
  assert.ok(Math.abs(of("splitting three units into three identities").on) < 0.01);
});

test("a year with everybody at once adds up, and only honest work gains by it", () => {
  const { rows, minted } = simulateYears({ years: 1, epochHours: 48, onYear: () => undefined });
  const of = (name: string) => {
    const row = rows.find(({ actor }) => actor === name);
    assert.ok(row !== undefined, name);
    return row;
  };
  assert.ok(minted > 0);
  assert.equal(of("zero").paid, 0);
  assert.ok(of("burst").paid < of("honest-1").paid / 3);
  assert.ok(of("label-flip").paid < of("honest-1").paid / 2);
  assert.ok(of("self-dealer").gain < 0 && of("buyer").gain < 0);
  assert.ok(of("honest-0").paid > of("honest-1").paid / 2, "one censor of four starves nobody");
  const [whole, split] = [of("whole").paid, of("split").paid];
  assert.ok(Math.abs(whole - split) < 0.25 * whole, `${whole} in one, ${split} split`);
});

const file = findWdbc(process.env.ZKP_WDBC);
describe("on WDBC, beside five honest pods", () => {
  test("flipped, shuffled, random, cancelling and one-row batches earn 0; copies are refused or share", (t) => {
    if (file === undefined) {
      t.diagnostic("no wdbc.data beside the project");
      return;
    }
    for (const seed of [1, 2, 3]) {
      const rows: ReadonlyMap<string, WdbcRow> = new Map(
        wdbcAttacks(file, seed, "warm").map((row): [string, WdbcRow] => [row.pod, row]),
      );
      for (const liar of ["label-flip", "shuffled", "random", "zero-gradient", "repeated-row"])
        assert.equal(rows.get(liar)?.paid, 0n, `${liar} of dealing ${seed}`);
      const [copy, owner] = [rows.get("exact copy"), rows.get("honest-0, copied (exact copy)")];
      assert.equal(copy?.paid, 0n, `exact copy of dealing ${seed}`);
      assert.ok(copy.refused > 0 || copy.fates.includes("copy"));
      assert.equal(owner?.refused, 0, "an owner is never refused for its copy");
      const near = rows.get("near copy");
      assert.match(near?.fates ?? "", /merged/);
      assert.equal(near?.paid, rows.get("honest-1, copied (near copy)")?.paid);
    }
  });
});
