/**
 * Validators come and go on a running chain of real processes, by the command line alone: four become
 * seven become four; one that signs twice is slashed; a light client follows from the genesis root.
 * No pods and no tasks, so no circuits either.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fromHex, toHex } from "../../consensus/primitives/bytes.ts";
import { Epoch, View, zkp } from "../../consensus/primitives/units.ts";
import { parseAddress } from "../../consensus/types/address.ts";
import { encodeEvidence } from "../../consensus/types/evidence.ts";
import { type Subject, signingRoot, VoteKind } from "../../consensus/types/vote.ts";
import type { Child } from "../../devnet/child.ts";
import { parseGenesis } from "../../genesis/document.ts";
import { chainTag, genesisState } from "../../genesis/state.ts";
import { blsSecretKey, loadKey } from "../../node/keys.ts";
import type { Client } from "../../pod/client.ts";
import { createLightClient } from "../../pod/light.ts";
import { waitFor } from "../../pod/wait.ts";
import type { ResultOf } from "../../rpc/methods.ts";
import { createLocalChain, type LocalChain } from "../helpers/local-chain.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const CHAIN_ID = "dev-validators";
const run = promisify(execFile);

let chain: LocalChain;
let client: Client;
let second: Child;
let rpcUrl = "";

async function cli(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [CLI, "--rpc", rpcUrl, "--json", ...args]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const list = (): Promise<ResultOf<"validator_list">> => client.call("validator_list", {});
/** The first list that `ready` accepts. */
const listWhen = (what: string, ready: (it: ResultOf<"validator_list">) => boolean) =>
  waitFor(
    what,
    async () => {
      const found = await list();
      return ready(found) ? found : undefined;
    },
    { timeoutMs: 120_000, everyMs: 200 },
  );
const seats = ({ validators }: ResultOf<"validator_list">): number[] =>
  validators.filter(({ weight }) => weight !== "0").map(({ validator }) => validator);

before(async () => {
  chain = await createLocalChain({
    chainId: CHAIN_ID,
    validators: 4,
    params: {
      blockIntervalMs: "150",
      epochHeights: "12",
      proposalTimeoutMs: "1000",
      notarizationTimeoutMs: "2000",
    },
  });
  rpcUrl = chain.rpcOf(0);
  client = chain.client(0);
  const children = [0, 1, 2, 3].map((i) => chain.start(i));
  assert.ok(children[1] !== undefined);
  second = children[1];
  await chain.finalAt(1);
});

after(() => chain?.stop());

test("four validators become seven by the command line", { timeout: 240_000 }, async () => {
  for (const i of [4, 5, 6]) {
    await cli("node", "init", "--dir", chain.dirOf(i), "--like", chain.dirOf(i === 4 ? 0 : i - 1));
    chain.start(i);
    const joined = await cli("validator", "join", "--dir", chain.dirOf(i), "--stake", "1000");
    assert.equal(joined.status, "active");
  }
  const seven = await listWhen("seven seats", (it) => seats(it).length === 7);
  const { epoch } = seven;
  // Five of seven are a quorum: four alone would not get through an epoch.
  await listWhen("an epoch of seven", (it) => Number(it.epoch) > Number(epoch) && seats(it).length === 7);
  const status = await client.call("chain_status", {});
  assert.equal(status.validatorsOnline, 7);
});

test("a node that is killed and started again finds the sets it had", { timeout: 120_000 }, async () => {
  await second.kill();
  const { finalizedHeight } = await client.call("chain_status", {});
  second.start();
  await chain.finalAt(Number(finalizedHeight) + 13, 1, 90_000);
  const again = await chain.client(1).call("chain_status", {});
  assert.equal(again.validators, 7);
});

