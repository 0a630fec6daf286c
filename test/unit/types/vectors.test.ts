/**
 * Golden vectors: encodings, hashes, roots and certificates as test/vectors/*.json holds them, so that an
 * accidental change of consensus is visible in review. To change them on purpose:
 * `ZKP_UPDATE_VECTORS=1 npx node --test test/unit/types/vectors.test.ts`, and look at the difference.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { toHex, uint64Bytes } from "../../../consensus/primitives/bytes.ts";
import { createDraw, drawWithout, hash } from "../../../consensus/primitives/hash.ts";
import { Amount, Epoch, View } from "../../../consensus/primitives/units.ts";
import { statementOf } from "../../../consensus/state/inputs.ts";
import { formatAddress } from "../../../consensus/types/address.ts";
import {
  BlockType,
  BodyType,
  bodyRoot,
  HeaderType,
  type Proposal,
  ProposalType,
} from "../../../consensus/types/block.ts";
import { CertificateType } from "../../../consensus/types/certificate.ts";
import { type Evidence, encodeEvidence, evidenceId } from "../../../consensus/types/evidence.ts";
import { sliceLeaf } from "../../../consensus/types/holdout.ts";
import { nullifierOf, SubmissionType, submissionRoot } from "../../../consensus/types/submission.ts";
import {
  addressOf,
  OPERATION_NAMES,
  type Operation,
  SELECTOR,
  TransactionType,
  transactionId,
} from "../../../consensus/types/transaction.ts";
import {
  nullifySubject,
  possessionRoot,
  revealRoot,
  type Subject,
  signingRoot,
  VoteKind,
  VoteType,
} from "../../../consensus/types/vote.ts";
import { chainTag, taskId } from "../../../genesis/state.ts";
import { devKey } from "../../../node/keys.ts";
import {
  certify,
  createChain,
  genesisLink,
  NORMALIZATION,
  nextBlock,
  playEpoch,
  revealOf,
  sign,
  subjectOf,
  submissionOf,
  submissionsOf,
  toPlace,
  transferOf,
} from "../../helpers/chain.ts";

const chain = createChain();
const genesis = genesisLink(chain);
const [alice] = chain.accounts;
const [pod] = chain.pods;
const [slice] = chain.slices;
assert.ok(alice !== undefined && pod !== undefined && slice !== undefined);
const task = genesis.state.tasks.getReadonly(0);

async function compare(name: string, found: unknown): Promise<void> {
  const file = new URL(`../../vectors/${name}.json`, import.meta.url);
  const text = `${JSON.stringify(found, (_, it: unknown) => (typeof it === "bigint" ? String(it) : it), 2)}\n`;
  if (process.env.ZKP_UPDATE_VECTORS === "1") await writeFile(file, text);
  assert.equal(
    text,
    await readFile(file, "utf8"),
    `test/vectors/${name}.json is another: see this test's head`,
  );
}

test("hashes, addresses, ids and draws are those of the vectors", async () => {
  const seed = new Uint8Array(32).fill(1);
  const draw = createDraw("draw-slots", seed);
  const blsKey = devKey("bls", "validator-0").publicKey;
  await compare("hashes", {
    chainTag: toHex(chainTag("dev-test")),
    address: formatAddress(addressOf(alice.publicKey)),
    possession: toHex(possessionRoot(chain.chain, blsKey)),
    taskId: toHex(taskId(chain.chain, 0, "task-0", task.vkHash)),
    normalization: toHex(NORMALIZATION),
    holdoutLeaf: toHex(sliceLeaf(slice)),
    holdoutRoot: toHex(task.holdoutRoot),
    holdoutBranch: slice.branch.map(toHex),
    beaconMix: toHex(hash("beacon", seed, new Uint8Array(96).fill(2))),
    drawSlotsSeed: toHex(hash("draw-slots", seed, task.id, uint64Bytes(3))),
    drawBelow: [1_000, 1_000, 7, 2 ** 32].map((bound) => draw.below(bound)),
    drawWithout: drawWithout(createDraw("draw-slices", seed), 100, 10),
    proposers: genesis.set.turns,
    inputsHash: toHex(
      statementOf(genesis.state, task, genesis.state.rounds.getReadonly(0).slots.getReadonly(0)).inputsHash,
    ),
  });
});

test("transactions of each operation are encoded and identified as in the vectors", async () => {
  const close = toPlace(chain, genesis, 6);
  const { podId, dataRoot } = pod;
  const blsKey = new Uint8Array(48).fill(3);
  const operations: Operation[] = [
    transferOf(new Uint8Array(20).fill(1), 12_345n),
    { selector: 1, value: { podId, bond: Amount(10n ** 10n) } },
    { selector: 2, value: { podId, dataRoot, batches: 7, normalization: NORMALIZATION } },
    { selector: 3, value: { podId, task: task.id, dataRoot, slots: 2 } },
    revealOf(chain, close.state),
    { selector: 5, value: { blsKey, possession: new Uint8Array(96).fill(2), stake: Amount(1_000n) } },
    { selector: 6, value: { blsKey, amount: Amount(1_000n) } },
    { selector: 7, value: { blsKey } },
    { selector: 8, value: { blsKey } },
    { selector: 9, value: { blsKey } },
    { selector: SELECTOR.podExit, value: { podId } },
    {
      selector: SELECTOR.taskCreate,
      value: {
        name: new TextEncoder().encode("task"),
        shape: task.shape,
        standardisation: task.standardisation,
        rateNumerator: 3,
        rateShift: 1,
        normBound: 2n ** 77n,
        lead: 3,
        rounds: 8,
        holdoutRoot: task.holdoutRoot,
        holdoutSlices: 16,
        model: [1, 2, 2 ** 32 - 1],
        roundPay: Amount(10n ** 9n),
        bond: Amount(2n * 10n ** 9n),
        escrow: Amount(8n * 10n ** 9n),
        minAccepted: 1,
        minQuality: 2n,
        groupRoot: new Uint8Array(32),
        notice: new TextEncoder().encode("eight rows at least are active"),
      },
    },
    { selector: SELECTOR.taskFund, value: { task: task.id, amount: Amount(7n) } },
    { selector: SELECTOR.taskApprove, value: { task: task.id } },
    { selector: SELECTOR.taskClose, value: { task: task.id } },
    { selector: SELECTOR.podEvidence, value: { submission: submissionOf(chain, genesis.state, 0, 0) } },
    { selector: SELECTOR.podTopUp, value: { podId, amount: Amount(9n) } },
  ];
  assert.equal(operations.length, OPERATION_NAMES.length, "a vector for each operation");
  await compare(
    "transactions",
    operations.map((operation, nonce) => {
      const transaction = sign(chain, alice, nonce, operation);
      return {
        operation: OPERATION_NAMES[operation.selector],
        id: toHex(transactionId(chain.chain, transaction)),
        root: toHex(TransactionType.hashTreeRoot(transaction)),
        encoding: toHex(TransactionType.serialize(transaction)),
      };
    }),
  );
});

test("a submission is encoded and identified as in the vectors", async () => {
  const submission = submissionOf(chain, genesis.state, 0, 0);
  await compare("submission", {
    signedRoot: toHex(submissionRoot(chain.chain, submission)),
    nullifier: toHex(nullifierOf(submission)),
    root: toHex(SubmissionType.hashTreeRoot(submission)),
    encoding: toHex(SubmissionType.serialize(submission)),
  });
});

test("votes, certificates, blocks and proposals are encoded as in the vectors", async () => {
  let at = nextBlock(chain, genesis, { submissions: submissionsOf(chain, genesis.state), signed: true });
  at = toPlace(chain, at, 5, { late: [0, 1, 2, 3], signed: true });
  const { block, parent } = at;
  assert.ok(block !== undefined && parent !== undefined);
  const subjects: [string, Subject][] = [
    ["notarize", subjectOf(at, VoteKind.notarize)],
    ["nullify", nullifySubject(Epoch(0), View(6))],
    ["finalize", subjectOf(at, VoteKind.finalize)],
  ];
  const certificates = subjects.map(([, subject]) => certify(at.set, subject, [0, 2, 3], chain));
  const signature = certificates[0]?.signature ?? new Uint8Array(96);
  const vote = { subject: subjectOf(at, VoteKind.notarize), signer: 3, signature };
  const [notarization, , finalization] = certificates;
  assert.ok(notarization !== undefined && finalization !== undefined);
  const evidence: Evidence[] = [
    { selector: 0, value: { first: vote, second: { ...vote, signer: 2 } } },
    { selector: 1, value: { first: notarization, second: finalization } },
  ];
  const proposal: Proposal = {
    block,
    vote,
    justification: { nullifications: certificates.slice(1, 2), notarization: certificates.slice(0, 1) },
  };
  await compare("blocks", {
    signingRoots: subjects.map(([kind, subject]) => ({
      kind,
      root: toHex(signingRoot(chain.chain, subject)),
    })),
    revealRoot: toHex(revealRoot(chain.chain, Epoch(0), View(5))),
    vote: toHex(VoteType.serialize(vote)),
    certificates: certificates.map((it, i) => ({
      kind: subjects[i]?.[0],
      root: toHex(CertificateType.hashTreeRoot(it)),
      encoding: toHex(CertificateType.serialize(it)),
    })),
    evidence: evidence.map((it) => ({ id: toHex(evidenceId(it)), encoding: toHex(encodeEvidence(it)) })),
    header: toHex(HeaderType.serialize(block.header)),
    hash: toHex(at.hash),
    bodyRoot: toHex(bodyRoot(block.body)),
    body: toHex(BodyType.serialize(block.body as never)),
    block: toHex(BlockType.serialize(block as never)),
    proposal: toHex(ProposalType.serialize(proposal as never)),
  });
});

test("genesis and a small history with a settled round have the roots of the vectors", async () => {
  const pay = sign(chain, alice, 0, transferOf(new Uint8Array(20).fill(1), 2_000_000n));
  const links = [
    nextBlock(chain, genesis, { transactions: [pay], submissions: submissionsOf(chain, genesis.state) }),
  ];
  const last = toPlace(chain, links[0] ?? genesis, 10, { late: [0, 1, 3] });
  const paid = playEpoch(chain, last, { late: [0, 1, 3] });
  const history = [];
  for (let at: typeof paid | undefined = paid; at?.block !== undefined; at = at.parent) {
    history.unshift({
      height: at.block.header.height,
      hash: toHex(at.hash),
      stateRoot: toHex(at.block.header.stateRoot),
    });
  }
  const { supply, beacon, issuance } = paid.state;
  const epoch = paid.receipt?.epoch;
  await compare("history", {
    document: chain.document,
    genesisRoot: toHex(chain.genesis.root),
    history,
    supply: supply.toValue(),
    mix: toHex(beacon.mix),
    issuance: issuance.toValue(),
    minted: epoch?.minted,
    quality: epoch?.quality,
    rounds: epoch?.rounds.map(({ lossBefore, lossAfter, model, contributions }) => ({
      lossBefore,
      lossAfter,
      model,
      contributions: contributions.map(({ fate, value, quality, amount }) => ({
        fate,
        value,
        quality,
        amount,
      })),
    })),
  });
});
