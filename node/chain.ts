/**
 * The blocks that this node has executed: the finalized tip, and above it a tree of valid blocks that
 * are not final yet, each with its post-state. Answers the engine's `check`, carries out its `finalize`
 * in one synced write; so are runs of blocks and a state that catch-up verified. Made by node.ts.
 */
import type { CheckVerdict } from "../consensus/engine/protocol.ts";
import { equalBytes, toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, invariant } from "../consensus/primitives/faults.ts";
import type { Steps } from "../consensus/primitives/steps.ts";
import { View } from "../consensus/primitives/units.ts";
import type { AcceptedSubmission } from "../consensus/state/apply-submission.ts";
import { checkSteps } from "../consensus/state/checks.ts";
import type { State } from "../consensus/state/state.ts";
import {
  type BlockReceipt,
  blockSteps,
  contextOf,
  executionSteps,
  headerSteps,
} from "../consensus/state/transition.ts";
import { type Block, blockHash, type Header } from "../consensus/types/block.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import type { Genesis } from "../genesis/state.ts";
import {
  baseOps,
  type Executed,
  executed,
  finalOps,
  headOf,
  loadFinal,
  parentOf,
  stateOf,
} from "./executed.ts";
import type { Log } from "./log.ts";
import type { Scoring } from "./scoring.ts";
import { createSnapshots } from "./snapshots.ts";
import type { StoreOp } from "./store/ops.ts";
import type { Store } from "./store/store.ts";
import { inTurns, TURN_MS, UNWANTED } from "./turns.ts";
import type { Verification } from "./verification.ts";

/** Blocks above the finalized tip that are kept, and blocks that may wait for a parent or for their time. */
const TREE_MAX = 256;
const WAITING_MAX = 256;
/** Newest final headers: a proposer asks for its block's ancestor a few heights below. */
const HEADERS_MAX = 16;
/** How long to wait before asking again when the machine itself failed, not the block. */
const RETRY_MS = 250;

export type FinalizedEvent = { readonly blocks: readonly Executed[]; readonly certificate: Certificate };

export type ChainComponents = {
  readonly store: Pick<
    Store,
    "head" | "write" | "blockAt" | "blockByHash" | "finalizationAt" | "snapshot" | "snapshotHeights"
  >;
  readonly verification: Pick<Verification, "verifyChecks">;
  /** Scores rounds ahead of the block that needs them; without it that block does. */
  readonly scoring?: Pick<Scoring, "prepare" | "score">;
  readonly log: Log;
  /** A verdict that came after "pending". */
  onChecked(hash: Uint8Array, verdict: CheckVerdict): void;
  onFinalized(event: FinalizedEvent): void;
};

export type Chain = Awaited<ReturnType<typeof openChain>>;

