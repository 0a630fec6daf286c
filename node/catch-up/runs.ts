/**
 * Final blocks above the own tip. A short run comes with the finalization of its last block. Where none fits
 * into an answer, the certificate and the headers below it come first, down to the own tip, so that every
 * hash is fixed before a block is taken; then the blocks come page by page. Called by catch-up.ts.
 */
import { verifyAggregate } from "../../consensus/primitives/bls.ts";
import { equalBytes } from "../../consensus/primitives/bytes.ts";
import { epochOfHeight } from "../../consensus/primitives/params.ts";
import { Height } from "../../consensus/primitives/units.ts";
import { type Block, blockHash, bodyRoot, type Header } from "../../consensus/types/block.ts";
import { type Certificate, verifyCertificate } from "../../consensus/types/certificate.ts";
import { VoteKind } from "../../consensus/types/vote.ts";
import type { Chain } from "../chain.ts";
import type { Log } from "../log.ts";
import { BLOCKS_PER_RESPONSE_MAX, HEADERS_PER_RESPONSE_MAX } from "../network/requests.ts";
import type { Asking, Judgement } from "./asking.ts";

export type RunsComponents = {
  readonly chain: Pick<Chain, "chain" | "params" | "final" | "importFinal">;
  readonly log: Log;
  isStopped(): boolean;
  onImported(certificate: Certificate): Promise<void>;
};

export type Runs = ReturnType<typeof createRuns>;

type Certified = { readonly header: Header; readonly certificate: Certificate };

const hasItsBody = ({ header, body }: Block): boolean => equalBytes(bodyRoot(body), header.bodyRoot);

export function createRuns({ chain, log, isStopped, onImported }: RunsComponents) {
  const nextHeight = (): Height => Height(chain.final().height + 1);

  /** Whether a set's quorum finalized exactly this header. */
  const isFinalized = ({ header, certificate }: Certified): boolean => {
    const { kind, blockHash: certified } = certificate.subject;
    return (
      kind === VoteKind.finalize &&
      equalBytes(certified, blockHash(header)) &&
      verifyCertificate(chain.chain, chain.final().set, certificate, verifyAggregate)
    );
  };

  /** Whether the blocks follow on the own tip, in its epoch. */
  const isLinked = (blocks: readonly Block[]): boolean => {
    const { hash, state } = chain.final();
    let parent = hash;
    for (const [i, { header }] of blocks.entries()) {
      if (header.height !== state.height + 1 + i || header.epoch !== state.epoch) return false;
      if (!equalBytes(header.parentHash, parent)) return false;
      parent = blockHash(header);
    }
    return true;
  };

  /** Executes blocks whose hashes a certificate fixes; false if they do not hold here. */
  const take = async (blocks: readonly Block[], certificate: Certificate): Promise<boolean> => {
    const wrong = await chain.importFinal(blocks, certificate);
    if (wrong === undefined) return true;
    log.error({ fromHeight: blocks[0]?.header.height ?? 0, ...wrong }, "final blocks do not execute here");
    return false;
  };

  /** The next certificate above the own tip. */
  const certified = async (asking: Asking): Promise<Certified | undefined> => {
    const fromHeight = nextHeight();
    return asking.ask({ kind: "finalization", fromHeight }, ({ header, certificate }): Judgement => {
      const { state } = chain.final();
      if (nextHeight() !== fromHeight) return "nothing"; // consensus was faster
      if (header.epoch !== state.epoch || header.height < fromHeight) return "wrong";
      if (epochOfHeight(header.height, chain.params) !== state.epoch) return "wrong";
      return isFinalized({ header, certificate }) ? "right" : "wrong";
    });
  };

  /**
   * The hashes from `from` up to the certified header, by the headers in between: each page is fixed by the
   * one above it, so that a false one is noticed at once. An epoch has so many at most.
   */
  const hashesDown = async (
    asking: Asking,
    from: Height,
    top: Header,
  ): Promise<{ hashes: Uint8Array[]; below: Uint8Array } | undefined> => {
    const hashes = [blockHash(top)];
    let at = top;
    const follows = (headers: readonly Header[]): boolean => {
      let above = at;
      for (const header of headers) {
        if (header.height !== above.height - 1 || header.height < from || header.epoch !== top.epoch)
          return false;
        if (!equalBytes(blockHash(header), above.parentHash)) return false;
        above = header;
      }
      return true;
    };
    while (at.height > from) {
      const toHeight = Height(at.height - 1);
      const count = Math.min(HEADERS_PER_RESPONSE_MAX, at.height - from);
      const page = await asking.ask({ kind: "headers", toHeight, count }, ({ headers }): Judgement => {
        if (headers.length === 0) return "nothing";
        return follows(headers) ? "right" : "wrong";
      });
      if (page === undefined || isStopped()) return undefined;
      for (const header of page.headers) {
        hashes.push(blockHash(header));
        at = header;
      }
    }
    return { hashes: hashes.reverse(), below: at.parentHash };
  };

  /** Blocks up to a certificate however far above; false if peers have not got all of them. */
  const takeLong = async (asking: Asking): Promise<boolean> => {
    const { hash } = chain.final();
    const from = nextHeight();
    const next = await certified(asking);
    if (next === undefined) return nextHeight() !== from;
    const fixed = await hashesDown(asking, from, next.header);
    if (fixed === undefined) return false;
    if (!equalBytes(fixed.below, hash)) {
      log.error({ height: from }, "a quorum finalized what does not follow from what is final here");
      return false;
    }
    const { header: top, certificate } = next;
    while (chain.final().height < top.height) {
      const fromHeight = nextHeight();
      const count = Math.min(BLOCKS_PER_RESPONSE_MAX, top.height - fromHeight + 1);
      const page = await asking.ask({ kind: "blocks", fromHeight, count }, ({ blocks }): Judgement => {
        if (blocks.length === 0) return "nothing";
        const isFixed = (block: Block, i: number): boolean =>
          i < count &&
          equalBytes(blockHash(block.header), fixed.hashes[fromHeight - from + i] ?? hash) &&
          hasItsBody(block);
        return blocks.every(isFixed) ? "right" : "wrong";
      });
      if (page === undefined || isStopped() || !(await take(page.blocks, certificate))) return false;
    }
    await onImported(certificate);
    return true;
  };

  return {
    /** The next run of blocks; false if nobody had anything that helps. */
    async takeNext(asking: Asking): Promise<boolean> {
      const fromHeight = nextHeight();
      const request = { kind: "blocks", fromHeight, count: BLOCKS_PER_RESPONSE_MAX } as const;
      const run = await asking.ask(request, ({ blocks, certificate }): Judgement => {
        const last = blocks.at(-1);
        if (last === undefined) return certificate === undefined ? "nothing" : "wrong";
        if (nextHeight() !== fromHeight) return "right"; // consensus was faster, and this is for nothing
        if (!isLinked(blocks)) return "wrong";
        if (certificate === undefined) return "right";
        const isRight = isFinalized({ header: last.header, certificate }) && blocks.every(hasItsBody);
        return isRight ? "right" : "wrong";
      });
      if (run === undefined) return false;
      if (nextHeight() !== fromHeight) return true;
      const { blocks, certificate } = run;
      if (certificate === undefined) return takeLong(asking);
      if (!(await take(blocks, certificate))) return false;
      await onImported(certificate);
      return true;
    },
  };
}
