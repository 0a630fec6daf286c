/** Evidence against pods: a false proof under exactly the rebuilt inputs, judged by every node. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseVerificationKey } from "../../../circuits/verification-key.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { Epoch } from "../../../consensus/primitives/units.ts";
import { collectChecks } from "../../../consensus/state/checks.ts";
import { getPod } from "../../../consensus/state/maps.ts";
import { checkHeader, contextOf } from "../../../consensus/state/transition.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { type Operation, SELECTOR } from "../../../consensus/types/transaction.ts";
import { createVerification } from "../../../node/verification.ts";
import {
  assertConserved,
  createChain,
  genesisLink,
  type Link,
  nextBlock,
  nonceOf,
  playEpoch,
  sign,
  submissionOf,
} from "../../helpers/chain.ts";

const evidence = (submission: Submission): Operation => ({
  selector: SELECTOR.podEvidence,
  value: { submission },
});

const chain = createChain();
const genesis = genesisLink(chain);
const [alice] = chain.accounts;
assert.ok(alice !== undefined);

const accuse = (at: Link, ...submissions: Submission[]): Link =>
  nextBlock(chain, at, {
    transactions: submissions.map((it, i) => sign(chain, alice, nonceOf(at.state, alice) + i, evidence(it))),
  });
const taken = (link: Link): number => link.receipt?.transactions.length ?? -1;
const podOf = (link: Link, { podId }: Submission) => {
  const pod = getPod(link.state, podId);
  assert.ok(pod !== undefined);
  return pod;
};

describe("evidence against a pod", () => {
  const lie = submissionOf(chain, genesis.state, 0, 0);

  test("burns a tenth of its bond, once per pod and epoch", () => {
    const before = podOf(genesis, lie);
    const at = accuse(genesis, lie);
    assert.equal(taken(at), 1);
    const after = podOf(at, lie);
    assert.equal(before.bond - after.bond, before.bond / 10n);
    assert.equal(after.slashes, 1);
    assertConserved(at.state);
    const again = submissionOf(chain, genesis.state, 0, 0, { proof: new Uint8Array(128).fill(99) });
    assert.equal(taken(accuse(at, lie)), 0);
    assert.equal(taken(accuse(at, again)), 0, "another false proof of the same epoch");
  });

  test("holds two epochs later about the model and slots of then, and not in a third", () => {
    let at = genesis;
    for (let epoch = 1; epoch <= 2; epoch++) {
      at = playEpoch(chain, at);
      const punished = accuse(at, lie);
      assert.equal(taken(punished), 1, `in epoch ${epoch}`);
      assertConserved(punished.state);
    }
    assert.equal(taken(accuse(playEpoch(chain, at), lie)), 0);
  });

  test("takes the pod's slot while its bond covers less than a unit", () => {
    const at = playEpoch(chain, accuse(genesis, lie));
    const slots = at.state.rounds.getReadonly(0).slots.getAllReadonly();
    assert.equal(slots.length, 2);
    assert.ok(slots.every(({ podId }) => toHex(podId) !== toHex(lie.podId)));
  });

  test("is none with other inputs, for another's slot, of another epoch, or with outputs no circuit has", () => {
    const none: Partial<Submission>[] = [
      { inputsHash: new Uint8Array(32) },
      { slot: 1 },
      { slot: 63 },
      { epoch: Epoch(1) },
      { task: new Uint8Array(32) },
      { podId: new Uint8Array(32) },
      { outputs: new Uint8Array() },
      { outputs: lie.outputs.map(() => 255) },
    ];
    for (const change of none)
      assert.equal(taken(accuse(genesis, submissionOf(chain, genesis.state, 0, 0, change))), 0);
  });
});

describe("a block with evidence", () => {
  const vkHash = toHex(chain.genesis.state.circuits.getReadonly(0).vkHash);
  const point = ["1", "2", "1"];
  const twist = [
    [
      "10857046999023057135944570762232829481370756359578518086990519993285655852781",
      "11559732032986387107991004021392285783925812861821192530917403151452391805634",
    ],
    [
      "8495653923123431417604973247489272438418190587263600148770280649306958101930",
      "4082367875863433681332203403145435568316851327593401208105741076214120093531",
    ],
    ["1", "0"],
  ];
  const key = parseVerificationKey({
    protocol: "groth16",
    curve: "bn128",
    nPublic: 1,
    vk_alpha_1: point,
    vk_beta_2: twist,
    vk_gamma_2: twist,
    vk_delta_2: twist,
    IC: [point, point],
  });
  const verify = (verdict: boolean) =>
    createVerification(
      { keys: new Map([[vkHash, key]]) },
      { verifier: { verify: async (jobs) => jobs.map(() => verdict) } },
    );
  const checksOf = (submission: Submission, forged = false) => {
    const lie = forged ? { ...submission, signature: new Uint8Array(64) } : submission;
    const { block } = accuse(genesis, lie);
    assert.ok(block !== undefined);
    const checks = collectChecks(genesis.state, genesis.set, block, contextOf(block.header, chain.params));
    assert.ok(!("code" in checks));
    return checks;
  };

  test("holds if the signature is the pod's and the proof is false, and only then", async () => {
    const lie = submissionOf(chain, genesis.state, 0, 0);
    assert.equal(checksOf(lie).evidence.length, 1);
    assert.equal(await verify(false).verifyChecks(checksOf(lie)), undefined);
    assert.deepEqual(await verify(true).verifyChecks(checksOf(lie)), {
      code: "block/transaction",
      data: { index: 0, cause: "pod/evidence-unfounded" },
    });
    const forged = await verify(false).verifyChecks(checksOf(lie, true));
    assert.deepEqual(forged?.data, { index: 0, cause: "pod/evidence-unfounded" });
  });

  test("holds for no node that lacks the key", async () => {
    const none = createVerification({ keys: new Map() }, { verifier: { verify: async () => [] } });
    const wrong = await none.verifyChecks(checksOf(submissionOf(chain, genesis.state, 0, 0)));
    assert.equal(wrong?.code, "block/transaction");
  });

  test("has at most sixteen pieces of it", () => {
    const { block } = accuse(genesis, submissionOf(chain, genesis.state, 0, 0));
    assert.ok(block !== undefined);
    const [one] = block.body.transactions;
    assert.ok(one !== undefined);
    const body = { ...block.body, transactions: new Array<typeof one>(17).fill(one) };
    assert.deepEqual(checkHeader(genesis, { header: block.header, body }, chain.params), {
      code: "block/limits",
      data: { field: "evidence" },
    });
  });
});
