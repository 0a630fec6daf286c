/**
 * What must be true of every run, checked from outside the engines: it sees each honest signature,
 * each certificate, each finalized block and each report. Used by node.ts and scenarios.ts.
 */

import type { Report } from "../../consensus/engine/protocol.ts";
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import type { Epoch, View } from "../../consensus/primitives/units.ts";
import type { Block, Header } from "../../consensus/types/block.ts";
import { type Certificate, signersOf } from "../../consensus/types/certificate.ts";
import { proposerOf, type ValidatorSet, weightOf } from "../../consensus/types/validator-set.ts";
import { type Subject, sameSubject, type Vote, VoteKind } from "../../consensus/types/vote.ts";

type ViewRecord = { notarization?: Certificate; nullification?: Certificate; finalization?: Certificate };
type Own = { notarize?: Subject; nullify: boolean; finalize?: Subject };

export type Oracle = {
  readonly violations: readonly string[];
  /** Milliseconds from a block's proposal to its finality, one entry a node and block. */
  readonly finalityMs: readonly number[];
  /** Milliseconds between finalized blocks, one entry a node and block. */
  readonly intervalMs: readonly number[];
  /** Keys whose signatures the finalized late certificates carry. */
  readonly participants: ReadonlyMap<number, number>;
  /** Keys that signed the first notarization of a view that they did not propose. */
  readonly firstSigners: ReadonlyMap<number, number>;
  readonly equivocations: number;
  readonly views: number;
  /** Certified proposals of an epoch's last block beyond its first. */
  readonly proposedAgain: number;
  fail(what: string): void;
  signed(node: number, vote: Vote): void;
  proposed(node: number, subject: Subject, nowMs: number): void;
  certified(node: number, certificate: Certificate): void;
  finalized(node: number, block: Block, hash: Uint8Array, nowMs: number): void;
  reported(node: number, set: ValidatorSet, report: Report): void;
  /** Checks what needs the whole run. */
  end(): void;
};

const VIOLATIONS_MAX = 20;

