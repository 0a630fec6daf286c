/** Operations of validators, and who has a seat when. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { resolveParams } from "../../../consensus/primitives/params.ts";
import { Amount, Epoch, ValidatorIndex, View, ZERO, zkp } from "../../../consensus/primitives/units.ts";
import { possessionCheck } from "../../../consensus/state/checks.ts";
import { electionWeights, recordWork, seat } from "../../../consensus/state/seating.ts";
import { weightCap } from "../../../consensus/state/sets.ts";
import {
  newValidator,
  SlashingType,
  stateRoot,
  VALIDATORS_MAX,
  ValidatorStatus,
  ValidatorType,
} from "../../../consensus/state/state.ts";
import { findValidator, getValidator, putValidator } from "../../../consensus/state/validators.ts";
import type { Operation } from "../../../consensus/types/transaction.ts";
import { SetType } from "../../../consensus/types/validator-set.ts";
import {
  accountOf,
  assertSupply,
  CHAIN,
  createChain,
  person,
  possessionOf,
  type TestChain,
} from "./chain.ts";

const join = (i: number, stake = 1_000): Operation => ({
  selector: 5,
  value: { blsKey: person(i).blsKey, possession: possessionOf(i), stake: zkp(stake) },
});
const topUp = (i: number, amount: bigint): Operation => ({
  selector: 6,
  value: { blsKey: person(i).blsKey, amount: Amount(amount) },
});
const exit = (i: number): Operation => ({ selector: 7, value: { blsKey: person(i).blsKey } });
const withdraw = (i: number): Operation => ({ selector: 8, value: { blsKey: person(i).blsKey } });
const unjail = (i: number): Operation => ({ selector: 9, value: { blsKey: person(i).blsKey } });
const statusOf = (chain: TestChain, i: number): number => chain.validator(i).status;

describe("join", () => {
  test("a validator that joins is seated two epochs later", () => {
    const chain = createChain();
    assert.equal(chain.send(4, join(4)), undefined);
    chain.toEpoch(1);
    assert.deepEqual(chain.seats(1), [0, 1, 2, 3]);
    assert.deepEqual(chain.seats(2), [0, 1, 2, 3, 4]);
    assert.equal(chain.state.supply.staked, zkp(5_000));
    assertSupply(chain.state, chain.params);
  });

  test("less than the least stake, more than the balance and a key that was used are refused", () => {
    const chain = createChain();
    assert.equal(chain.send(4, join(4, 99)), "validator/stake-low");
    assert.equal(chain.send(4, join(4, 10_001)), "transaction/balance-low");
    assert.equal(chain.send(4, join(0)), "validator/key-used");
    assert.equal(chain.send(4, join(4)), undefined);
    assert.equal(chain.send(5, join(4)), "validator/key-used");
  });

  test("possession is collected as a check of the joiner's own key, and of no other operation", () => {
    const unsigned = {
      publicKey: person(4).publicKey,
      nonce: 0,
      fee: Amount(1n),
      signature: new Uint8Array(64),
    };
    const check = possessionCheck(CHAIN, { ...unsigned, operation: join(4) });
    assert.equal(toHex(check?.keys[0] ?? new Uint8Array()), toHex(person(4).blsKey));
    assert.equal(toHex(check?.signature ?? new Uint8Array()), toHex(possessionOf(4)));
    assert.equal(possessionCheck(CHAIN, { ...unsigned, operation: exit(4) }), undefined);
  });
});

test("when the list is full, a withdrawn validator's place is taken again, once nothing speaks of it", () => {
  const chain = createChain();
  const { state } = chain;
  const filler = (i: number): Uint8Array => new Uint8Array(48).fill(i % 256, 0, 4).fill(i >> 8, 4, 8);
  for (let i = state.validators.length; i < VALIDATORS_MAX; i++) {
    const it = {
      ...newValidator(filler(i), new Uint8Array(20), ZERO, Epoch(0)),
      status: ValidatorStatus.active,
    };
    state.validators.push(ValidatorType.toViewDU(it));
  }
  state.commit();
  assert.equal(chain.send(4, join(4)), "validator/limit");
  for (const [i, at] of [
    [7, 0],
    [9, undefined],
  ] as const) {
    const validator = ValidatorIndex(i);
    putValidator(state, validator, { ...getValidator(state, validator), status: ValidatorStatus.withdrawn });
    if (at === undefined) continue;
    const entry = { validator, epoch: Epoch(0), view: View(1), at: Epoch(at), weight: 1n, totalWeight: 4n };
    state.slashings.push(SlashingType.toViewDU(entry));
  }
  state.commit();
  assert.equal(chain.send(4, join(4)), undefined);
  assert.equal(toHex(chain.validator(9).blsKey), toHex(person(4).blsKey));
  assert.equal(chain.state.validators.length, VALIDATORS_MAX);
  assert.equal(findValidator(chain.state, person(7).blsKey), undefined);
});

describe("top-up", () => {
  test("more stake weighs two epochs later, in sets that are not fixed yet", () => {
    const chain = createChain({ stakes: Array.from({ length: 10 }, () => 1_000) });
    assert.equal(chain.send(0, topUp(0, zkp(500))), undefined);
    chain.toEpoch(2);
    const weights = SetType.toJson(chain.state.sets.get(2).toValue()) as { members: { weight: string }[] };
    assert.equal(weights.members[0]?.weight, String(zkp(1_500)));
    const before = chain.state.sets.get(1).members.getReadonly(0).weight;
    assert.equal(before, zkp(1_000));
    assertSupply(chain.state, chain.params);
  });

  test("nothing, too much, somebody else's and an unknown validator are refused", () => {
    const chain = createChain();
    assert.equal(chain.send(0, topUp(0, 0n)), "transaction/amount-zero");
    assert.equal(chain.send(0, topUp(0, zkp(10_000))), "transaction/balance-low");
    assert.equal(chain.send(1, topUp(0, 1n)), "transaction/sender-not-allowed");
    assert.equal(chain.send(1, topUp(9, 1n)), "validator/unknown");
  });
});

describe("exit and withdraw", () => {
  const five = [1_000, 1_000, 1_000, 1_000, 1_000];

  test("one that leaves keeps its seats in the sets that are fixed, unbonds, and is paid out whole", () => {
    const chain = createChain({ stakes: five });
    chain.toEpoch(1);
    const balance = accountOf(chain.state, 4)?.balance ?? 0n;
    assert.equal(chain.send(4, exit(4)), undefined);
    assert.equal(statusOf(chain, 4), ValidatorStatus.exiting);
    chain.toEpoch(2);
    assert.equal(statusOf(chain, 4), ValidatorStatus.unbonding);
    assert.ok(chain.seats(2).includes(4));
    assert.ok(!chain.seats(3).includes(4));
    assert.equal(chain.validator(4).unbondFrom, 3);
    // Unbonding takes three epochs from the first without a seat.
    chain.toEpoch(5);
    assert.equal(chain.send(4, withdraw(4)), "validator/too-early");
    chain.toEpoch(6);
    assert.equal(chain.send(4, withdraw(4)), undefined);
    assert.equal(statusOf(chain, 4), ValidatorStatus.withdrawn);
    const now = accountOf(chain.state, 4)?.balance ?? 0n;
    assert.equal(now - balance, zkp(1_000) - 2n * chain.params.feeMin);
    assert.equal(chain.send(4, withdraw(4)), "validator/status");
    assert.equal(chain.send(4, join(4)), "validator/key-used");
    assertSupply(chain.state, chain.params);
  });

  test("an exit can't be asked for twice, by a stranger, or taken back by a top-up", () => {
    const chain = createChain({ stakes: five });
    assert.equal(chain.send(3, exit(4)), "transaction/sender-not-allowed");
    assert.equal(chain.send(4, exit(4)), undefined);
    assert.equal(chain.send(4, exit(4)), "validator/status");
    assert.equal(chain.send(4, topUp(4, 1n)), "validator/status");
    assert.equal(chain.send(4, withdraw(4)), "validator/status");
    assert.equal(chain.send(4, unjail(4)), "validator/status");
  });

  test("one that never had a seat leaves without waiting for a turn", () => {
    const chain = createChain();
    chain.send(4, join(4));
    chain.send(4, exit(4));
    chain.toEpoch(1);
    assert.equal(statusOf(chain, 4), ValidatorStatus.unbonding);
    assert.equal(chain.validator(4).unbondFrom, 1);
  });

  test("of four validators none leaves; when others come, one goes an epoch, in the order of asking", () => {
    const chain = createChain();
    chain.block([
      [2, exit(2)],
      [1, exit(1)],
    ]);
    chain.toEpoch(3);
    assert.deepEqual(chain.seats(4), [0, 1, 2, 3]);
    chain.block([
      [4, join(4)],
      [5, join(5)],
      [6, join(6)],
    ]);
    chain.toEpoch(4);
    // Of equal weights of four one is a quarter.
    assert.deepEqual(chain.seats(5), [0, 2, 3, 4, 5, 6]);
    chain.toEpoch(5);
    assert.deepEqual(chain.seats(6), [0, 3, 4, 5, 6]);
    assert.deepEqual(chain.seats(4), [0, 1, 2, 3]);
  });

  test("four become seven become four", () => {
    const chain = createChain();
    chain.block([4, 5, 6].map((i) => [i, join(i)] as const));
    chain.toEpoch(2);
    assert.deepEqual(chain.seats(2), [0, 1, 2, 3, 4, 5, 6]);
    chain.block([0, 1, 2, 3].map((i) => [i, exit(i)] as const));
    chain.toEpoch(3);
    // A quarter of seven equal weights is one validator.
    assert.equal(chain.seats(4).length, 6);
    chain.toEpoch(8);
    assert.deepEqual(chain.seats(9), [3, 4, 5, 6]);
    assert.equal(statusOf(chain, 3), ValidatorStatus.exiting);
    assertSupply(chain.state, chain.params);
  });

  test("a heavy validator leaves alone, although it is more than a quarter", () => {
    const chain = createChain({ stakes: [3_000, 1_000, 1_000, 1_000, 1_000] });
    chain.block([
      [0, exit(0)],
      [1, exit(1)],
    ]);
    chain.toEpoch(1);
    assert.deepEqual(chain.seats(2), [1, 2, 3, 4]);
  });

  test("whoever waits longest is not overtaken by a lighter one", () => {
    const chain = createChain({ stakes: [500, 2_000, 500, 1_000, 1_000, 1_000, 1_000] });
    chain.block([[0, exit(0)]]);
    chain.toEpoch(1);
    chain.block([[1, exit(1)]]);
    chain.toEpoch(2);
    assert.ok(!chain.seats(3).includes(1));
    chain.block([[2, exit(2)]]);
    chain.toEpoch(3);
    assert.ok(!chain.seats(4).includes(2));
  });
});

describe("any history of exits", () => {
  test("takes at most a quarter of the weight, or one validator, from set to set, and leaves four", () => {
    const stakes = fc.array(fc.integer({ min: 100, max: 5_000 }), { minLength: 4, maxLength: 9 });
    const leavers = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 8 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(stakes, leavers, (amounts, asks) => {
        const chain = createChain({ stakes: amounts });
        for (let epoch = 0; epoch < 6; epoch++) {
          chain.block(asks.filter(([at]) => at === epoch).map(([, i]) => [i, exit(i)] as const));
          chain.toEpoch(epoch + 1);
          const before = chain.state.sets.get(epoch + 1).toValue().members;
          const after = new Set(chain.seats(epoch + 2));
          const gone = before.filter(({ validator }) => !after.has(validator));
          const weight = gone.reduce((sum, it) => sum + it.weight, 0n);
          const total = before.reduce((sum, it) => sum + it.weight, 0n);
          assert.ok(gone.length <= 1 || weight * 4n <= total);
          assert.ok(after.size >= 4);
        }
        assertSupply(chain.state, chain.params);
      }),
      { numRuns: 15 },
    );
  });
});

test("the set of e+1 depends on the state at the end of e−1 alone", () => {
  const quiet = createChain({ stakes: [1_000, 1_000, 1_000, 1_000, 1_000] });
  const busy = createChain({ stakes: [1_000, 1_000, 1_000, 1_000, 1_000] });
  for (const chain of [quiet, busy]) chain.toEpoch(1);
  busy.block([
    [5, join(5)],
    [4, exit(4)],
    [0, topUp(0, zkp(700))],
  ]);
  quiet.block();
  for (const chain of [quiet, busy]) chain.toEpoch(2);
  assert.deepEqual(
    SetType.hashTreeRoot(busy.state.sets.get(2).toValue()),
    SetType.hashTreeRoot(quiet.state.sets.get(2).toValue()),
  );
  assert.notDeepEqual(busy.seats(3), quiet.seats(3));
});

describe("jail", () => {
  const six = [1_000, 1_000, 1_000, 1_000, 1_000, 1_000];

  test("absence in three epochs running jails without a slash; unjailing waits, and seats two epochs later", () => {
    const chain = createChain({ stakes: six });
    chain.setAbsent([5]);
    chain.toEpoch(2);
    assert.ok(chain.seats(3).includes(5));
    chain.toEpoch(3);
    assert.equal(statusOf(chain, 5), ValidatorStatus.jailed);
    assert.ok(chain.seats(3).includes(5) && !chain.seats(4).includes(5));
    assert.equal(chain.state.supply.slashed, 0n);
    assert.equal(chain.validator(5).stake, zkp(1_000));
    assert.equal(chain.send(5, unjail(5)), "validator/too-early");
    chain.setAbsent([]);
    chain.toEpoch(5);
    assert.equal(chain.send(5, unjail(5)), undefined);
    chain.toEpoch(6);
    assert.ok(!chain.seats(6).includes(5) && chain.seats(7).includes(5));
  });

  test("a jailed validator may leave instead", () => {
    const chain = createChain({ stakes: six });
    chain.setAbsent([5]);
    chain.toEpoch(3);
    assert.equal(chain.send(5, exit(5)), undefined);
    assert.equal(statusOf(chain, 5), ValidatorStatus.unbonding);
    assert.equal(chain.validator(5).unbondFrom, 4);
    chain.toEpoch(7);
    assert.equal(chain.send(5, withdraw(5)), undefined);
  });

  test("one epoch of presence starts the count again", () => {
    const chain = createChain({ stakes: six });
    chain.setAbsent([5]);
    chain.toEpoch(2);
    chain.setAbsent([]);
    chain.toEpoch(3);
    chain.setAbsent([5]);
    chain.toEpoch(5);
    assert.equal(statusOf(chain, 5), ValidatorStatus.active);
  });

  test("of four absent ones out of six two are jailed over time, and four keep their seats", () => {
    const chain = createChain({ stakes: six });
    chain.setAbsent([2, 3, 4, 5]);
    chain.toEpoch(3);
    // A quarter of six equal weights is one validator.
    assert.equal(chain.seats(4).length, 5);
    chain.toEpoch(8);
    assert.equal(chain.seats(9).length, 4);
  });

  test("jailing never takes more than a quarter, not even a single heavy validator", () => {
    const chain = createChain({ stakes: [3_000, 1_000, 1_000, 1_000, 1_000] });
    chain.setAbsent([0]);
    chain.toEpoch(6);
    assert.ok(chain.seats(7).includes(0));
    assert.equal(statusOf(chain, 0), ValidatorStatus.active);
  });
});

test("whoever is absent, a jail keeps three quarters of the weight and four seats from set to set", () => {
  const stakes = fc.array(fc.integer({ min: 100, max: 5_000 }), { minLength: 4, maxLength: 9 });
  const absences = fc.array(fc.subarray([0, 1, 2, 3, 4, 5, 6, 7, 8]), { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(stakes, absences, (amounts, away) => {
      const chain = createChain({ stakes: amounts });
      for (const [epoch, absent] of away.entries()) {
        chain.setAbsent(absent);
        chain.toEpoch(epoch + 1);
        const before = chain.state.sets.get(epoch + 1).toValue().members;
        const after = new Set(chain.seats(epoch + 2));
        const sum = (members: typeof before): bigint => members.reduce((all, { weight }) => all + weight, 0n);
        assert.ok(sum(before.filter(({ validator }) => after.has(validator))) * 4n >= sum(before) * 3n);
        assert.ok(after.size >= 4);
      }
      assert.equal(chain.state.supply.slashed, 0n);
    }),
    { numRuns: 15 },
  );
});

test("where seats are scarce larger newcomers displace the smallest, a quarter of the weight at a time", () => {
  const { state, params } = createChain();
  const arrive = (count: number, stake: number): void => {
    for (let i = 0; i < count; i++) {
      const key = new Uint8Array(48).fill(state.validators.length, 0, 2);
      const it = newValidator(key, new Uint8Array(20), zkp(stake), Epoch(0));
      state.validators.push(ValidatorType.toViewDU(it));
    }
    state.commit();
  };
  const seated = (epoch: number): Set<number> =>
    new Set(
      state.sets
        .get(epoch)
        .members.getAllReadonlyValues()
        .map(({ validator }) => validator),
    );
  arrive(124, 1_000);
  seat(state, Epoch(2), params);
  assert.equal(seated(2).size, 128);
  arrive(200, 1_000);
  seat(state, Epoch(3), params);
  assert.deepEqual(seated(3), seated(2), "nobody makes room for an equal");
  arrive(200, 2_000);
  seat(state, Epoch(4), params);
  assert.equal(seated(4).size, 128);
  assert.equal([...seated(3)].filter((it) => seated(4).has(it)).length, 96);
  for (const epoch of [5, 6, 7, 8, 9, 10]) seat(state, Epoch(epoch), params);
  assert.ok([...seated(10)].every((it) => it >= 328));
});

describe("weights", () => {
  test("election weight is at most a quarter above the voting weight, and follows work per weight", () => {
    const weights = electionWeights([
      { weight: 100n, work: 10n },
      { weight: 200n, work: 10n },
      { weight: 100n, work: 0n },
    ]);
    assert.deepEqual(weights, [125n, 225n, 100n]);
    assert.deepEqual(electionWeights([{ weight: 7n, work: 0n }]), [7n]);
    assert.deepEqual(electionWeights([]), []);
    const member = fc.record({
      weight: fc.bigInt({ min: 1n, max: 2n ** 60n }),
      work: fc.bigInt({ min: 0n, max: 2n ** 60n }),
    });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 20 }), (members) => {
        for (const [i, election] of electionWeights(members).entries()) {
          const { weight = 0n } = members[i] ?? {};
          assert.ok(election >= weight && election * 4n <= weight * 5n);
        }
      }),
    );
  });

  test("coins minted for submissions that a validator carried give it more turns, for a window of epochs", () => {
    const chain = createChain({ params: { electionWindowEpochs: 2n } });
    const { state, params } = chain;
    const carry = (minted: [number, bigint][]): void => {
      recordWork(chain.state, new Map(minted), params);
      chain.state.commit();
    };
    carry([
      [0, 40n],
      [1, 10n],
    ]);
    const electionsOf = (epoch: number): bigint[] =>
      chain.state.sets
        .get(epoch)
        .members.getAllReadonlyValues()
        .map((it) => it.electionWeight);
    // What this epoch's settlement records is nothing, and takes this epoch's place in the window.
    assert.equal(state.validators.getReadonly(0).work.get(0), 40n);
    const place = 1;
    const it = getValidator(state, ValidatorIndex(2));
    putValidator(state, ValidatorIndex(2), { ...it, work: it.work.map((_, i) => (i === place ? 8n : 0n)) });
    state.commit();
    chain.toEpoch(1);
    assert.deepEqual(electionsOf(2), [zkp(1_000), zkp(1_000), zkp(1_250), zkp(1_000)]);
    chain.toEpoch(2);
    assert.deepEqual(
      electionsOf(3),
      [1, 2, 3, 4].map(() => zkp(1_000)),
    );
    for (const { weight } of chain.state.sets.get(2).members.getAllReadonlyValues())
      assert.equal(weight, zkp(1_000));
  });

  test("the cap is the largest that keeps to its own sum", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: 1n, max: 2n ** 62n }), { minLength: 1, maxLength: 60 }),
        (stakes) => {
          const n = BigInt(stakes.length);
          const [numerator, denominator] = n < 50n ? [2n, n] : [1n, 25n];
          const sumTo = (cap: bigint): bigint => stakes.reduce((sum, it) => sum + (it < cap ? it : cap), 0n);
          const cap = weightCap(stakes);
          assert.ok(cap * denominator <= numerator * sumTo(cap));
          const most = stakes.reduce((a, b) => (a > b ? a : b));
          assert.ok(cap === most || (cap + 1n) * denominator > numerator * sumTo(cap + 1n));
        },
      ),
    );
  });
});

test("parameters that let stake go before evidence ends are refused", () => {
  const refused = (error: unknown): boolean =>
    error instanceof FaultError && error.code === "genesis/invalid";
  assert.throws(() => resolveParams("dev", { unbondingEpochs: 2n, evidenceEpochs: 2n }), refused);
  assert.throws(
    () => resolveParams("dev", { rewardLockEpochs: 2n, evidenceEpochs: 3n, unbondingEpochs: 9n }),
    refused,
  );
  assert.throws(() => resolveParams("dev", { electionWindowEpochs: 17n }), refused);
  assert.ok(resolveParams("testnet").unbondingEpochs > resolveParams("testnet").evidenceEpochs);
});

test("the same history gives the same root, whoever builds it", () => {
  const roots = [0, 1].map(() => {
    const chain = createChain();
    chain.send(4, join(4));
    chain.toEpoch(2);
    return toHex(stateRoot(chain.state));
  });
  assert.equal(roots[0], roots[1]);
});
