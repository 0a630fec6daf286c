/** Genesis: one state from one document, and a document that is wrong is refused by the field. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { zkp } from "../../../consensus/primitives/units.ts";
import { stateRoot } from "../../../consensus/state/state.ts";
import { fieldToBytes } from "../../../consensus/types/submission.ts";
import { FIELD_ORDER } from "../../../consensus/work/gradient.ts";
import { type GenesisDocument, parseGenesis } from "../../../genesis/document.ts";
import { genesisState } from "../../../genesis/state.ts";
import { devKey } from "../../../node/keys.ts";
import { addressText, assertConserved, createChain, documentOf, fieldBytes } from "../../helpers/chain.ts";

const document = documentOf({ tasks: 2 });
type Change = (draft: GenesisDocument) => void;

function changed(change: Change): GenesisDocument {
  const draft = structuredClone(document);
  change(draft);
  return draft;
}

/** Refused as JSON text, by the schema or by the state's rules: with this field's name. */
function assertRefused(field: string, change: Change): void {
  const text = JSON.stringify(changed(change));
  assert.throws(
    () => genesisState(parseGenesis(text)),
    (error) => {
      assert.ok(error instanceof FaultError, `${field}: a fault and not ${String(error)}`);
      assert.equal(error.code, "genesis/invalid");
      assert.equal(error.fault.data?.field, field);
      return true;
    },
  );
}
const first = <T>(list: readonly T[]): T => {
  const [it] = list;
  assert.ok(it !== undefined);
  return it;
};
const huge = String(2n ** 64n);

describe("the first state", () => {
  test("is the same for the same document, also as text", () => {
    const one = genesisState(document);
    const two = genesisState(parseGenesis(JSON.stringify(document)));
    assert.deepEqual(one.root, two.root);
    assert.deepEqual(stateRoot(one.state), one.root);
  });

  test("accounts for every coin", () => {
    const { state } = genesisState(documentOf());
    assertConserved(state);
    assert.equal(state.supply.genesis, zkp(3 * 1_000 + 4 * 1_000 + 3 * 10));
    assert.equal(state.supply.staked, zkp(4_000));
    assert.equal(state.supply.bonded, zkp(30));
  });

  test("differs for any other chain, time, stake or task", () => {
    const roots = [
      document,
      changed((it) => {
        it.timeMs = "1700000000001";
      }),
      changed((it) => {
        first(it.validators).stake = String(zkp(1_001));
      }),
      changed((it) => {
        first(it.tasks).normBound = "5";
      }),
      changed((it) => {
        first(it.accounts).balance = "1";
      }),
    ].map((it) => toHex(genesisState(it).root));
    assert.equal(new Set(roots).size, roots.length);
  });
});

