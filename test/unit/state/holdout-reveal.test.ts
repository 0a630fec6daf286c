/** The sponsor's reveal: when, by whom, of what, and what it writes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FaultCode } from "../../../consensus/primitives/faults.ts";
import { merkleBranch, merkleLevels, merkleRoot } from "../../../consensus/primitives/merkle.ts";
import { Epoch } from "../../../consensus/primitives/units.ts";
import { fork, type State } from "../../../consensus/state/state.ts";
import { sliceLeaf } from "../../../consensus/types/holdout.ts";
import { HOLDOUT_DEPTH, type HoldoutSlice, type Operation } from "../../../consensus/types/transaction.ts";
import {
  CLOSE,
  createChain,
  EPOCH,
  genesisLink,
  nextBlock,
  revealOf,
  sign,
  toPlace,
} from "../../helpers/chain.ts";
import { afterOperations, assertRefused } from "../../helpers/refusals.ts";

const chain = createChain();
const { sponsor } = chain;
const before = toPlace(chain, genesisLink(chain), CLOSE - 1);
const closed = nextBlock(chain, before).state;
const refuses = (state: State, operation: Operation, code: FaultCode, place = CLOSE + 1): void =>
  assertRefused(chain, state, sign(chain, sponsor, 0, operation), code, place);

describe("holdout-reveal", () => {
  test("opens the rows, and from then on no younger root is drawn", () => {
    const after = afterOperations(chain, closed, sponsor, [revealOf(chain, closed)], CLOSE + 1);
    const round = after.rounds.getReadonly(0);
    const [first, second] = round.drawnSlices.getAll();
    const rows = [first, second].map((index) => chain.slices[index ?? 0]);
    assert.deepEqual(round.labels, Uint8Array.from(rows.flatMap((it) => [...(it?.labels ?? [])])));
    assert.deepEqual(round.features, Uint8Array.from(rows.flatMap((it) => [...(it?.features ?? [])])));
    assert.equal(after.tasks.getReadonly(0).revealedFrom, after.height);
    refusesAgain(after);
  });

  const refusesAgain = (state: State): void => {
    const again = sign(chain, sponsor, 1, revealOf(chain, state));
    assertRefused(chain, state, again, "task/reveal-done", CLOSE + 1);
  };

  test("comes after the close and before the last block", () => {
    const operation = revealOf(chain, closed);
    refuses(closed, operation, "task/reveal-window", CLOSE);
    refuses(closed, operation, "task/reveal-window", EPOCH);
    afterOperations(chain, closed, sponsor, [operation], CLOSE + 1);
    afterOperations(chain, closed, sponsor, [operation], EPOCH - 1);
  });

  test("names the present epoch and a task that there is", () => {
    const { value } = revealOf(chain, closed) as Extract<Operation, { selector: 4 }>;
    refuses(closed, { selector: 4, value: { ...value, epoch: Epoch(1) } }, "task/reveal-window");
    refuses(closed, { selector: 4, value: { ...value, task: new Uint8Array(32) } }, "task/unknown");
  });

  test("is the sponsor's alone", () => {
    const [alice] = chain.accounts;
    assert.ok(alice !== undefined);
    const transaction = sign(chain, alice, 0, revealOf(chain, closed));
    assertRefused(chain, closed, transaction, "transaction/sender-not-allowed", CLOSE + 1);
  });

  test("opens exactly the drawn slices in the order of the draw", () => {
    const change = (of: (slices: HoldoutSlice[]) => HoldoutSlice[]): void =>
      refuses(closed, revealOf(chain, closed, 0, of), "task/reveal-wrong-slices");
    change(() => []);
    change((slices) => slices.slice(1));
    change((slices) => [...slices, ...slices.slice(0, 1)]);
    change((slices) => slices.toReversed());
    change((slices) => slices.slice(0, 1).concat(slices.slice(0, 1)));
    const undrawn = chain.slices.filter(({ index }) => !drawnOf(closed).includes(index));
    change((slices) => [...slices.slice(0, 1), ...undrawn.slice(0, 1)]);
  });

  const drawnOf = (state: State): number[] => state.rounds.getReadonly(0).drawnSlices.getAll();

  test("before anything is drawn opens nothing", () => {
    refuses(before.state, revealOf(chain, before.state), "task/reveal-wrong-slices");
  });

  test("is held to the committed rows, salts and branches", () => {
    const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    const changes: ((slice: HoldoutSlice) => HoldoutSlice)[] = [
      (slice) => ({ ...slice, salt: flip(slice.salt) }),
      (slice) => ({ ...slice, features: flip(slice.features) }),
      (slice) => ({ ...slice, labels: flip(slice.labels) }),
      (slice) => ({ ...slice, branch: slice.branch.map(flip) }),
      (slice) => ({ ...slice, branch: slice.branch.slice(1) }),
      (slice) => ({ ...slice, branch: [] }),
    ];
    for (const change of changes) {
      refuses(
        closed,
        revealOf(chain, closed, 0, (slices) => slices.map(change)),
        "task/reveal-branch",
      );
    }
  });

  test("of committed rows that are out of range or too short is refused", () => {
    const perverse: ((slice: HoldoutSlice) => HoldoutSlice)[] = [
      (slice) => ({ ...slice, labels: slice.labels.map(() => 2) }),
      (slice) => ({ ...slice, features: slice.features.map((_, i) => (i % 2 === 0 ? 0 : 0x08)) }),
      (slice) => ({ ...slice, features: slice.features.map((_, i) => (i % 2 === 0 ? 0xff : 0xf7)) }),
      (slice) => ({ ...slice, features: slice.features.slice(2) }),
      (slice) => ({ ...slice, features: new Uint8Array(0) }),
      (slice) => ({ ...slice, features: slice.features.slice(1) }),
    ];
    for (const change of perverse) {
      const slices = chain.slices.map(change);
      const levels = merkleLevels(slices.map(sliceLeaf), HOLDOUT_DEPTH);
      const state = fork(closed);
      state.tasks.get(0).holdoutRoot = merkleRoot(levels);
      state.commit();
      const open = revealOf(chain, state, 0, (drawn) =>
        drawn.map(({ index }) => {
          const slice = slices[index];
          assert.ok(slice !== undefined);
          return { ...slice, branch: merkleBranch(levels, index) };
        }),
      );
      refuses(state, open, "task/rows-invalid");
    }
  });
});
