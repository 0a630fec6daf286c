/** Small well-formed values, and folders that vanish, for the tests of node/. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { BitArray } from "@chainsafe/ssz";
import { type Amount, Epoch, Height, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { type Block, blockHash, type Proposal } from "../../../consensus/types/block.ts";
import type { Certificate } from "../../../consensus/types/certificate.ts";
import type { Submission } from "../../../consensus/types/submission.ts";
import type { Transaction } from "../../../consensus/types/transaction.ts";
import { nullifySubject, type Subject, type Vote, VoteKind } from "../../../consensus/types/vote.ts";
import { joined } from "../../helpers/outputs.ts";

export const CHAIN = new Uint8Array(32).fill(7);

export const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

export function notarize(view: number, fill: number, epoch = 1): Subject {
  return {
    kind: VoteKind.notarize,
    epoch: Epoch(epoch),
    view: View(view),
    parentView: View(view - 1),
    blockHash: bytes(32, fill),
  };
}
export const finalize = (view: number, fill: number, epoch = 1): Subject => ({
  ...notarize(view, fill, epoch),
  kind: VoteKind.finalize,
});
export const nullify = (view: number, epoch = 1): Subject => nullifySubject(Epoch(epoch), View(view));

export const vote = (subject: Subject, signer = 0): Vote => ({ subject, signer, signature: bytes(96, 9) });

export const certificate = (subject: Subject): Certificate => ({
  subject,
  signers: BitArray.fromBoolArray([true, true, false, true]),
  signature: bytes(96, 3),
});

export function transaction(nonce: number): Transaction {
  return {
    publicKey: bytes(32, 1),
    nonce,
    fee: 5n as Amount,
    operation: { selector: 0, value: { to: bytes(20, 2), amount: 10n as Amount } },
    signature: bytes(64, 4),
  };
}

export function submission(slot: number): Submission {
  return {
    task: bytes(32, 1),
    epoch: Epoch(2),
    slot,
    podId: bytes(32, 2),
    inputsHash: bytes(32, 3),
    outputs: joined([bytes(32, 4), bytes(32, 5)]),
    proof: bytes(128, 6),
    signature: bytes(64, 7),
  };
}

/** A block that says nothing true but encodes; `fill` tells siblings apart. */
export function block(
  height: number,
  fill = 0,
  transactions: Transaction[] = [],
): { block: Block; hash: Uint8Array } {
  const header: Block["header"] = {
    height: Height(height),
    epoch: Epoch(1),
    view: View(height),
    parentHash: bytes(32, fill),
    parentView: View(Math.max(0, height - 1)),
    proposer: ValidatorIndex(0),
    timestampMs: 1_700_000_000_000 + height,
    stateRoot: bytes(32, fill),
    bodyRoot: bytes(32, 0),
  };
  const body: Block["body"] = {
    beaconReveal: bytes(96, 1),
    parentCertificate: [],
    lateCertificate: [],
    transactions,
    submissions: [],
    evidence: [],
  };
  return { block: { header, body }, hash: blockHash(header) };
}

export function proposal(height: number, transactions: Transaction[] = []): Proposal {
  const { block: it, hash } = block(height, 0, transactions);
  return {
    block: it,
    vote: vote({ ...notarize(height, 0), blockHash: hash }),
    justification: { nullifications: [certificate(nullify(1))], notarization: [] },
  };
}

/** A fresh folder, removed after the test. */
export async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "zkp-test-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Waits until the condition holds; fails after five seconds. */
export async function until(condition: () => boolean, what: string, timeoutMs = 5000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