describe("a document is refused for", () => {
  test("what is no JSON, or has an unknown or missing field", () => {
    assert.throws(() => parseGenesis("{"), FaultError);
    assert.throws(() => parseGenesis("[]"), FaultError);
    assert.throws(() => parseGenesis(JSON.stringify({ ...document, extra: 1 })), FaultError);
    assertRefused("preset", (it) => {
      Object.assign(it, { preset: "main" });
    });
  });

  test("a development preset without a development name", () => {
    assertRefused("chainId", (it) => {
      it.chainId = "mainnet";
    });
  });

  test("parameters that there are not, or that are not safe", () => {
    assertRefused("params.speed", (it) => {
      it.params = { speed: "1" };
    });
    assertRefused("params.toString", (it) => {
      it.params = { toString: "1" };
    });
    assertRefused("params.slicesPerRound", (it) => {
      it.params = { slicesPerRound: "65" };
    });
  });

  test("numbers that don't fit their place", () => {
    assertRefused("accounts.0.balance", (it) => {
      first(it.accounts).balance = huge;
    });
    assertRefused("accounts.1.balance", (it) => {
      for (const account of it.accounts) account.balance = String(zkp(99_000_000));
    });
    assertRefused("validators.0.stake", (it) => {
      first(it.validators).stake = huge;
    });
    assertRefused("validators.1.stake", (it) => {
      for (const validator of it.validators) validator.stake = String(zkp(99_000_000));
    });
    assertRefused("accounts", (it) => {
      first(it.accounts).balance = String(zkp(50_000_000));
      first(it.validators).stake = String(zkp(50_000_000));
    });
    assertRefused("pods.0.bond", (it) => {
      first(it.pods).bond = huge;
    });
    assertRefused("tasks.0.lastRound", (it) => {
      first(it.tasks).lastRound = String(2n ** 53n);
    });
    assertRefused("timeMs", (it) => {
      it.timeMs = String(2n ** 53n);
    });
  });

  test("validators that share a key, did not show possession or stake too little", () => {
    assertRefused("validators.1.blsKey", (it) => {
      Object.assign(it.validators[1] ?? {}, { blsKey: first(it.validators).blsKey });
    });
    assertRefused("validators.0.possession", (it) => {
      first(it.validators).possession = it.validators[1]?.possession ?? "";
    });
    assertRefused("validators.0.possession", (it) => {
      it.chainId = "dev-other";
    });
    assertRefused("validators.0.stake", (it) => {
      first(it.validators).stake = "1";
    });
  });

  test("accounts, pods or roots listed twice", () => {
    assertRefused("accounts.3.address", (it) => {
      it.accounts.push({ address: addressText(devKey("account", "alice")), balance: "1" });
    });
    assertRefused("pods.1.podId", (it) => {
      Object.assign(it.pods[1] ?? {}, { podId: first(it.pods).podId });
    });
    assertRefused("pods.1.datasets.0.dataRoot", (it) => {
      const [set] = it.pods[1]?.datasets ?? [];
      assert.ok(set !== undefined);
      set.dataRoot = first(first(it.pods).datasets).dataRoot;
    });
  });

  test("ids that circuits cannot have as inputs", () => {
    const outside = toHex(fieldToBytes(FIELD_ORDER));
    assertRefused("pods.0.podId", (it) => {
      first(it.pods).podId = outside;
    });
    assertRefused("pods.0.datasets.0.dataRoot", (it) => {
      first(first(it.pods).datasets).dataRoot = outside;
    });
  });

  test("tasks of unknown shapes, wrong columns, unusable rates or too few slices", () => {
    assertRefused("tasks.0.shape", (it) => {
      first(it.tasks).shape = "gradient-32x10";
    });
    assertRefused("tasks.0.mean", (it) => {
      first(it.tasks).mean = [0];
    });
    assertRefused("tasks.0.rate.numerator", (it) => {
      first(it.tasks).rate.numerator = 2 ** 16 + 1;
    });
    assertRefused("tasks.0.rate.shift", (it) => {
      first(it.tasks).rate.shift = 33;
    });
    assertRefused("tasks.0.normBound", (it) => {
      first(it.tasks).normBound = "0";
    });
    assertRefused("tasks.0.holdoutSlices", (it) => {
      first(it.tasks).holdoutSlices = 1;
    });
    assertRefused("tasks.0.lastRound", (it) => {
      Object.assign(first(it.tasks), { firstRound: "3", lastRound: "2" });
    });
    assertRefused("tasks.0.name", (it) => {
      first(it.tasks).name = "病院";
    });
  });

  test("enrollments of others' roots, other scales, or more slots than the bond has units in all tasks", () => {
    const enrolled = (it: GenesisDocument, task = 0) => first(it.tasks[task]?.enrolled ?? []);
    assertRefused("tasks.0.enrolled.0.podId", (it) => {
      enrolled(it).podId = toHex(fieldBytes("?"));
    });
    assertRefused("tasks.0.enrolled.1.podId", (it) => {
      Object.assign(first(it.tasks).enrolled[1] ?? {}, enrolled(it));
    });
    assertRefused("tasks.0.enrolled.0.dataRoot", (it) => {
      enrolled(it).dataRoot = toHex(fieldBytes("data/b"));
    });
    assertRefused("tasks.0.enrolled.0.dataRoot", (it) => {
      first(it.tasks).mean = [1, 0];
    });
    assertRefused("tasks.0.enrolled.0.slots", (it) => {
      enrolled(it).slots = 3;
    });
    assertRefused("tasks.1.enrolled.0.slots", (it) => {
      enrolled(it, 1).slots = 2;
    });
  });

  test("a shape that no catalogue has", () => {
    assert.throws(
      () =>
        genesisState(
          changed((it) => {
            first(it.tasks).shape = "gradient-1x1";
          }),
        ),
      FaultError,
    );
  });
});

test("the chain of the tests is a development chain", () => {
  assert.equal(createChain().document.chainId.startsWith("dev-"), true);
});
