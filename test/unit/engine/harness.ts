/** One engine of four validators, and everything that the other three could send it. */

import type { EngineOptions } from "../../../consensus/engine/core.ts";
import { createEngine, type Engine } from "../../../consensus/engine/engine.ts";
import type { Effect } from "../../../consensus/engine/protocol.ts";
import { hash } from "../../../consensus/primitives/hash.ts";
import type { Epoch, Height, ValidatorIndex, View } from "../../../consensus/primitives/units.ts";
import { type Block, BodyType, blockHash, bodyRoot, type Proposal } from "../../../consensus/types/block.ts";
import { type Certificate, createCertificate } from "../../../consensus/types/certificate.ts";
import { createValidatorSet, proposerOf, type ValidatorSet } from "../../../consensus/types/validator-set.ts";
import {
  nullifySubject,
  type Subject,
  signingRoot,
  type Vote,
  VoteKind,
} from "../../../consensus/types/vote.ts";
import { createMockCrypto } from "../../sim/crypto.ts";

export const EPOCH = 3 as Epoch;
export const CHAIN = hash("chain-id", new Uint8Array(1));
export const GENESIS = hash("chain-id", new Uint8Array(2));
export const LAST_HEIGHT = 20 as Height;
export const TIMEOUTS = { proposalMs: 1000, notarizationMs: 2000, retryMs: 1000, skipMs: 10_000 };
export const crypto = createMockCrypto();

export function setOf(weights: readonly number[]): ValidatorSet {
  const members = weights.map((weight, key) => ({
    validator: key as ValidatorIndex,
    blsKey: crypto.publicKey(key),
    weight: BigInt(weight),
    electionWeight: 1n,
  }));
  return createValidatorSet(EPOCH, members, new Uint8Array(32));
}

export const SET = setOf([1, 1, 1, 1]);
export const view = (value: number): View => value as View;
export const proposer = (of: number): number => proposerOf(SET, view(of));
/** A validator that proposes none of these views. */
export const bystander = (...views: number[]): number =>
  [0, 1, 2, 3].find((it) => !views.some((of) => proposer(of) === it)) ?? 0;

export const nullify = (of: number): Subject => nullifySubject(EPOCH, view(of));
export const notarize = (of: number, parentView: number, hashed: Uint8Array): Subject => ({
  kind: VoteKind.notarize,
  epoch: EPOCH,
  view: view(of),
  parentView: view(parentView),
  blockHash: hashed,
});
export const finalize = (subject: Subject): Subject => ({ ...subject, kind: VoteKind.finalize });

export const vote = (signer: number, subject: Subject): Vote => ({
  subject,
  signer,
  signature: crypto.sign(signer, signingRoot(CHAIN, subject)),
});

export function certificate(subject: Subject, signers: readonly number[] = [0, 1, 2]): Certificate {
  const sum = crypto.aggregateSignatures(signers.map((signer) => vote(signer, subject).signature));
  return createCertificate(SET, subject, signers, sum ?? new Uint8Array(96));
}

export type Made = { readonly block: Block; readonly hash: Uint8Array; readonly subject: Subject };

/** A block for a view; without a parent it is the epoch's first. */
export function make(
  of: number,
  parent?: Made,
  height = (parent?.block.header.height ?? 10) + 1,
  salt = 0,
): Made {
  const body = {
    ...BodyType.defaultValue(),
    parentCertificate: parent === undefined ? [] : [certificate(parent.subject)],
    transactions: [],
  } as Block["body"];
  const header = {
    height: height as Height,
    epoch: EPOCH,
    view: view(of),
    parentHash: parent?.hash ?? GENESIS,
    parentView: parent?.subject.view ?? view(0),
    proposer: proposer(of) as ValidatorIndex,
    timestampMs: 1000 * of + salt,
    stateRoot: new Uint8Array(32),
    bodyRoot: bodyRoot(body),
  };
  const hashed = blockHash(header);
  return { block: { header, body }, hash: hashed, subject: notarize(of, header.parentView, hashed) };
}

export function propose(made: Made, nullifications: readonly Certificate[] = []): Proposal {
  const { block, subject } = made;
  const justification = { nullifications: [...nullifications], notarization: [] };
  return { block, vote: vote(proposer(subject.view), subject), justification };
}

export const options = (self: number | undefined, more: Partial<EngineOptions> = {}): EngineOptions => ({
  ...crypto,
  chain: CHAIN,
  set: SET,
  self,
  lastHeight: LAST_HEIGHT,
  intervalMs: 500,
  timeouts: TIMEOUTS,
  root: { hash: GENESIS, certificate: undefined, set: undefined },
  ...more,
});

export type Bench = {
  readonly self: number | undefined;
  readonly engine: Engine;
  readonly started: readonly Effect[];
  proposal(proposal: Proposal): readonly Effect[];
  certificate(certificate: Certificate): readonly Effect[];
  vote(vote: Vote): readonly Effect[];
  checked(made: Made, verdict?: "valid" | "invalid" | "pending"): readonly Effect[];
  block(block: Block): readonly Effect[];
  built(of: number, block: Block | undefined): readonly Effect[];
  /** Waits for the deadline. */
  tick(): readonly Effect[];
  nowMs: number;
};

export function bench(self: number | undefined, more: Partial<EngineOptions> = {}): Bench {
  const engine = createEngine(options(self, more));
  const started = engine.start(0);
  const it: Bench = {
    self,
    engine,
    started,
    nowMs: 0,
    proposal: (proposal) => engine.step({ kind: "proposal", proposal, from: proposal.vote.signer }, it.nowMs),
    certificate: (held) => engine.step({ kind: "certificate", certificate: held, from: 0 }, it.nowMs),
    vote: (cast) => engine.step({ kind: "vote", vote: cast, from: cast.signer }, it.nowMs),
    checked: (made, verdict = "valid") =>
      engine.step({ kind: "checked", blockHash: made.hash, verdict }, it.nowMs),
    block: (block) => engine.step({ kind: "block", block, from: 0 }, it.nowMs),
    built: (of, block) => engine.step({ kind: "built", view: view(of), block }, it.nowMs),
    tick() {
      it.nowMs = engine.deadline;
      return engine.step({ kind: "tick" }, it.nowMs);
    },
  };
  return it;
}

/** Subjects of the votes among effects, as "kind view". */
export function votesIn(effects: readonly Effect[]): string[] {
  const names = { 1: "notarize", 2: "nullify", 3: "finalize" } as const;
  return effects.flatMap((effect) =>
    effect.kind === "vote" ? [`${names[effect.subject.kind as 1 | 2 | 3]} ${effect.subject.view}`] : [],
  );
}

export const kindsIn = (effects: readonly Effect[]): string[] => effects.map((effect) => effect.kind);
