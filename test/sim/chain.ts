/**
 * The simulator's trivial application: blocks with empty bodies, a state root that hashes the
 * parent's, and the header's rules. One per node; used by node.ts.
 */
import { equalBytes, toHex, uint64Bytes } from "../../consensus/primitives/bytes.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import type { Epoch, Height, View } from "../../consensus/primitives/units.ts";
import { type Block, BodyType, blockHash, bodyRoot, type Header } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { ZERO32 } from "../../consensus/types/ssz.ts";
import { proposerOf, type ValidatorSet } from "../../consensus/types/validator-set.ts";

export type Executed = {
  readonly height: Height;
  readonly stateRoot: Uint8Array;
  readonly timestampMs: number;
  readonly header: Header | undefined;
};

export type Chain = {
  readonly executed: Map<string, Executed>;
  /** "pending" if the parent is not executed yet, or until the timestamp comes. */
  verdict(block: Block, nowMs: number): "valid" | "invalid" | "pending";
  build(parent: Uint8Array, at: BuildAt): Block | undefined;
};

export type BuildAt = {
  readonly epoch: Epoch;
  readonly view: View;
  readonly parentView: View;
  readonly parentCertificate: Certificate | undefined;
  readonly lateCertificate: Certificate | undefined;
  readonly nowMs: number;
};

export const GENESIS_HASH: Uint8Array = hash("chain-id", new TextEncoder().encode("simulated genesis"));
/** How far ahead of the local clock a timestamp may be. */
const AHEAD_MS = 2000;

export const stateRootOf = (parent: Uint8Array, height: number): Uint8Array =>
  hash("beacon", parent, uint64Bytes(height));

/** The block `distance` heights below, in the same epoch. */
export function ancestorOf(chain: Chain, header: Header, distance: number): Header | undefined {
  let at: Header | undefined = header;
  for (let i = 0; i < distance && at !== undefined; i++) {
    const parent: Header | undefined = chain.executed.get(toHex(at.parentHash))?.header;
    at = parent?.epoch === header.epoch ? parent : undefined;
  }
  return at;
}

export function createChain(intervalMs: number, setOf: (epoch: Epoch) => ValidatorSet): Chain {
  const executed = new Map<string, Executed>();
  executed.set(toHex(GENESIS_HASH), {
    height: 0 as Height,
    stateRoot: ZERO32,
    timestampMs: 0,
    header: undefined,
  });
  return {
    executed,
    verdict(block, nowMs) {
      const { header } = block;
      const name = toHex(blockHash(header));
      if (executed.has(name)) return "valid";
      const parent = executed.get(toHex(header.parentHash));
      if (parent === undefined) return "pending";
      const set = setOf(header.epoch);
      const follows =
        header.height === parent.height + 1 &&
        header.timestampMs >= parent.timestampMs + intervalMs &&
        header.proposer === set.members[proposerOf(set, header.view)]?.validator &&
        equalBytes(header.stateRoot, stateRootOf(parent.stateRoot, header.height));
      if (!follows) return "invalid";
      if (header.timestampMs > nowMs + AHEAD_MS) return "pending";
      const { height, stateRoot, timestampMs } = header;
      executed.set(name, { height, stateRoot, timestampMs, header });
      return "valid";
    },
    build(parentHash, { epoch, view, parentView, parentCertificate, lateCertificate, nowMs }) {
      const parent = executed.get(toHex(parentHash));
      if (parent === undefined) return undefined;
      const set = setOf(epoch);
      const body = {
        ...BodyType.defaultValue(),
        parentCertificate: parentCertificate === undefined ? [] : [parentCertificate],
        lateCertificate: lateCertificate === undefined ? [] : [lateCertificate],
        transactions: [],
      } as Block["body"];
      const member = set.members[proposerOf(set, view)];
      if (member === undefined) return undefined;
      const height = (parent.height + 1) as Height;
      const header: Header = {
        height,
        epoch,
        view,
        parentHash,
        parentView,
        proposer: member.validator,
        timestampMs: Math.max(Math.round(nowMs), parent.timestampMs + intervalMs),
        stateRoot: stateRootOf(parent.stateRoot, height),
        bodyRoot: bodyRoot(body),
      };
      const { stateRoot, timestampMs } = header;
      executed.set(toHex(blockHash(header)), { height, stateRoot, timestampMs, header });
      return { header, body };
    },
  };
}
