/**
 * A validator that signs twice is caught by the others alone: five real nodes, one of them a node that
 * lies once (equivocator/main.ts). Nobody submits evidence; the honest nodes hear two votes and say so.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { zkp } from "../../consensus/primitives/units.ts";
import type { Offence } from "../../consensus/types/evidence.ts";
import { loadKey } from "../../node/keys.ts";
import { waitFor } from "../../pod/wait.ts";
import type { ResultOf } from "../../rpc/methods.ts";
import { createLocalChain } from "../helpers/local-chain.ts";

const LIAR = fileURLToPath(new URL("./equivocator/main.ts", import.meta.url));
const VALIDATORS = 5;
const GUILTY = 4;
const EPOCH = 12;

type Told = { readonly offence: string; readonly epoch: number; readonly view: number };

function sumsUp({ supply }: ResultOf<"chain_status">): void {
  const { genesis, minted, circulating, staked, bonded, escrowed, locked, treasury, burned } = supply;
  const places = [circulating, staked, bonded, escrowed, locked, treasury, burned].map(BigInt);
  assert.equal(
    places.reduce((sum, it) => sum + it, 0n),
    BigInt(genesis) + BigInt(minted),
  );
}

const CASES: readonly { readonly offence: Offence; readonly to: "all" | "one" }[] = [
  { offence: "conflicting-notarize", to: "all" },
  { offence: "nullify-finalize", to: "all" },
  // One peer alone hears both, so the evidence has to travel.
  { offence: "conflicting-finalize", to: "one" },
];

for (const { offence, to } of CASES) {
  test(`${offence}, heard by ${to}: whoever signs it is slashed within two epochs, and nobody else`, {
    timeout: 180_000,
  }, async (t) => {
    const chain = await createLocalChain({
      chainId: `dev-${offence}`.slice(0, 30),
      validators: VALIDATORS,
      params: { blockIntervalMs: "150", epochHeights: String(EPOCH) },
    });
    t.after(() => chain.stop());
    const { promise: lied, resolve } = Promise.withResolvers<Told>();
    for (let i = 0; i < GUILTY; i++) chain.start(i);
    chain.start(GUILTY, {
      entry: LIAR,
      args: ["--offence", offence, "--to", to],
      onLine(line) {
        const said = JSON.parse(line) as { readonly equivocated?: Told };
        if (said.equivocated !== undefined) resolve(said.equivocated);
      },
    });
    await chain.finalAt(1);
    const { epoch } = await lied;

    const slashed = await waitFor(
      "the slashing",
      async () => {
        const list = await chain.client().call("validator_list", {});
        return list.validators.some(({ slashes }) => slashes > 0) ? list : undefined;
      },
      { timeoutMs: 60_000, everyMs: 50 },
    );
    assert.ok(Number(slashed.epoch) <= epoch + 2, `signed in epoch ${epoch}, slashed in ${slashed.epoch}`);
    const { publicKey } = await loadKey(join(chain.dirOf(GUILTY), "bls.json"), "bls");
    for (const { blsKey, slashes, slashed: burned, status } of slashed.validators) {
      const isGuilty = blsKey === toHex(publicKey);
      assert.equal(slashes, isGuilty ? 1 : 0);
      assert.equal(burned, isGuilty ? String(zkp(50)) : "0");
      assert.equal(status === "active", !isGuilty);
    }

    // The chain goes on without the culprit, at every node alike.
    const { finalizedHeight } = await chain.client().call("chain_status", {});
    const later = Number(finalizedHeight) + 3 * EPOCH;
    for (let i = 0; i < VALIDATORS; i++) await chain.finalAt(later, i);
    const { hash } = await chain.client().call("chain_block", { height: String(later) });
    for (let i = 0; i < VALIDATORS; i++) {
      const client = chain.client(i);
      assert.equal((await client.call("chain_block", { height: String(later) })).hash, hash);
      const { signer, queues } = await client.call("node_status", {});
      assert.equal(signer.state, i === GUILTY ? "no seat" : "signing");
      assert.equal(queues.evidence, 0, "it went into a block");
    }
    const status = await chain.client().call("chain_status", {});
    sumsUp(status);
    assert.equal(status.supply.slashed, String(zkp(50)), "once");

    // An honest node found it, and none ever named anybody but the culprit.
    const found: string[] = [];
    for (let i = 0; i < GUILTY; i++) {
      const log = await readFile(join(chain.dirOf(i), "node.log"), "utf8");
      found.push(...log.split("\n").filter((line) => line.includes("evidence of equivocation")));
    }
    assert.ok(found.length >= 1);
    for (const line of found) {
      const { validators } = JSON.parse(line) as { readonly validators: readonly number[] };
      assert.deepEqual(validators, [GUILTY]);
    }
    assert.deepEqual(chain.crashes, []);
  });
}
