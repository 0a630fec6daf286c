/** The tree of executed blocks: verdicts, finality on a real disk, restart, import. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { CheckVerdict } from "../../../consensus/engine/protocol.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import { type Fault, FaultError, fault } from "../../../consensus/primitives/faults.ts";
import { Epoch, Height, ValidatorIndex } from "../../../consensus/primitives/units.ts";
import { stateRoot } from "../../../consensus/state/state.ts";
import type { Block } from "../../../consensus/types/block.ts";
import { nullifierOf } from "../../../consensus/types/submission.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { type FinalizedEvent, openChain } from "../../../node/chain.ts";
import { silentLog } from "../../../node/log.ts";
import { type RoundRewards, rewardOf, roundKey } from "../../../node/receipts.ts";
import { openStore } from "../../../node/store/store.ts";
import {
  certify,
  createChain,
  EPOCH,
  genesisLink,
  type Link,
  nextBlock,
  playEpoch,
  sign,
  subjectOf,
  submissionsOf,
  toPlace,
  transferOf,
} from "../../helpers/chain.ts";
import { folder, until } from "./samples.ts";

const chain = createChain();
const genesis = genesisLink(chain);

const blockOf = ({ block }: Link): Block => {
  assert.ok(block !== undefined);
  return block;
};
const finalization = (link: Link) =>
  certify(link.parent?.set ?? link.set, subjectOf(link, VoteKind.finalize), [0, 1, 2]);

/** The links above genesis, ascending. */
function pathOf(link: Link): Link[] {
  const path: Link[] = [];
  for (let at: Link | undefined = link; at?.block !== undefined; at = at.parent) path.unshift(at);
  return path;
}

