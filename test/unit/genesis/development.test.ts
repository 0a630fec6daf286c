/** Development keys and set-ups stay on development chains, and the lists of them are what is really made. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCircuits } from "../../../circuits/build/build.ts";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { formatAddress } from "../../../consensus/types/address.ts";
import { addressOf } from "../../../consensus/types/transaction.ts";
import { DEV_ACCOUNTS } from "../../../devnet/options.ts";
import { DEVELOPMENT_ACCOUNTS, DEVELOPMENT_KEYS } from "../../../genesis/development.ts";
import { GenesisDocument } from "../../../genesis/document.ts";
import { genesisState } from "../../../genesis/state.ts";
import { devKey } from "../../../node/keys.ts";

const document = (more: object): GenesisDocument =>
  GenesisDocument.parse({
    chainId: "main-1",
    preset: "testnet",
    timeMs: "1000",
    accounts: [],
    validators: [
      {
        name: "v",
        publicKey: `0x${"01".repeat(32)}`,
        blsKey: `0x${"02".repeat(48)}`,
        possession: `0x${"03".repeat(96)}`,
        stake: "0",
      },
    ],
    circuits: [],
    pods: [],
    tasks: [],
    ...more,
  });
const refuses = (more: object, field: string): void => {
  assert.throws(
    () => genesisState(document(more)),
    (error) =>
      error instanceof FaultError && error.code === "genesis/invalid" && error.fault.data?.field === field,
  );
};

test("the development set-up makes exactly the keys that other chains refuse", {
  timeout: 120_000,
}, async () => {
  const built = await buildCircuits({});
  const made = Object.fromEntries([...built].map(([shape, { vkHash }]) => [shape, `0x${vkHash}`]));
  assert.deepEqual(made, DEVELOPMENT_KEYS);
});

test("the public accounts of devnets are exactly those that other chains refuse", () => {
  const made = Array.from({ length: DEV_ACCOUNTS }, (_, i) =>
    formatAddress(addressOf(devKey("account", `account-${i}`).publicKey)),
  );
  assert.deepEqual(made, DEVELOPMENT_ACCOUNTS);
});

test("a chain whose id does not begin with dev- refuses the preset, the set-ups and the accounts", () => {
  const [shape, vkHash] = Object.entries(DEVELOPMENT_KEYS)[0] ?? [];
  const verificationKey = { protocol: "groth16", curve: "bn128", nPublic: 1 };
  refuses({ preset: "dev" }, "chainId");
  refuses({ circuits: [{ shape, vkHash, verificationKey }] }, "circuits.0.vkHash");
  refuses({ accounts: [{ address: DEVELOPMENT_ACCOUNTS[0], balance: "1" }] }, "accounts.0.address");
});
