/** The one door: cheap questions first, the proof last; asked twice, answered once. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { equalBytes } from "../../../consensus/primitives/bytes.ts";
import { type Fault, fault, type Verdict } from "../../../consensus/primitives/faults.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import { addressOf, type Transaction } from "../../../consensus/types/transaction.ts";
import { createAdmission } from "../../../node/admission.ts";
import { verifyEd25519 } from "../../../node/keys.ts";
import { createMempool } from "../../../node/mempool.ts";
import {
  CLOSE,
  createChain,
  fieldBytes,
  genesisLink,
  type Link,
  nextBlock,
  sign,
  submissionOf,
  submissionsOf,
  toPlace,
  transferOf,
} from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";

const chain = createChain();
const genesis = genesisLink(chain);
const [alice, bob] = chain.accounts as [(typeof chain.accounts)[0], (typeof chain.accounts)[0]];
const to = addressOf(bob.publicKey);

function open(link: Link = genesis) {
  const log: string[] = [];
  const at = { link };
  let proofs: (Fault | undefined)[] = [];
  const mempool = createMempool(chain.params, chain.chain);
  const gates: (() => void)[] = [];
  let held = false;
  const admission = createAdmission({
    chain: {
      params: chain.params,
      chain: chain.chain,
      tip: () => ({
        ...at.link,
        block: undefined,
        height: at.link.state.height,
        receipt: { transactions: [], submissions: [], epoch: undefined },
      }),
    },
    mempool,
    verification: {
      verifyTransaction: ({ publicKey, message, signature }) => {
        log.push("signature");
        return verifyEd25519(publicKey, message, signature)
          ? undefined
          : fault("transaction/signature-invalid");
      },
      verifyPossession: () => undefined,
      verifySigners: (checks) =>
        checks.map(({ ed25519: { publicKey, message, signature } }) =>
          verifyEd25519(publicKey, message, signature) ? undefined : fault("submission/signature-invalid"),
        ),
      verifyProofs: async (checks) => {
        log.push("proof");
        if (held) await new Promise<void>((resolve) => gates.push(resolve));
        return checks.map((_, i) => proofs[i]);
      },
      verifyEvidence: async (checks) => {
        log.push("evidence");
        return checks.map((_, i) => proofs[i]);
      },
    },
    network: { publish: ({ topic }) => log.push(`published to ${topic}`) },
    bundles: { publish: () => log.push("published to submissions") },
    limits: {
      mayRelay: (peer) => peer !== "muted",
      onRejected: (peer, { code }) => log.push(`${peer} charged for ${code}`),
    },
    onRejected: (_, { code }) => log.push(`rejected ${code}`),
    onPooled: () => log.push("pooled"),
  });
  return {
    at,
    log,
    admission,
    mempool,
    answer: (...answers: (Fault | undefined)[]) => {
      proofs = answers;
    },
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      for (const go of gates.splice(0)) go();
    },
  };
}
const codeOf = (verdict: Verdict): string =>
  verdict.kind === "accept" ? "accept" : `${verdict.kind} ${verdict.fault.code}`;

describe("a submission", () => {
  const good = submissionOf(chain, genesis.state, 0, 0);

  test("that is right is verified once, pooled and gossiped", async () => {
    const { admission, log, mempool } = open();
    assert.equal(codeOf(await admission.admitSubmission(good)), "accept");
    assert.deepEqual(log, ["proof", "published to submissions", "pooled"]);
    assert.equal(codeOf(await admission.admitSubmission(good)), "accept");
    assert.equal(log.length, 3, "the second time costs nothing and is not sent again");
    assert.equal(mempool.counts().submissions, 1);
  });

  test("that comes many times at once is verified once", async () => {
    const { admission, log, hold, release } = open();
    hold();
    const answers = Array.from({ length: 5 }, () => admission.admitSubmission(good));
    release();
    assert.deepEqual((await Promise.all(answers)).map(codeOf), new Array(5).fill("accept"));
    assert.equal(log.filter((it) => it === "proof").length, 1);
  });

  test("that the state refuses is ignored without a look at its proof", async () => {
    const cases: [Submission, string][] = [
      [submissionOf(chain, genesis.state, 0, 0, { task: fieldBytes("?") }), "submission/task-unknown"],
      [submissionOf(chain, genesis.state, 0, 0, { slot: 9 }), "submission/slot-unknown"],
      [submissionOf(chain, genesis.state, 0, 0, { outputs: new Uint8Array() }), "submission/outputs-count"],
      [
        submissionOf(chain, genesis.state, 0, 0, { inputsHash: fieldBytes("?") }),
        "submission/inputs-mismatch",
      ],
    ];
    for (const [submission, code] of cases) {
      const { admission, log } = open();
      assert.equal(codeOf(await admission.admitSubmission(submission)), `ignore ${code}`);
      assert.deepEqual(log, []);
    }
    const late = open(toPlace(chain, genesis, CLOSE));
    assert.equal(codeOf(await late.admission.admitSubmission(good)), "ignore submission/window-closed");
  });

  test("that competes with a pooled one is ignored without a look at its proof", async () => {
    const { admission, log } = open();
    await admission.admitSubmission(good);
    const rival = submissionOf(chain, genesis.state, 0, 0, {
      outputs: joined(split(good.outputs).with(0, fieldBytes("n"))),
    });
    assert.equal(codeOf(await admission.admitSubmission(rival)), "ignore submission/slot-filled");
    assert.equal(log.filter((it) => it === "proof").length, 1);
  });

  test("with another's signature is another one, and does not get the pooled one's answer", async () => {
    const { admission } = open();
    await admission.admitSubmission(good);
    const forged = { ...good, signature: new Uint8Array(64) };
    assert.equal(codeOf(await admission.admitSubmission(forged)), "ignore submission/nullifier-spent");
  });

  test("with a false proof is rejected and remembered; with a false signature only rejected", async () => {
    const { admission, log, answer, mempool } = open();
    answer(fault("submission/proof-invalid"));
    assert.equal(codeOf(await admission.admitSubmission(good)), "reject submission/proof-invalid");
    assert.deepEqual(log, ["proof", "rejected submission/proof-invalid"]);
    const forged = { ...good, signature: new Uint8Array(64) };
    assert.equal(codeOf(await admission.admitSubmission(forged)), "reject submission/signature-invalid");
    assert.equal(log.length, 2, "the proof was not looked at");
    assert.equal(mempool.counts().submissions, 0);
    answer(undefined);
    assert.equal(codeOf(await admission.admitSubmission(good)), "accept");
  });

  test("that loses the race for its slot while it is verified is ignored", async () => {
    const { admission, hold, release, mempool } = open();
    hold();
    const rival = submissionOf(chain, genesis.state, 0, 0, {
      outputs: joined([fieldBytes("n"), fieldBytes("t"), ...split(good.outputs).slice(2)]),
    });
    const answers = [admission.admitSubmission(good), admission.admitSubmission(rival)];
    release();
    assert.deepEqual((await Promise.all(answers)).map(codeOf), ["accept", "ignore submission/slot-filled"]);
    assert.equal(mempool.counts().submissions, 1);
  });

  /** Different ones of a pod for its slot, all well signed. */
  const variants = (count: number, slot = 0): Submission[] =>
    Array.from({ length: count }, (_, i) => {
      const names = [fieldBytes(`n${slot}-${i}`), fieldBytes(`t${slot}-${i}`)];
      const outputs = joined([...names, ...split(good.outputs).slice(2)]);
      return submissionOf(chain, genesis.state, 0, slot, { outputs });
    });

  test("beyond four in hand of its slot is told to come back, and one with a false signature takes no place", async () => {
    const { admission, hold, release } = open();
    hold();
    const forged = variants(20).map((it) => ({ ...it, signature: new Uint8Array(64) }));
    for (const it of forged) {
      assert.equal(codeOf(await admission.admitSubmission(it)), "reject submission/signature-invalid");
    }
    const answers = variants(5).map((it) => admission.admitSubmission(it));
    const other = admission.admitSubmission(submissionOf(chain, genesis.state, 0, 1));
    assert.equal(codeOf(await (answers[4] ?? other)), "ignore rpc/busy");
    release();
    assert.equal(codeOf(await (answers[0] ?? other)), "accept");
    assert.equal(codeOf(await other), "accept", "another slot is not concerned");
  });

  test("of a pod that signed eight false proofs has to wait, and those of others do not", async () => {
    const { admission, answer, log } = open();
    answer(fault("submission/proof-invalid"));
    for (const it of variants(9)) await admission.admitSubmission(it);
    answer(undefined);
    assert.equal(codeOf(await admission.admitSubmission(good)), "ignore rpc/busy");
    assert.ok(log.filter((it) => it === "proof").length <= 9);
    const other = submissionsOf(chain, genesis.state).find(({ podId }) => !equalBytes(podId, good.podId));
    assert.ok(other !== undefined);
    assert.equal(codeOf(await admission.admitSubmission(other)), "accept");
  });

  test("that is false is charged to the peer that relayed it; a late or repeated one is not", async () => {
    const { admission, answer, log } = open();
    await admission.admitSubmission(good, "honest");
    await admission.admitSubmission(good, "honest");
    await admission.admitSubmission(submissionOf(chain, genesis.state, 0, 0, { slot: 9 }), "honest");
    answer(fault("submission/proof-invalid"));
    await admission.admitSubmission(submissionOf(chain, genesis.state, 0, 1), "liar");
    await admission.admitSubmission(submissionOf(chain, genesis.state, 0, 1));
    assert.deepEqual(
      log.filter((it) => it.includes("charged")),
      ["liar charged for submission/proof-invalid"],
    );
  });

  test("from a peer that is not listened to is not looked at", async () => {
    const { admission, log } = open();
    assert.equal(codeOf(await admission.admitSubmission(good, "muted")), "ignore rpc/busy");
    assert.deepEqual(log, []);
  });

  test("is not lost when the verifier fails: it can be sent again", async () => {
    const { admission } = open();
    const failing = createAdmission({
      chain: {
        params: chain.params,
        chain: chain.chain,
        tip: () => ({
          ...genesis,
          block: undefined,
          height: genesis.state.height,
          receipt: { transactions: [], submissions: [], epoch: undefined },
        }),
      },
      mempool: createMempool(chain.params, chain.chain),
      verification: {
        verifyTransaction: () => undefined,
        verifyPossession: () => undefined,
        verifySigners: () => [],
        verifyProofs: () => Promise.reject(new Error("worker died")),
        verifyEvidence: () => Promise.reject(new Error("worker died")),
      },
      network: { publish: () => {} },
      bundles: { publish: () => {} },
      limits: { mayRelay: () => true, onRejected: () => {} },
      onRejected: () => {},
      onPooled: () => {},
    });
    await assert.rejects(failing.admitSubmission(good));
    await assert.rejects(failing.admitSubmission(good), "asked anew, not answered from memory");
    assert.equal(codeOf(await admission.admitSubmission(good)), "accept");
  });
});