test("a validator that signs twice is slashed within two epochs, once", { timeout: 120_000 }, async () => {
  const bls = await loadKey(join(chain.dirOf(6), "bls.json"), "bls");
  const { validators, epoch } = await list();
  const position = validators
    .filter(({ weight }) => weight !== "0")
    .findIndex((it) => it.blsKey === toHex(bls.publicKey));
  const voteFor = (fill: number) => {
    const subject: Subject = {
      kind: VoteKind.notarize,
      epoch: Epoch(Number(epoch)),
      view: View(1),
      parentView: View(0),
      blockHash: new Uint8Array(32).fill(fill),
    };
    const signature = blsSecretKey(bls.seed)
      .sign(signingRoot(chainTag(CHAIN_ID), subject))
      .toBytes();
    return { subject, signer: position, signature };
  };
  const evidence = encodeEvidence({ selector: 0, value: { first: voteFor(1), second: voteFor(2) } });
  const forged = encodeEvidence({
    selector: 0,
    value: { first: voteFor(1), second: { ...voteFor(2), signature: voteFor(3).signature } },
  });
  await assert.rejects(client.call("evidence_submit", { evidence: toHex(forged) }), /does not verify/);
  await client.call("evidence_submit", { evidence: toHex(evidence) });
  const slashed = await listWhen("the slashing", (it) => it.validators.some(({ slashes }) => slashes > 0));
  const culprit = slashed.validators.find(({ blsKey }) => blsKey === toHex(bls.publicKey));
  assert.equal(culprit?.slashed, String(zkp(50)));
  assert.equal(culprit?.status === "exiting" || culprit?.status === "unbonding", true);
  assert.ok(Number(slashed.epoch) <= Number(epoch) + 2);
  const { supply } = await client.call("chain_status", {});
  assert.equal(supply.slashed, String(zkp(50)));
  await assert.rejects(
    client.call("evidence_submit", { evidence: toHex(evidence) }),
    /slashed for this view/,
  );
});

test("and four again, one an epoch; whoever left takes the stake back", { timeout: 240_000 }, async () => {
  for (const i of [4, 5]) await cli("validator", "exit", "--dir", chain.dirOf(i));
  await assert.rejects(cli("validator", "exit", "--dir", chain.dirOf(4)), /validator\/status/);
  const four = await listWhen("four seats", (it) => seats(it).length === 4);
  assert.deepEqual(seats(four), [0, 1, 2, 3]);
  const { blsKey } = four.validators.find(({ validator }) => validator === 4) ?? { blsKey: "" };
  await waitFor(
    "the end of unbonding",
    async () => {
      const { withdrawableEpoch, status } = await client.call("validator_get", { blsKey });
      const { epoch } = await list();
      return status === "unbonding" && Number(epoch) >= Number(withdrawableEpoch) ? true : undefined;
    },
    { timeoutMs: 120_000 },
  );
  const withdrawn = await cli("validator", "withdraw", "--dir", chain.dirOf(4));
  assert.equal(withdrawn.status, "withdrawn");
  assert.equal(withdrawn.stake, "0");
  assert.deepEqual(chain.crashes, []);
});

test("a light client follows every set from the genesis root, and proves an account", {
  timeout: 60_000,
}, async () => {
  const document = parseGenesis(await readFile(join(chain.dir, "genesis.json"), "utf8"));
  const light = createLightClient({ client, chainId: CHAIN_ID, genesisRoot: genesisState(document).root });
  const { epoch } = await list();
  const [account] = document.accounts;
  assert.ok(account !== undefined);
  const proven = await light.account(parseAddress(account.address));
  // The last block of an epoch is final while the state is in the next one already.
  assert.ok(proven.header.epoch + 1 >= Number(epoch));
  assert.ok((proven.account?.balance ?? 0n) < BigInt(account.balance));
  assert.equal(light.set().members.length, 4);
  const wrong = createLightClient({
    client,
    chainId: CHAIN_ID,
    genesisRoot: fromHex(`0x${"11".repeat(32)}`),
  });
  await assert.rejects(wrong.account(parseAddress(account.address)), /not shown to be in the chain/);
});
