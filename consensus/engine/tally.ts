/**
 * Counts votes. Signatures are not looked at until a subject has a quorum; then all are aggregated
 * and verified at once, as the certificate that leaves. Only if that fails are the wrong ones looked
 * for, and their senders banned for the rest of the epoch. Called by votes.ts; senders are
 * authenticated there.
 *
 * An aggregate says nothing of single votes (two swapped signatures leave it valid), so a vote is
 * evidence only after it was verified on its own.
 */
import { toHex } from "../primitives/bytes.ts";
import type { View } from "../primitives/units.ts";
import {
  type Certificate,
  createCertificate,
  signersOf,
  type VerifyAggregate,
} from "../types/certificate.ts";
import { type ValidatorSet, weightOf } from "../types/validator-set.ts";
import { type Subject, sameSubject, signingRoot, type Vote, VoteKind } from "../types/vote.ts";

export type VerifySignature = (message: Uint8Array, key: Uint8Array, signature: Uint8Array) => boolean;

export type Signatures = {
  readonly verifyAggregate: VerifyAggregate;
  readonly verifySignature: VerifySignature;
  /** Undefined if one is no valid point. */
  readonly aggregateSignatures: (signatures: readonly Uint8Array[]) => Uint8Array | undefined;
};

export type Added =
  /** Counted; the weight that its subject has now. */
  | { readonly kind: "counted"; readonly weight: bigint }
  /** Not new, or its signer is banned. */
  | { readonly kind: "ignored" }
  /** Its signature is wrong. */
  | { readonly kind: "wrong" }
  /** Both verified: no honest signer casts both. The second is not counted. */
  | { readonly kind: "conflict"; readonly first: Vote; readonly second: Vote };

export type Tally = {
  /** `verified`: whether the vote was verified on its own already. */
  add(vote: Vote, verified: boolean): Added;
  /** The certificate of a subject that has a quorum, verified as assembled; undefined if wrong votes left less. */
  assemble(subject: Subject): {
    readonly certificate: Certificate | undefined;
    readonly wrong: readonly number[];
  };
  /** The certificate with the signatures of all that were heard since; itself if there are none. */
  extend(certificate: Certificate): Certificate;
  dropBelow(view: View): void;
  readonly banned: ReadonlySet<number>;
};

type Cast = { readonly vote: Vote; verified: boolean };
type Count = { weight: bigint; readonly casts: Map<number, Cast> };
type ViewCount = {
  /** By subject. */
  readonly counts: Map<string, Count>;
  /** The first vote of each signer, by kind. */
  readonly first: Readonly<Record<1 | 2 | 3, Map<number, Cast>>>;
  /** Signers whose conflict in this view is known. */
  readonly conflicting: Set<number>;
};

const nameOf = (subject: Subject): string =>
  `${subject.kind}/${subject.parentView}/${toHex(subject.blockHash)}`;

const firstsOf = (view: ViewCount, kind: number): Map<number, Cast> =>
  kind === VoteKind.notarize ? view.first[1] : kind === VoteKind.nullify ? view.first[2] : view.first[3];

/** What an earlier vote of the same signer says against this one (evidence, docs/protocol.md). */
function conflictOf(view: ViewCount, { subject, signer }: Vote): Cast | undefined {
  const same = firstsOf(view, subject.kind).get(signer);
  if (same !== undefined && !sameSubject(same.vote.subject, subject)) return same;
  if (subject.kind === VoteKind.nullify) return view.first[VoteKind.finalize].get(signer);
  return subject.kind === VoteKind.finalize ? view.first[VoteKind.nullify].get(signer) : undefined;
}