async function open(t: TestContext, dir?: string) {
  const path = dir ?? (await folder(t));
  const store = await openStore(path, { chain: chain.chain });
  const checked: [string, CheckVerdict][] = [];
  const events: FinalizedEvent[] = [];
  const verified = { answer: undefined as Fault | undefined, fail: 0, count: 0 };
  /** Of anything but states. */
  const writes = { count: 0, snapshots: [] as number[] };
  /** What a state's write waits for, before it begins. */
  const gate = { wait: Promise.resolve(), reached: 0 };
  const it = await openChain(chain.genesis, {
    store: {
      ...store,
      write: async (ops) => {
        if (ops.some(({ kind }) => kind === "snapshot")) {
          gate.reached += 1;
          await gate.wait;
          writes.snapshots.push(...ops.flatMap((it) => (it.kind === "snapshot" ? it.height : [])));
        } else writes.count += 1;
        await store.write(ops);
      },
    },
    verification: {
      verifyChecks: async () => {
        verified.count += 1;
        if (verified.fail-- > 0) throw new Error("worker died");
        return verified.answer;
      },
    },
    log: silentLog,
    onChecked: (hash, verdict) => checked.push([toHex(hash), verdict]),
    onFinalized: (event) => events.push(event),
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    it.stop();
    await store.close();
  };
  t.after(close);
  return { chain: it, store, dir: path, checked, events, verified, writes, gate, close };
}

describe("a check", () => {
  test("of a good block on the tip is valid, and answered at once the second time", async (t) => {
    const node = await open(t);
    const link = nextBlock(chain, genesis);
    assert.equal(await node.chain.check(blockOf(link)), "valid");
    assert.equal(await node.chain.check(blockOf(link)), "valid");
    assert.equal(node.verified.count, 1);
    assert.deepEqual(node.chain.tip().hash, link.hash);
    assert.equal(node.chain.final().height, 0, "valid is not final");
  });

  test("asked twice at once runs once", async (t) => {
    const node = await open(t);
    const block = blockOf(nextBlock(chain, genesis));
    assert.deepEqual(await Promise.all([node.chain.check(block), node.chain.check(block)]), [
      "valid",
      "valid",
    ]);
    assert.equal(node.verified.count, 1);
  });

  test("of a block whose parents are not here is pending until they are, in whatever order they come", async (t) => {
    const node = await open(t);
    const links = pathOf(toPlace(chain, genesis, 4));
    const [first, ...rest] = links;
    assert.ok(first !== undefined);
    for (const link of rest.toReversed()) assert.equal(await node.chain.check(blockOf(link)), "pending");
    assert.equal(await node.chain.check(blockOf(first)), "valid");
    await until(() => node.checked.length === rest.length, "all orphans are answered");
    assert.deepEqual(
      node.checked,
      rest.map(({ hash }) => [toHex(hash), "valid"]),
    );
  });

  test("of a child that comes in the very turn of its parent is answered too", async (t) => {
    const node = await open(t);
    const parent = nextBlock(chain, genesis);
    const child = nextBlock(chain, parent);
    for (let ticks = 0; ticks < 8; ticks++) {
      const fresh = await open(t);
      const first = fresh.chain.check(blockOf(parent));
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      const verdict = await fresh.chain.check(blockOf(child));
      assert.equal(await first, "valid");
      if (verdict === "pending") await until(() => fresh.checked.length === 1, `answer after ${ticks} ticks`);
      await fresh.close();
    }
    assert.equal(node.checked.length, 0);
  });

  test("of a block from the future is pending until its time comes", async (t) => {
    const node = await open(t);
    const timestampMs = Date.now() + Number(chain.params.timestampAheadMs) + 150;
    const link = nextBlock(chain, genesis, { timestampMs });
    assert.equal(await node.chain.check(blockOf(link)), "pending");
    assert.deepEqual(node.checked, []);
    await until(() => node.checked.length === 1, "the time has come");
    assert.deepEqual(node.checked, [[toHex(link.hash), "valid"]]);
    const far = nextBlock(chain, genesis, { timestampMs: Number.MAX_SAFE_INTEGER - 1 });
    assert.equal(await node.chain.check(blockOf(far)), "pending");
  });

  test("of a bad block is invalid, and says why", async (t) => {
    const node = await open(t);
    const link = nextBlock(chain, genesis);
    const { header, body } = blockOf(link);
    const wrong: Block = { header: { ...header, proposer: ValidatorIndex(99) }, body };
    assert.equal(await node.chain.check(wrong), "invalid");
    const root: Block = { header: { ...header, stateRoot: new Uint8Array(32) }, body };
    assert.equal(await node.chain.check(root), "invalid");
    node.verified.answer = fault("block/reveal");
    assert.equal(await node.chain.check(blockOf(link)), "invalid");
    assert.equal(node.chain.refusalOf(link.hash)?.code, "block/reveal");
    assert.equal(node.chain.tip().height, 0);
  });

  test("is tried again when the machine failed and not the block", async (t) => {
    const node = await open(t);
    node.verified.fail = 1;
    const link = nextBlock(chain, genesis);
    assert.equal(await node.chain.check(blockOf(link)), "pending");
    await until(() => node.checked.length === 1, "tried again");
    assert.deepEqual(node.checked, [[toHex(link.hash), "valid"]]);
  });

  test("of a block beside what is final is never invalid: others may have notarized it", async (t) => {
    const node = await open(t);
    const base = nextBlock(chain, genesis);
    const beside = nextBlock(chain, base);
    const final = nextBlock(chain, base, { view: base.view + 2 });
    for (const it of [base, final]) assert.equal(await node.chain.check(blockOf(it)), "valid");
    assert.equal(await node.chain.finalize(finalization(final)), "done");
    assert.equal(await node.chain.check(blockOf(beside)), "pending");
    assert.equal(await node.chain.check(blockOf(base)), "valid", "what is final is valid");
  });
});

describe("finality", () => {
  test("of a block makes its ancestors final, in one write, and forgets its rivals", async (t) => {
    const node = await open(t);
    const first = nextBlock(chain, genesis);
    const rival = nextBlock(chain, first, { view: 7 });
    const third = nextBlock(chain, nextBlock(chain, first));
    for (const it of [...pathOf(third), rival]) await node.chain.check(blockOf(it));
    const before = node.writes.count;
    assert.equal(await node.chain.finalize(finalization(third)), "done");
    assert.equal(node.writes.count, before + 1);
    assert.deepEqual(node.store.head(), {
      height: 3,
      hash: third.hash,
      epoch: 0,
      view: blockOf(third).header.view,
    });
    assert.deepEqual(
      node.events.map(({ blocks }) => blocks.map(({ height }) => height)),
      [[1, 2, 3]],
    );
    assert.equal(node.chain.find(rival.hash), undefined);
    assert.equal(await node.chain.finalize(finalization(third)), "known");
    assert.equal(await node.chain.finalize(finalization(first)), "known");
    assert.equal(node.writes.count, before + 1);
    for (const { hash } of pathOf(third)) assert.ok(node.store.blockByHash(hash) !== undefined);
  });

  test("of a block that is not here is missing, and writes nothing", async (t) => {
    const node = await open(t);
    const second = nextBlock(chain, nextBlock(chain, genesis));
    assert.equal(await node.chain.finalize(finalization(second)), "missing");
    await node.chain.check(blockOf(second));
    assert.equal(await node.chain.finalize(finalization(second)), "missing", "pending is not executed");
    assert.equal(node.writes.count, 0);
  });

  test("takes along what the caller has to write, in the same write, or leaves it to the caller", async (t) => {
    const node = await open(t);
    const first = nextBlock(chain, genesis);
    const also = { kind: "certificate", certificate: finalization(first) } as const;
    const stored = () => node.store.certificates(Epoch(0), 1, 1);
    assert.equal(await node.chain.finalize(finalization(first), [also]), "missing");
    assert.deepEqual(await stored(), []);
    await node.chain.check(blockOf(first));
    assert.equal(await node.chain.finalize(finalization(first), [also]), "done");
    assert.equal(node.writes.count, 1);
    assert.equal((await stored()).length, 1);
  });

  test("asked many times at once is carried out once, in order", async (t) => {
    const node = await open(t);
    const path = pathOf(toPlace(chain, genesis, 3));
    for (const it of path) await node.chain.check(blockOf(it));
    const answers = await Promise.all([...path, ...path].map((it) => node.chain.finalize(finalization(it))));
    assert.deepEqual(answers, ["done", "done", "done", "known", "known", "known"]);
    assert.deepEqual(
      node.events.flatMap(({ blocks }) => blocks.map(({ height }) => height)),
      [1, 2, 3],
    );
  });

  test("wakes the blocks that waited for it", async (t) => {
    const node = await open(t);
    const [first, second] = pathOf(toPlace(chain, genesis, 2));
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(await node.chain.check(blockOf(second)), "pending");
    assert.equal(await node.chain.importFinal([blockOf(first)], finalization(first)), undefined);
    await until(() => node.checked.length === 1, "the child is answered");
    assert.deepEqual(node.checked, [[toHex(second.hash), "valid"]]);
  });
});

describe("a restart", () => {
  test("finds the same tip and root, from a snapshot and the blocks above it", async (t) => {
    const node = await open(t);
    const [alice] = chain.accounts;
    assert.ok(alice !== undefined);
    const pay = sign(chain, alice, 0, transferOf(new Uint8Array(20), 2_000_000n));
    const paid = playEpoch(chain, nextBlock(chain, playEpoch(chain, genesis), { transactions: [pay] }));
    const tip = toPlace(chain, paid, 3);
    for (const it of pathOf(tip)) {
      await node.chain.check(blockOf(it));
      assert.equal(await node.chain.finalize(finalization(it)), "done");
    }
    await until(() => node.store.snapshotHeights().at(-1) === 2 * EPOCH, "the state of the epoch's end");
    await node.close();
    const again = await open(t, node.dir);
    const final = again.chain.final();
    assert.deepEqual(final.hash, tip.hash);
    assert.deepEqual(stateRoot(final.state), stateRoot(tip.state));
    assert.deepEqual(final.set, tip.set);
    assert.equal(again.chain.finalView(), tip.view);
    assert.deepEqual(again.chain.finalCertificate(), finalization(tip));
    const next = nextBlock(chain, tip);
    assert.equal(await again.chain.check(blockOf(next)), "valid");
    assert.deepEqual(again.chain.ancestor(again.chain.tip(), 5), blockOf(pathOf(next).at(-6) ?? next).header);
    for (const nullifier of submissionsOf(chain, genesis.state).map(nullifierOf)) {
      const at = again.store.proof(nullifier);
      assert.ok(at !== undefined);
      const round = again.store.record(
        "rewards",
        roundKey(toHex(at.task), at.epoch),
      ) as unknown as RoundRewards;
      assert.ok(rewardOf(round, toHex(nullifier)) !== undefined);
    }
  });

  test("without an epoch's end replays from genesis", async (t) => {
    const node = await open(t);
    const tip = toPlace(chain, genesis, 4);
    for (const it of pathOf(tip)) await node.chain.check(blockOf(it));
    await node.chain.finalize(finalization(tip));
    await node.close();
    const again = await open(t, node.dir);
    assert.deepEqual(again.chain.final().hash, tip.hash);
    assert.deepEqual(stateRoot(again.chain.final().state), stateRoot(tip.state));
  });

  test("with a damaged snapshot is refused, not believed", async (t) => {
    const node = await open(t);
    const tip = playEpoch(chain, genesis);
    for (const it of pathOf(tip)) await node.chain.check(blockOf(it));
    await node.chain.finalize(finalization(tip));
    await until(() => node.store.snapshotHeights().length > 0, "the state of the epoch's end");
    const wrong = genesis.state.serialize();
    await node.store.write([{ kind: "snapshot", height: Height(EPOCH), bytes: wrong }]);
    await node.close();
    await assert.rejects(
      open(t, node.dir),
      (error) => error instanceof FaultError && error.code === "node/store-corrupt",
    );
  });
});

describe("the state of an epoch's end", () => {
  const path = pathOf(nextBlock(chain, playEpoch(chain, playEpoch(chain, playEpoch(chain, genesis)))));
  const [tip] = path.slice(-1);
  const linkAt = (height: number): Link => {
    const link = path[height - 1];
    assert.ok(link !== undefined);
    return link;
  };
  type Opened = Awaited<ReturnType<typeof open>>;
  const finalizeTo = async (node: Opened, height: number): Promise<void> => {
    for (let at = node.chain.final().height + 1; at <= height; at++) {
      assert.equal(await node.chain.check(blockOf(linkAt(at))), "valid");
      assert.equal(await node.chain.finalize(finalization(linkAt(at))), "done");
    }
  };
  /** One that is being written and does not come to an end. */
  const halt = (node: Opened): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    node.gate.wait = promise;
    return resolve;
  };

  test("is not waited for by finality, and the next epoch's proof is there without it", async (t) => {
    const node = await open(t);
    const release = halt(node);
    await finalizeTo(node, EPOCH + 3);
    assert.equal(node.chain.final().height, EPOCH + 3);
    assert.deepEqual(node.store.snapshotHeights(), []);
    assert.ok(node.store.epochProof(0) !== undefined);
    release();
    await until(() => node.store.snapshotHeights().length > 0, "the state");
    assert.deepEqual(node.store.snapshot(Height(EPOCH)), linkAt(EPOCH).state.serialize());
  });

  test("that a crash prevented costs a restart time and nothing else, and is written then", async (t) => {
    const node = await open(t);
    await finalizeTo(node, EPOCH);
    await until(() => node.writes.snapshots.length === 1, "the first state");
    halt(node);
    await finalizeTo(node, 2 * EPOCH + 2);
    // The process ends here: what waits is never written.
    await node.close();
    const again = await open(t, node.dir);
    assert.deepEqual(again.chain.final().hash, linkAt(2 * EPOCH + 2).hash);
    assert.deepEqual(stateRoot(again.chain.final().state), stateRoot(linkAt(2 * EPOCH + 2).state));
    await until(() => again.store.snapshotHeights().length === 2, "the state that was missing");
    assert.deepEqual(again.store.snapshotHeights(), [EPOCH, 2 * EPOCH]);
    await again.close();
    const last = await open(t, node.dir);
    assert.deepEqual(last.chain.final().hash, linkAt(2 * EPOCH + 2).hash);
    await finalizeTo(last, path.length);
    assert.deepEqual(last.writes.snapshots.includes(2 * EPOCH), false, "it is there already");
  });

  test("is given up by a stop while it is being made, and finished while it is being written", async (t) => {
    const node = await open(t);
    await finalizeTo(node, EPOCH);
    await node.close();
    assert.deepEqual(node.writes.snapshots, [], "nothing is written after the stop");
    const again = await open(t, node.dir);
    await until(() => again.writes.snapshots.length === 1, "its write");
    await again.close();
    const last = await open(t, node.dir);
    assert.deepEqual(last.store.snapshotHeights(), [EPOCH]);
    assert.deepEqual(last.chain.final().hash, linkAt(EPOCH).hash);
  });

  test("that waits is replaced by the next one's", async (t) => {
    const node = await open(t);
    const release = halt(node);
    await finalizeTo(node, EPOCH);
    await until(() => node.gate.reached === 1, "the first end's write");
    await finalizeTo(node, path.length);
    release();
    await until(() => node.store.snapshotHeights().at(-1) === 3 * EPOCH, "the newest state");
    assert.deepEqual(node.writes.snapshots, [EPOCH, 3 * EPOCH]);
  });

  test("of runs that follow each other is the last one's alone", async (t) => {
    const node = await open(t);
    for (const end of [EPOCH, 2 * EPOCH, 3 * EPOCH]) {
      const run = path.slice(end - EPOCH, end).map(blockOf);
      assert.equal(await node.chain.importFinal(run, finalization(linkAt(end))), undefined);
    }
    await until(() => node.writes.snapshots.length > 0, "a pause of the runs");
    assert.deepEqual(node.writes.snapshots, [3 * EPOCH]);
    assert.ok([0, 1, 2].every((epoch) => node.store.epochProof(epoch) !== undefined));
    assert.ok(tip !== undefined);
    assert.equal(await node.chain.check(blockOf(tip)), "valid");
  });
});