describe("a transaction", () => {
  const pay = (nonce: number, amount = 1n, fee = 10_000n): Transaction =>
    sign(chain, alice, nonce, transferOf(to, amount), fee);

  test("that is right is pooled once and gossiped", () => {
    const { admission, log } = open();
    assert.equal(codeOf(admission.admitTransaction(pay(0))), "accept");
    assert.deepEqual(log, ["signature", "published to transactions", "pooled"]);
    assert.equal(codeOf(admission.admitTransaction(pay(0))), "accept");
    assert.equal(log.length, 3);
  });

  test("of a peer is not published again: its verdict passes it on", () => {
    const { admission, log } = open();
    assert.equal(codeOf(admission.admitTransaction(pay(0), "peer")), "accept");
    assert.deepEqual(log, ["signature", "pooled"]);
  });

  test("may wait for those before it, but not for more than 64", () => {
    const { admission } = open();
    assert.equal(codeOf(admission.admitTransaction(pay(64))), "accept");
    assert.equal(codeOf(admission.admitTransaction(pay(65))), "ignore transaction/nonce-high");
  });

  test("that cannot be paid, or was overtaken, is ignored before its signature is looked at", () => {
    const link = nextBlock(chain, genesis, { transactions: [pay(0)] });
    const { admission, log } = open(link);
    assert.equal(codeOf(admission.admitTransaction(pay(0))), "ignore transaction/nonce-low");
    assert.equal(codeOf(admission.admitTransaction(pay(1, 1n, 2n ** 60n))), "ignore transaction/balance-low");
    assert.equal(codeOf(admission.admitTransaction(pay(1, 1n, 1n))), "reject transaction/fee-low");
    const pod = chain.pods[0]?.key ?? alice;
    assert.equal(
      codeOf(admission.admitTransaction(sign(chain, pod, 0, transferOf(to, 1n)))),
      "ignore transaction/balance-low",
    );
    assert.deepEqual(log, []);
  });

  test("whose operation the state refuses is told so to the user, and left to the proposer when a peer sends it", () => {
    const { admission, mempool } = open();
    const unaffordable = pay(0, 2n ** 62n);
    assert.equal(codeOf(admission.admitTransaction(unaffordable)), "ignore transaction/balance-low");
    assert.equal(mempool.counts().transactions, 0);
    assert.equal(codeOf(admission.admitTransaction(unaffordable, "peer")), "accept");
  });

  test("with a false signature is charged to the peer that relayed it", async () => {
    const { admission, log } = open();
    const forged = { ...pay(0), signature: new Uint8Array(64) } as Transaction;
    assert.equal(codeOf(await admission.admit(forged, "liar")), "reject transaction/signature-invalid");
    assert.equal(codeOf(await admission.admit(pay(0), "honest")), "accept");
    assert.equal(codeOf(await admission.admit(pay(1), "muted")), "ignore rpc/busy");
    assert.equal(log.filter((it) => it.includes("charged")).length, 1);
  });

  test("with a false signature is rejected", () => {
    const { admission, mempool } = open();
    const forged = { ...pay(0), signature: new Uint8Array(64) } as Transaction;
    assert.equal(codeOf(admission.admitTransaction(forged)), "reject transaction/signature-invalid");
    const { signature } = sign(createChainOfOtherName(), alice, 0, transferOf(to, 1n));
    const replayed = { ...pay(0), signature } as Transaction;
    assert.equal(codeOf(admission.admitTransaction(replayed)), "reject transaction/signature-invalid");
    assert.equal(mempool.counts().transactions, 0);
  });

  const createChainOfOtherName = () => ({ chain: new Uint8Array(32) });
});

test("submissions of all slots stand beside each other", async () => {
  const { admission } = open();
  for (const it of submissionsOf(chain, genesis.state)) {
    assert.equal(codeOf(await admission.admitSubmission(it)), "accept");
  }
});