export async function openChain(genesis: Genesis, components: ChainComponents) {
  const { store, verification, scoring, log, onChecked, onFinalized } = components;
  const { params } = genesis;

  const loaded = loadFinal(genesis, store);
  let { final } = loaded;
  let finalCertificate = final.block === undefined ? undefined : store.finalizationAt(final.height);
  let finalView: View = store.head()?.view ?? View(0);
  /** Valid blocks above the finalized one, by hash. */
  const tree = new Map<string, Executed>();
  /** Blocks whose parent is not executed here yet, by the parent's hash. */
  const orphans = new Map<string, Map<string, Block>>();
  const headers = new Map<string, Header>();
  const timers = new Set<NodeJS.Timeout>();
  const inHand = new Map<string, Promise<CheckVerdict>>();
  /** Why the newest blocks were refused, for people. */
  const refusals = new Map<string, Fault>();
  let stopped = false;
  const isRunning = (): boolean => !stopped;
  const snapshots = createSnapshots({ store, log });
  if (loaded.boundary !== undefined) snapshots.want(loaded.boundary, { inRun: false });

  const find = (hash: Uint8Array): Executed | undefined =>
    toHex(hash) === toHex(final.hash) ? final : tree.get(toHex(hash));

  const add = (it: Executed): void => {
    if (tree.size >= TREE_MAX) tree.delete(tree.keys().next().value ?? "");
    tree.set(toHex(it.hash), it);
    scoring?.prepare(it.state, params);
    const children = orphans.get(toHex(it.hash));
    orphans.delete(toHex(it.hash));
    for (const block of children?.values() ?? []) again(block);
  };

  const again = (block: Block): void => {
    // A check that is about to answer "pending" would answer for this one too: first let it end.
    Promise.resolve(inHand.get(toHex(blockHash(block.header))))
      .then(() => check(block))
      .then((verdict) => {
        if (verdict !== "pending") onChecked(blockHash(block.header), verdict);
      })
      .catch((error: unknown) => log.error({ error: String(error) }, "check failed"));
  };

  const later = (block: Block, delayMs: number): CheckVerdict => {
    if (timers.size < WAITING_MAX && !stopped) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (!stopped) again(block);
      }, delayMs);
      timers.add(timer);
    }
    return "pending";
  };

  const refuse = (block: Block, reason: Fault): CheckVerdict => {
    if (refusals.size >= WAITING_MAX) refusals.delete(refusals.keys().next().value ?? "");
    refusals.set(toHex(blockHash(block.header)), reason);
    log.warn({ height: block.header.height, view: block.header.view, ...reason }, "block refused");
    return "invalid";
  };

  const execute = async (block: Block, hash: Uint8Array): Promise<CheckVerdict> => {
    const { header } = block;
    const parent = find(header.parentHash);
    if (parent === undefined) {
      // It competes with what is final. That decides nothing about its validity, and nobody needs to know.
      if (header.height <= final.height) return "pending";
      const siblings = orphans.get(toHex(header.parentHash)) ?? new Map<string, Block>();
      if (orphans.size < WAITING_MAX && siblings.size < 8)
        orphans.set(toHex(header.parentHash), siblings.set(toHex(hash), block));
      return "pending";
    }
    // Other events have their turn from here on: the chain may go on meanwhile, and the verdict is the same.
    const wrong = await inTurns(headerSteps(parentOf(parent), block, params), TURN_MS.blocks, isRunning);
    if (wrong === UNWANTED) return "pending";
    if (wrong !== undefined) return refuse(block, wrong);
    const ahead = header.timestampMs - Date.now() - Number(params.timestampAheadMs);
    if (ahead > 0) return later(block, Math.min(ahead, 60_000));
    let verifying: Promise<Fault | { readonly failed: string } | undefined> | undefined;
    // Workers verify while the transition ends here.
    const verify = function* (included: readonly AcceptedSubmission[]): Steps<Fault | undefined> {
      const checks = yield* checkSteps(parent.state, parent.set, block, contextOf(header, params), included);
      if ("code" in checks) return checks;
      verifying = verification.verifyChecks(checks).catch((error: unknown) => ({ failed: String(error) }));
      return undefined;
    };
    const applied = await inTurns(
      executionSteps(parentOf(parent), block, params, { score: scoring?.score, onBody: verify }),
      TURN_MS.blocks,
      isRunning,
    );
    const verified = await verifying;
    if (applied === UNWANTED) return "pending";
    invariant(verifying !== undefined || "code" in applied, "no block is valid whose checks were not made");
    if (verified !== undefined && "failed" in verified) {
      log.error({ error: verified.failed }, "proofs of a block could not be verified; trying again");
      return later(block, RETRY_MS);
    }
    if ("code" in applied) return refuse(block, applied);
    if (verified !== undefined) return refuse(block, verified);
    if (header.height > final.height) add(executed(hash, block, applied.state, applied.receipt));
    return "valid";
  };

  /** Rule N5. Final blocks and blocks checked before are answered at once. */
  const check = (block: Block): Promise<CheckVerdict> => {
    const hash = blockHash(block.header);
    const name = toHex(hash);
    if (find(hash) !== undefined) return Promise.resolve("valid");
    if (block.header.height <= final.height) {
      const known = store.blockAt(block.header.height);
      if (known !== undefined && toHex(blockHash(known.header)) === name) return Promise.resolve("valid");
    }
    const running = inHand.get(name);
    if (running !== undefined) return running;
    const started = execute(block, hash).finally(() => inHand.delete(name));
    inHand.set(name, started);
    return started;
  };

  /** The blocks from the one above the finalized tip to `hash`; undefined if one is missing. */
  const pathTo = (hash: Uint8Array): Executed[] | undefined => {
    const path: Executed[] = [];
    for (
      let at = tree.get(toHex(hash));
      at !== undefined;
      at = tree.get(toHex(at.block?.header.parentHash ?? at.hash))
    ) {
      path.unshift(at);
      if (at.block !== undefined && toHex(at.block.header.parentHash) === toHex(final.hash)) return path;
      if (path.length > TREE_MAX) break;
    }
    return undefined;
  };

  /** Finalizations, one at a time: each is judged against the tip that the one before left. */
  let last: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };

  /** One synced batch, and then everybody hears of it. Gives the newest epoch's end that was executed here. */
  const write = async (
    path: readonly Executed[],
    certificate: Certificate,
    ops: readonly StoreOp[] = finalOps(path, certificate),
  ): Promise<Executed | undefined> => {
    const newest = path.at(-1);
    invariant(newest !== undefined, "a finalization finalizes something");
    await store.write(ops);
    final = newest;
    for (const { hash, block } of path) {
      if (headers.size >= HEADERS_MAX) headers.delete(headers.keys().next().value ?? "");
      if (block !== undefined) headers.set(toHex(hash), block.header);
    }
    // Catch-up may stop below the block that the certificate names: then the tip has none of its own.
    finalCertificate = equalBytes(certificate.subject.blockHash, newest.hash) ? certificate : undefined;
    finalView = headOf(newest, certificate).view;
    prune();
    onFinalized({ blocks: path, certificate });
    return path.findLast(({ receipt }) => receipt.epoch !== undefined);
  };

  const prune = (): void => {
    for (const [name, it] of tree) if (it.height <= final.height) tree.delete(name);
    for (const [name, blocks] of orphans) {
      for (const [hash, block] of blocks) if (block.header.height <= final.height) blocks.delete(hash);
      if (blocks.size === 0) orphans.delete(name);
    }
    for (const block of [...(orphans.get(toHex(final.hash))?.values() ?? [])]) {
      orphans.delete(toHex(final.hash));
      again(block);
    }
  };

  return {
    params,
    chain: genesis.chain,
    genesisRoot: genesis.root,
    score: scoring?.score,
    check,
    find,
    /** An own block: valid by construction. */
    addBuilt: (
      hash: Uint8Array,
      { block, state, receipt }: { block: Block; state: State; receipt: BlockReceipt },
    ): void => {
      if (block.header.height > final.height) add(executed(hash, block, state, receipt));
    },
    /** The finalized tip, the certificate that made it final, and that certificate's view. */
    final: (): Executed => final,
    finalCertificate: (): Certificate | undefined => finalCertificate,
    finalView: (): View => finalView,
    /** The highest valid block known: what admission judges by, and what people see as `height`. */
    tip(): Executed {
      let best = final;
      for (const it of tree.values()) if (it.height > best.height) best = it;
      return best;
    },
    /** Valid blocks above the finalized one. */
    pending: (): Executed[] => [...tree.values()],
    /** Header of an ancestor, `distance` below a block. */
    ancestor(from: Executed, distance: number): Header | undefined {
      let at: Header | undefined = from.block?.header;
      for (let i = 0; i < distance && at !== undefined; i++) {
        const { parentHash } = at;
        at =
          find(parentHash)?.block?.header ??
          headers.get(toHex(parentHash)) ??
          store.blockByHash(parentHash)?.header;
      }
      return at;
    },
    /**
     * "missing" means that an ancestor is not here: the node must catch up. What is to be written `also`
     * is, in the same batch, if the answer is "done"; otherwise it is left to the caller.
     */
    finalize: (
      certificate: Certificate,
      also: readonly StoreOp[] = [],
    ): Promise<"done" | "known" | "missing"> =>
      alone(async () => {
        const { blockHash: hash } = certificate.subject;
        if (toHex(hash) === toHex(final.hash)) return "known";
        const path = pathTo(hash);
        if (path === undefined) {
          const block = store.blockByHash(hash);
          return block !== undefined && block.header.height <= final.height ? "known" : "missing";
        }
        const boundary = await write(path, certificate, [...also, ...finalOps(path, certificate)]);
        if (boundary !== undefined) snapshots.want(boundary, { inRun: false });
        return "done";
      }),
    /**
     * Blocks that a verified finalization of the last one, or of a descendant of it, makes final: executed,
     * their roots compared, their signatures and proofs taken on the word of the quorum that finalized
     * them. Those that are final here already are passed over. Nothing is done once the chain was stopped.
     */
    importFinal: (blocks: readonly Block[], certificate: Certificate): Promise<Fault | undefined> =>
      alone(async () => {
        const path: Executed[] = [];
        let at = final;
        for (const block of blocks) {
          if (block.header.height <= final.height) continue;
          const known = tree.get(toHex(blockHash(block.header)));
          const applied =
            known ?? (await inTurns(blockSteps(parentOf(at), block, params), TURN_MS.blocks, isRunning));
          if (applied === UNWANTED) return undefined;
          if ("code" in applied) return applied;
          at = known ?? executed(blockHash(block.header), block, applied.state, applied.receipt);
          path.push(at);
        }
        const boundary = path.length === 0 ? undefined : await write(path, certificate);
        if (boundary !== undefined) snapshots.want(boundary, { inRun: true });
        return undefined;
      }),
    /**
     * The state after a final block that its certificate was verified for, as others sent it; undefined if
     * its root is not the header's. The node goes on from there, without the blocks below.
     */
    adopt: (block: Block, certificate: Certificate, bytes: Uint8Array): Promise<Executed | undefined> =>
      alone(async () => {
        const state = stateOf(bytes, block.header.stateRoot);
        if (state === undefined || state.height !== block.header.height) return undefined;
        const base = executed(blockHash(block.header), block, state);
        // Consensus may have been faster.
        if (base.height > final.height)
          await write([base], certificate, baseOps(base, block, certificate, bytes));
        return base;
      }),
    refusalOf: (hash: Uint8Array): Fault | undefined => refusals.get(toHex(hash)),
    stop(): void {
      stopped = true;
      snapshots.stop();
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