describe("an import of final blocks", () => {
  test("executes them, writes once, and passes over those that are here", async (t) => {
    const node = await open(t);
    const path = pathOf(toPlace(chain, genesis, 5));
    const [first, second] = path;
    const last = path.at(-1);
    assert.ok(first !== undefined && second !== undefined && last !== undefined);
    await node.chain.check(blockOf(first));
    await node.chain.finalize(finalization(first));
    await node.chain.check(blockOf(second));
    const before = node.writes.count;
    assert.equal(await node.chain.importFinal(path.map(blockOf), finalization(last)), undefined);
    assert.equal(node.writes.count, before + 1);
    assert.deepEqual(node.chain.final().hash, last.hash);
    assert.equal(await node.chain.importFinal(path.map(blockOf), finalization(last)), undefined);
    assert.equal(node.writes.count, before + 1, "nothing new, nothing written");
    assert.equal(node.verified.count, 2, "a quorum has verified the others");
  });

  test("of blocks that do not execute changes nothing", async (t) => {
    const node = await open(t);
    const path = pathOf(toPlace(chain, genesis, 3));
    const last = path.at(-1);
    assert.ok(last !== undefined);
    const blocks = path.map(blockOf);
    const emptied = blocks.map((it, i) =>
      i === 1 ? { ...it, body: { ...it.body, beaconReveal: new Uint8Array(96) } } : it,
    );
    assert.equal((await node.chain.importFinal(emptied, finalization(last)))?.code, "block/body-root");
    assert.equal((await node.chain.importFinal(blocks.slice(1), finalization(last)))?.code, "block/header");
    assert.equal(node.chain.final().height, 0);
    assert.equal(node.writes.count, 0);
    assert.equal(await node.chain.importFinal(blocks, finalization(last)), undefined);
  });
});