export function createTally(chain: Uint8Array, set: ValidatorSet, signatures: Signatures): Tally {
  const views = new Map<View, ViewCount>();
  const banned = new Set<number>();
  /** Known wrong, but one too many to ban: verified one by one. */
  const suspects = new Set<number>();
  const banWeightMax = (set.totalWeight - 1n) / 3n;

  const keyOf = (signer: number): Uint8Array => set.members[signer]?.blsKey ?? new Uint8Array(48);
  const weight = (signer: number): bigint => set.members[signer]?.weight ?? 0n;

  function verifySingly(cast: Cast): boolean {
    const { subject, signer, signature } = cast.vote;
    cast.verified ||= signatures.verifySignature(signingRoot(chain, subject), keyOf(signer), signature);
    return cast.verified;
  }

  function remove(view: ViewCount, { vote }: Cast): void {
    firstsOf(view, vote.subject.kind).delete(vote.signer);
    const count = view.counts.get(nameOf(vote.subject));
    if (count?.casts.delete(vote.signer)) count.weight -= weight(vote.signer);
  }

  /** Its sender signed a wrong vote: its unverified votes go, and new ones are refused or verified singly. */
  function ban(signer: number): void {
    const fits = weightOf(set, banned) + weight(signer) <= banWeightMax;
    (fits ? banned : suspects).add(signer);
    for (const view of views.values()) {
      for (const firsts of Object.values(view.first)) {
        const cast = firsts.get(signer);
        if (cast !== undefined && !cast.verified) remove(view, cast);
      }
    }
  }

  function viewCount(view: View): ViewCount {
    const known = views.get(view);
    if (known !== undefined) return known;
    const made: ViewCount = {
      counts: new Map(),
      first: { 1: new Map(), 2: new Map(), 3: new Map() },
      conflicting: new Set(),
    };
    views.set(view, made);
    return made;
  }

  /** Aggregates and verifies; the sum's signature if it is right. */
  function check(subject: Subject, casts: readonly Cast[]): Uint8Array | undefined {
    const sum = signatures.aggregateSignatures(casts.map((cast) => cast.vote.signature));
    if (sum === undefined) return undefined;
    const keys = casts.map((cast) => keyOf(cast.vote.signer));
    return signatures.verifyAggregate(signingRoot(chain, subject), keys, sum) ? sum : undefined;
  }

  /** The wrong ones among votes whose sum is known to be wrong, by halving: at most 2n − 2 checks. */
  function findWrong(subject: Subject, casts: readonly Cast[]): readonly Cast[] {
    const [only] = casts;
    if (casts.length === 1 && only !== undefined) return verifySingly(only) ? [] : [only];
    const middle = Math.floor(casts.length / 2);
    const wrong: Cast[] = [];
    for (const half of [casts.slice(0, middle), casts.slice(middle)]) {
      if (half.length > 0 && check(subject, half) === undefined) wrong.push(...findWrong(subject, half));
    }
    return wrong;
  }

  return {
    banned,
    add(vote, verified) {
      const { subject, signer } = vote;
      if (banned.has(signer)) return { kind: "ignored" };
      const view = viewCount(subject.view);
      const cast: Cast = { vote, verified };
      const against = conflictOf(view, vote);
      if (against !== undefined) {
        if (view.conflicting.has(signer)) return { kind: "ignored" };
        if (!verifySingly(cast)) {
          ban(signer);
          return { kind: "wrong" };
        }
        if (verifySingly(against)) {
          view.conflicting.add(signer);
          return { kind: "conflict", first: against.vote, second: vote };
        }
        remove(view, against);
      }
      if (firstsOf(view, subject.kind).has(signer)) return { kind: "ignored" };
      if (suspects.has(signer) && !verifySingly(cast)) return { kind: "wrong" };
      firstsOf(view, subject.kind).set(signer, cast);
      const count = view.counts.get(nameOf(subject)) ?? { weight: 0n, casts: new Map<number, Cast>() };
      view.counts.set(nameOf(subject), count);
      count.casts.set(signer, cast);
      count.weight += weight(signer);
      return { kind: "counted", weight: count.weight };
    },
    assemble(subject) {
      const view = viewCount(subject.view);
      const count = view.counts.get(nameOf(subject));
      const wrong: number[] = [];
      // Once more after the wrong ones are out: every certificate is verified as assembled.
      for (let round = 0; round < 2; round++) {
        if (count === undefined || count.weight < set.quorum) break;
        const casts = [...count.casts.values()];
        const sum = check(subject, casts);
        if (sum !== undefined) {
          const positions = casts.map((cast) => cast.vote.signer);
          return { certificate: createCertificate(set, subject, positions, sum), wrong };
        }
        for (const cast of findWrong(subject, casts)) {
          remove(view, cast);
          ban(cast.vote.signer);
          wrong.push(cast.vote.signer);
        }
      }
      return { certificate: undefined, wrong };
    },
    extend(certificate) {
      const { subject, signers } = certificate;
      const count = views.get(subject.view)?.counts.get(nameOf(subject));
      const late = [...(count?.casts.values() ?? [])].filter((cast) => !signers.get(cast.vote.signer));
      if (late.length === 0) return certificate;
      const sound = check(subject, late) === undefined ? late.filter(verifySingly) : late;
      const sum = signatures.aggregateSignatures([
        certificate.signature,
        ...sound.map((cast) => cast.vote.signature),
      ]);
      if (sum === undefined || sound.length === 0) return certificate;
      const positions = [...signersOf(certificate), ...sound.map((cast) => cast.vote.signer)];
      return createCertificate(set, subject, positions, sum);
    },
    dropBelow(view) {
      for (const at of views.keys()) if (at < view) views.delete(at);
    },
  };
}
