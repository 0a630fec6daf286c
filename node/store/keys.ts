/**
 * The keys of the node's database, all in one place. Numbers are 14 hexadecimal digits (2^53 fits), so
 * that the order of keys is the order of numbers. Read by ops.ts (writes) and store.ts (reads).
 *
 * ```
 * m/<name>                          meta: version, chain, head, floors, the signer's serial
 * v/<epoch>/<view>/<kind>           own vote: its ordinal and its subject
 * p/<epoch>/<view>                  own proposal, without its block
 * w/<epoch>/<view>/<kind>/<signer>  first vote heard of a validator
 * b/<hash>                          block, speculative or final
 * u/<height>/<hash>                 marks a block that is not final (empty value)
 * h/<height>                        hash of the final block
 * x/<height>                        its finalization, where it was finalized directly
 * c/<epoch>/<view>/<kind>/<hash8>   certificate; two that contradict each other are both kept
 * n/<height>                        manifest of a snapshot of the state
 * k/<height>/<index>                a chunk of it
 * e/<epoch>                         what proves the end of an epoch and the next set
 * t/<transaction id>                where it was included: {height, index}
 * z/<proof id>                      the same, and which slot it was for
 * r/<namespace>/<key>               record: small JSON
 * ```
 */
import { toHex } from "../../consensus/primitives/bytes.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import type { Subject } from "../../consensus/types/vote.ts";

const NUMBER_DIGITS = 14;
const number = (value: number): string => {
  invariant(Number.isSafeInteger(value) && value >= 0, `key number ${value}`);
  return value.toString(16).padStart(NUMBER_DIGITS, "0");
};
const bytes = (value: Uint8Array): string => toHex(value).slice(2);
/** Names in keys: short, and without the separator. */
const name = (value: string): string => {
  invariant(/^[A-Za-z0-9._:-]{1,128}$/.test(value), `key name ${value.slice(0, 40)}`);
  return value;
};

type VoteSlot = Pick<Subject, "epoch" | "view" | "kind">;

export const keys = {
  meta: (key: string) => `m/${name(key)}`,
  ownVote: ({ epoch, view, kind }: VoteSlot) => `v/${number(epoch)}/${number(view)}/${kind}`,
  seenVote: (epoch: number, view: number, kind: number, signer: number) =>
    `w/${number(epoch)}/${number(view)}/${kind}/${signer}`,
  ownProposal: (epoch: number, view: number) => `p/${number(epoch)}/${number(view)}`,
  block: (hash: Uint8Array) => `b/${bytes(hash)}`,
  speculative: (height: number, hash: Uint8Array) => `u/${number(height)}/${bytes(hash)}`,
  finalHash: (height: number) => `h/${number(height)}`,
  finalization: (height: number) => `x/${number(height)}`,
  certificate: ({ epoch, view, kind, blockHash }: Subject) =>
    `c/${number(epoch)}/${number(view)}/${kind}/${bytes(blockHash.subarray(0, 8))}`,
  snapshot: (height: number) => `n/${number(height)}`,
  chunk: (height: number, index: number) => `k/${number(height)}/${number(index)}`,
  epochProof: (epoch: number) => `e/${number(epoch)}`,
  transaction: (id: Uint8Array) => `t/${bytes(id)}`,
  proof: (id: Uint8Array) => `z/${bytes(id)}`,
  record: (namespace: string, key: string) => `r/${name(namespace)}/${name(key)}`,
} as const;

export type Range = { readonly gte: string; readonly lt: string };

/** "0" is the character after "/": the end of everything below a prefix. */
const below = (prefix: string): Range => ({ gte: `${prefix}/`, lt: `${prefix}0` });

export const ranges = {
  ownVotes: (epoch: number) => below(`v/${number(epoch)}`),
  ownVotesFrom: (epoch: number): Range => ({ gte: `v/${number(epoch)}/`, lt: "v0" }),
  speculative: (height: number) => below(`u/${number(height)}`),
  allSpeculative: () => below("u"),
  /** Marks at heights up to this one. */
  speculativeUpTo: (height: number): Range => ({ gte: "u/", lt: `u/${number(height)}0` }),
  /** Finalizations at heights `from` to `to`, both included. */
  finalizations: (from: number, to: number): Range => ({
    gte: `x/${number(from)}`,
    lt: `x/${number(to)}/`,
  }),
  /** Views `from` to `to`, both included. */
  certificates: (epoch: number, from: number, to: number): Range => ({
    gte: `c/${number(epoch)}/${number(from)}/`,
    lt: `c/${number(epoch)}/${number(to)}0`,
  }),
  snapshots: () => below("n"),
  records: (namespace: string, after?: string): Range => {
    const all = below(`r/${name(namespace)}`);
    return after === undefined ? all : { gte: `${all.gte}${name(after)}\0`, lt: all.lt };
  },
  /** Everything of an epoch-keyed prefix before `epoch`. */
  before: (prefix: "v" | "p" | "c" | "w", epoch: number): Range => ({
    gte: `${prefix}/`,
    lt: `${prefix}/${number(epoch)}`,
  }),
} as const;

export const isBlockKey = (key: string): boolean => key.startsWith("b/");
/** The height of a mark of a block that is not final; undefined for any other key. */
export const heightOfMark = (key: string): number | undefined =>
  key.startsWith("u/") ? Number.parseInt(key.slice(2, 2 + NUMBER_DIGITS), 16) : undefined;

/** The part of a key after its last separator. */
export const lastPart = (key: string): string => key.slice(key.lastIndexOf("/") + 1);
