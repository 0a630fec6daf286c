/**
 * Transfers through the transition: applied one by one, then hashed, as a block's are; signatures apart, whose
 * price stands beside it. At 100,000 accounts, and how that grows to 1,000,000.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Amount, zkp } from "../../consensus/primitives/units.ts";
import { applyTransaction } from "../../consensus/state/apply-transaction.ts";
import { transactionCheck } from "../../consensus/state/checks.ts";
import { putAccount } from "../../consensus/state/maps.ts";
import { fork, type State, stateRoot } from "../../consensus/state/state.ts";
import type { Transaction } from "../../consensus/types/transaction.ts";
import { verifyEd25519 } from "../../node/keys.ts";
import { createChain, sign, transferOf } from "../helpers/chain.ts";
import { contextAt } from "../helpers/refusals.ts";
import { type Figure, median, timed } from "./figure.ts";

const TRANSFERS = 2_000;
const ROUNDS = 9;
const WARM_ROUNDS = 3;
const SIZES = [100_000, 1_000_000] as const;

const addressAt = (index: number): Uint8Array =>
  new Uint8Array(createHash("sha256").update(`account ${index}`).digest().subarray(0, 20));

type World = { readonly size: number; readonly state: State; readonly transfers: readonly Transaction[] };

export async function* bench(): AsyncGenerator<Figure> {
  const chain = createChain();
  const [sender] = chain.accounts;
  assert.ok(sender !== undefined);
  const context = contextAt(chain, 1);
  const worlds: World[] = [];
  let filled = 0;
  let state = chain.genesis.state;
  for (const size of SIZES) {
    state = fork(state);
    for (; filled < size; filled++) {
      putAccount(state, { address: addressAt(filled), nonce: 0, balance: zkp(1), locked: Amount(0n) });
    }
    stateRoot(state);
    // Receivers all over the map, so that nearly every transfer touches a bucket of its own.
    const transfers = Array.from({ length: TRANSFERS }, (_, i) =>
      sign(chain, sender, i, transferOf(addressAt(Math.floor((i * size) / TRANSFERS)), 5n)),
    );
    worlds.push({ size, state, transfers });
  }

  const applying = worlds.map((): number[] => []);
  const hashing = worlds.map((): number[] => []);
  const checking: number[] = [];
  // The sizes take turns; the first rounds, in which the code is still being compiled, do not count.
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const [i, world] of worlds.entries()) {
      const after = fork(world.state);
      const applied = await timed(() => {
        for (const it of world.transfers) assert.equal(applyTransaction(after, it, context), undefined);
      });
      const hashed = await timed(() => stateRoot(after));
      if (round < 0) continue;
      applying[i]?.push(applied);
      hashing[i]?.push(hashed);
    }
    checking.push(
      await timed(() => {
        for (const it of worlds[0]?.transfers ?? []) {
          const { publicKey, message, signature } = transactionCheck(chain.chain, it);
          assert.ok(verifyEd25519(publicKey, message, signature));
        }
      }),
    );
  }

  const totals = worlds.map((_, i) => median(applying[i] ?? []) + median(hashing[i] ?? []));
  for (const [i, { size }] of worlds.entries()) {
    const total = totals[i] ?? 0;
    yield {
      name: `transition: ${size.toLocaleString("en")} accounts, root included`,
      value: (1000 * TRANSFERS) / total,
      unit: "transfers/s",
      ratio: median(checking) / total,
      against: "checking their signatures alone with node:crypto",
    };
    yield {
      name: `transition: of which applying ${TRANSFERS}`,
      value: median(applying[i] ?? []),
      unit: "ms",
    };
    yield { name: "transition: of which the root", value: median(hashing[i] ?? []), unit: "ms" };
  }
  const [few = 0, many = 0] = totals;
  yield { name: "transition: growth to 1,000,000 accounts", value: many / few, unit: "× the time" };
}