export function createOracle(
  honest: (node: number) => boolean,
  honestKey: (key: number) => boolean,
  setOf: (epoch: Epoch) => ValidatorSet,
): Oracle {
  const violations: string[] = [];
  const records = new Map<string, ViewRecord>();
  const own = new Map<string, Own>();
  const chain = new Map<number, { readonly hash: Uint8Array; readonly header: Header }>();
  const proposedMs = new Map<string, number>();
  const lastMs = new Map<number, { readonly height: number; readonly ms: number }>();
  const finalityMs: number[] = [];
  const intervalMs: number[] = [];
  const participants = new Map<number, number>();
  const firstSigners = new Map<number, number>();
  /** The view that each final block was made for. */
  const views = new Map<string, View>();
  let equivocations = 0;

  const fail = (what: string): void => {
    if (violations.length < VIOLATIONS_MAX && !violations.includes(what)) violations.push(what);
  };
  const recordOf = (epoch: Epoch, view: View): ViewRecord | undefined => records.get(`${epoch}/${view}`);

  function checkRecord(at: string, record: ViewRecord): void {
    if (record.finalization === undefined) return;
    if (record.nullification !== undefined) fail(`view ${at} is finalized and nullified`);
    if (record.notarization === undefined) fail(`view ${at} is finalized without a notarization`);
  }

  function countFirst(set: ValidatorSet, certificate: Certificate): void {
    for (const position of signersOf(certificate)) {
      const key = set.members[position]?.validator ?? -1;
      if (position === proposerOf(set, certificate.subject.view)) continue;
      firstSigners.set(key, (firstSigners.get(key) ?? 0) + 1);
    }
  }

  /** Every view between a certified one and its parent was nullified. */
  function checkSkipped(what: string, epoch: Epoch, parentView: View, view: View): void {
    for (let at = parentView + 1; at < view; at++) {
      if (recordOf(epoch, at as View)?.nullification === undefined) {
        fail(`${what} skips view ${epoch}/${at} without a nullification`);
      }
    }
  }

  return {
    violations,
    finalityMs,
    intervalMs,
    participants,
    firstSigners,
    get equivocations() {
      return equivocations;
    },
    get proposedAgain() {
      return [...records.values()].filter(({ notarization }) => {
        const known = notarization && views.get(toHex(notarization.subject.blockHash));
        return known !== undefined && known !== notarization?.subject.view;
      }).length;
    },
    get views() {
      return records.size;
    },
    fail,
    signed(node, { subject, signer }) {
      if (!honest(node)) return;
      const at = `${subject.epoch}/${subject.view}`;
      const mine = own.get(`${signer}/${at}`) ?? { nullify: false };
      own.set(`${signer}/${at}`, mine);
      if (subject.kind === VoteKind.notarize) {
        if (mine.notarize !== undefined && !sameSubject(mine.notarize, subject))
          fail(`${signer} notarized two blocks in ${at}`);
        if (mine.notarize === undefined && mine.nullify) fail(`${signer} notarized after nullify in ${at}`);
        mine.notarize = subject;
      } else if (subject.kind === VoteKind.nullify) {
        if (mine.finalize !== undefined) fail(`${signer} nullified after finalize in ${at}`);
        mine.nullify = true;
      } else {
        if (mine.finalize !== undefined && !sameSubject(mine.finalize, subject))
          fail(`${signer} finalized two blocks in ${at}`);
        if (mine.nullify) fail(`${signer} finalized after nullify in ${at}`);
        if (mine.notarize !== undefined && !equalBytes(mine.notarize.blockHash, subject.blockHash)) {
          fail(`${signer} finalized another block than it notarized in ${at}`);
        }
        mine.finalize = subject;
      }
    },
    proposed(node, { epoch, view, parentView, blockHash }, nowMs) {
      if (honest(node)) checkSkipped(`node ${node}'s proposal`, epoch, parentView, view);
      const name = toHex(blockHash);
      if (!proposedMs.has(name)) proposedMs.set(name, nowMs);
    },
    certified(node, certificate) {
      if (!honest(node)) return;
      const { subject } = certificate;
      const at = `${subject.epoch}/${subject.view}`;
      const set = setOf(subject.epoch);
      if (weightOf(set, signersOf(certificate)) < set.quorum)
        fail(`a certificate of view ${at} has less than a quorum`);
      const record = records.get(at) ?? {};
      records.set(at, record);
      const kind = ({ 1: "notarization", 2: "nullification", 3: "finalization" } as const)[subject.kind];
      if (kind === undefined) return fail(`a certificate of kind ${subject.kind}`);
      const held = record[kind];
      if (held !== undefined && !sameSubject(held.subject, subject)) fail(`view ${at} has two ${kind}s`);
      if (kind === "notarization" && held === undefined) countFirst(set, certificate);
      record[kind] ??= certificate;
    },
    finalized(node, block, hash, nowMs) {
      if (!honest(node)) return;
      const { header } = block;
      const known = chain.get(header.height);
      views.set(toHex(hash), header.view);
      if (known === undefined) chain.set(header.height, { hash, header });
      else if (!equalBytes(known.hash, hash)) fail(`two blocks are final at height ${header.height}`);
      else if (!equalBytes(known.header.stateRoot, header.stateRoot))
        fail(`two state roots at height ${header.height}`);
      const last = lastMs.get(node);
      if (last !== undefined && header.height === last.height + 1) intervalMs.push(nowMs - last.ms);
      lastMs.set(node, { height: header.height, ms: nowMs });
      const sent = proposedMs.get(toHex(hash));
      if (sent !== undefined) finalityMs.push(nowMs - sent);
      const [late] = block.body.lateCertificate;
      if (known === undefined && late !== undefined) {
        for (const position of signersOf(late)) {
          const key = setOf(late.subject.epoch).members[position]?.validator ?? -1;
          participants.set(key, (participants.get(key) ?? 0) + 1);
        }
      }
    },
    reported(node, set, report) {
      if (!honest(node)) return;
      const culprit =
        report.kind === "equivocation"
          ? report.first.signer
          : report.kind === "misbehaviour"
            ? report.from
            : undefined;
      if (report.kind === "equivocation") equivocations++;
      if (report.kind === "diverged") fail(`node ${node} diverged`);
      if (report.kind === "contradiction") fail(`node ${node} holds certificates that exclude each other`);
      if (culprit !== undefined && honestKey(set.members[culprit]?.validator ?? -1)) {
        fail(
          `honest ${culprit} is accused of ${report.kind === "misbehaviour" ? report.reason : report.kind} by node ${node}`,
        );
      }
    },
    end() {
      for (const [at, record] of records) {
        checkRecord(at, record);
        for (const it of [record.notarization, record.finalization]) {
          if (it !== undefined) checkSkipped(at, it.subject.epoch, it.subject.parentView, it.subject.view);
        }
      }
      for (const { header } of chain.values()) {
        checkSkipped(`block ${header.height}`, header.epoch, header.parentView, header.view);
      }
    },
  };
}
