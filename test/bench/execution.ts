/**
 * What blocks of submissions cost two nodes, a proposer and another validator, from the proposal until they are
 * final on disk: without a network, and without verifying signatures and proofs. Processor time of all threads, so
 * that the disk's and the collector's are in it; and what of it is the main thread's, and what garbage it makes.
 *
 * The chain is that of the throughput bench. Its sponsor opens nothing, so that an epoch's end scores nothing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { GCProfiler } from "node:v8";
import { concatBytes, toHex } from "../../consensus/primitives/bytes.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { closePlace, placeInEpoch } from "../../consensus/primitives/params.ts";
import { View } from "../../consensus/primitives/units.ts";
import { checkSubmission } from "../../consensus/state/apply-submission.ts";
import { submissionChecks } from "../../consensus/state/checks.ts";
import { statementOf } from "../../consensus/state/inputs.ts";
import type { State } from "../../consensus/state/state.ts";
import { buildSteps } from "../../consensus/state/transition.ts";
import { type Block, blockHash, bodyRoot, type Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { decode } from "../../consensus/types/ssz.ts";
import { fieldsToBytes, SubmissionType } from "../../consensus/types/submission.ts";
import { proposerOf } from "../../consensus/types/validator-set.ts";
import { type Vote, VoteKind } from "../../consensus/types/vote.ts";
import { gradientOf, toField } from "../../consensus/work/gradient.ts";
import { genesisState } from "../../genesis/state.ts";
import { openChain } from "../../node/chain.ts";
import { createAssembler } from "../../node/compact.ts";
import { silentLog } from "../../node/log.ts";
import { createMempool } from "../../node/mempool.ts";
import { decodeBlocksMessage, encodeProposal } from "../../node/network/compact.ts";
import { openStore } from "../../node/store/store.ts";
import { inTurns, TURN_MS, UNWANTED } from "../../node/turns.ts";
import { commitHoldout } from "../../pod/holdout.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { certify, fieldBytes } from "../helpers/chain.ts";
import type { Figure } from "./figure.ts";
import { dataOf, documentOf, pods, SHAPE } from "./throughput-chain.ts";

const WARM_EPOCHS = 2;
const EPOCHS = 4;
const SIZES = [128, 512] as const;
/** Validators, of which one builds a block: what a node spends on a submission in the long run. */
const NODES = 4;
/** Blocks do not wait for the clock here, so the chain begins long before. */
const PAST_MS = 3_600_000;
/** For the background to write the state of an epoch's end. */
const SNAPSHOTS_MS = 400;
const PEER = { peerId: "peer", blsKey: undefined, address: "" } as const;
const SIGNATURE = new Uint8Array(96).fill(7);

const data = dataOf();
const circuit = await circuitFor(SHAPE.id);
const pool = commitHoldout(data.holdout, SHAPE.features);
const genesis = genesisState(documentOf(circuit, data, pool, Date.now() - PAST_MS));
const { params, chain: tag } = genesis;
const crowd = new Map(pods().map(({ podId }, i) => [toHex(podId), i]));

/** The bytes of a submission for each slot that was drawn; proofs and signatures are none. */
function drawn(state: State): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let index = 0; index < state.tasks.length; index++) {
    const task = state.tasks.getReadonly(index);
    const { slots } = state.rounds.getReadonly(index);
    for (let slot = 0; slot < slots.length; slot++) {
      const at = slots.getReadonly(slot).toValue();
      const about = `${toHex(task.id)}/${state.epoch}/${slot}`;
      const batch = data.batch(crowd.get(toHex(at.podId)) ?? 0, at.batchIndex);
      const gradient = gradientOf(new Array<number>(SHAPE.features + 1).fill(0), batch);
      all.push(
        SubmissionType.serialize({
          task: task.id,
          epoch: state.epoch,
          slot,
          podId: at.podId,
          inputsHash: statementOf(state, task, at).inputsHash,
          outputs: concatBytes(
            fieldBytes(`nullifier/${about}`),
            fieldBytes(`tag/${about}`),
            fieldsToBytes(gradient.map(toField)),
          ),
          proof: noise(`proof/${about}`, 128),
          signature: noise(`signature/${about}`, 64),
        }),
      );
    }
  }
  return all;
}

/** As incompressible as a proof. */
const noise = (text: string, length: number): Uint8Array =>
  new Uint8Array(Buffer.concat(Array.from({ length: length / 32 }, (_, i) => fieldBytes(`${text}/${i}`))));

type Node = Awaited<ReturnType<typeof openNode>>;

async function openNode() {
  const dir = await mkdtemp(join(tmpdir(), "zkp-bench-execution-"));
  const store = await openStore(dir, { chain: tag });
  const mempool = createMempool(params, tag);
  const chain = await openChain(genesis, {
    store,
    verification: { verifyChecks: () => Promise.resolve(undefined) },
    log: silentLog,
    onChecked: () => undefined,
    onFinalized: ({ blocks }) => {
      for (const { state, receipt } of blocks) mempool.onFinalized(state, receipt);
    },
  });
  const assembler = createAssembler({
    chain,
    store,
    pool: { transaction: mempool.transactionByRoot, submission: mempool.submissionByRoot },
    network: {
      request: () => Promise.reject(new Error("nothing is missing here")),
      blame: () => invariant(false, "nobody lies in a bench"),
    },
    log: silentLog,
    view: () => View(1),
  });
  return {
    chain,
    store,
    mempool,
    /** As admission leaves it. */
    admit(bytes: Uint8Array): void {
      const submission = decode(SubmissionType, bytes);
      invariant(submission !== undefined, "a submission");
      const { state } = chain.tip();
      const accepted = checkSubmission(state, submission, { params, proposer: 0 as never, place: 1 });
      invariant(!("code" in accepted), "the state takes it");
      submissionChecks(tag, submission, accepted);
      mempool.addSubmission(submission);
    },
    /** As network and intake do, and the engine before anything else. */
    receive(message: Uint8Array): Proposal {
      const read = decodeBlocksMessage(message);
      invariant(read !== undefined, "a message");
      let whole: Proposal | undefined = read.selector === 0 ? read.value : undefined;
      if (read.selector === 1)
        assembler.assemble(read.value, PEER, (proposal) => {
          whole = proposal;
        });
      invariant(whole !== undefined, "everything is here");
      const { header, body } = whole.block;
      invariant(toHex(bodyRoot(body)) === toHex(header.bodyRoot), "its body");
      return whole;
    },
    async close(): Promise<void> {
      chain.stop();
      await store.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

type Spent = { cpuMs: number; mainMs: number; garbage: number };
type Ledger = Map<string, Spent>;

const heapNow = (): number => process.memoryUsage().heapUsed;
const msOf = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** What a step took, the disk's threads and the collector's included. */
async function spend<T>(ledger: Ledger, name: string, step: () => T | Promise<T>): Promise<T> {
  const profiler = new GCProfiler();
  profiler.start();
  const heap = heapNow();
  const [all, main] = [process.cpuUsage(), process.threadCpuUsage()];
  const result = await step();
  const cpuMs = msOf(process.cpuUsage(all));
  const mainMs = msOf(process.threadCpuUsage(main));
  const left = heapNow();
  const collected = profiler
    .stop()
    .statistics.reduce(
      (sum, { beforeGC, afterGC }) =>
        sum + beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize,
      0,
    );
  const spent = ledger.get(name) ?? { cpuMs: 0, mainMs: 0, garbage: 0 };
  spent.cpuMs += cpuMs;
  spent.mainMs += mainMs;
  spent.garbage += left + collected - heap;
  ledger.set(name, spent);
  return result;
}

/** One block, from the proposer's pool until both nodes have it final on disk. */
async function playBlock(proposer: Node, validator: Node, ledger: Ledger, suffix: string): Promise<void> {
  const on = <T>(name: string, step: () => T | Promise<T>): Promise<T> =>
    spend(ledger, `${name}${suffix}`, step);
  const parent = proposer.chain.final();
  const { state, set } = parent;
  const view = View(placeInEpoch(state.height + 1, params));
  const position = proposerOf(set, view);
  const member = set.members[position];
  invariant(member !== undefined, "a set has members");
  const certificate = proposer.chain.finalCertificate();
  const ancestor = view > Number(params.lateDistance) ? proposer.chain.ancestor(parent, 3) : undefined;
  const late =
    ancestor === undefined
      ? undefined
      : certify(
          set,
          {
            kind: VoteKind.notarize,
            epoch: ancestor.epoch,
            view: ancestor.view,
            parentView: ancestor.parentView,
            blockHash: blockHash(ancestor),
          },
          [0, 1, 2],
        );
  const built = await on("build", async () => {
    const header = {
      view,
      parentView: View(view - 1),
      proposer: member.validator,
      timestampMs: state.timestampMs + Number(params.blockIntervalMs),
    };
    const input = {
      header,
      beaconReveal: SIGNATURE,
      parentCertificate: certificate,
      lateCertificate: late,
      evidence: [],
      ...proposer.mempool.candidates(state),
    };
    const done = await inTurns(buildSteps(parent, input, params), TURN_MS.blocks);
    invariant(done !== UNWANTED, "it is wanted");
    proposer.chain.addBuilt(blockHash(done.block.header), done);
    return done.block;
  });
  const hash = blockHash(built.header);
  const { epoch, parentView } = built.header;
  const subject = { kind: VoteKind.notarize, epoch, view, parentView, blockHash: hash };
  const vote: Vote = { subject, signer: position, signature: SIGNATURE };
  const proposal: Proposal = { block: built, vote, justification: { nullifications: [], notarization: [] } };
  const message = await on("propose", async () => {
    await proposer.store.write([
      { kind: "block", hash, block: built },
      { kind: "own-vote", subject, proposal },
    ]);
    return encodeProposal(proposal);
  });
  const received = await on("complete", () => validator.receive(message));
  await on("check", async () => {
    invariant((await validator.chain.check(received.block)) === "valid", "the block holds");
  });
  await on("vote", () => voteFor(validator, received.block, hash, VoteKind.notarize));
  const notarization = certify(set, subject, [0, 1, 2]);
  for (const node of [proposer, validator]) {
    await on("final", async () => {
      const block = node === proposer ? built : received.block;
      await voteFor(node, block, hash, VoteKind.finalize, notarization);
      const done = await node.chain.finalize(
        certify(set, { ...subject, kind: VoteKind.finalize }, [0, 1, 2]),
      );
      invariant(done === "done", "it becomes final");
    });
  }
}

/** As the driver writes before a vote is signed. */
function voteFor(
  { store }: Node,
  block: Block,
  hash: Uint8Array,
  kind: typeof VoteKind.notarize | typeof VoteKind.finalize,
  certificate?: Certificate,
): Promise<void> {
  const { epoch, view, parentView } = block.header;
  return store.write([
    ...(certificate === undefined ? [] : [{ kind: "certificate", certificate } as const]),
    { kind: "own-vote", subject: { kind, epoch, view, parentView, blockHash: hash } },
    { kind: "block", hash, block },
  ]);
}

async function measure(size: number): Promise<{ ledger: Ledger; submissions: number; empty: number }> {
  const [proposer, validator] = [await openNode(), await openNode()];
  let ledger: Ledger = new Map();
  let submissions = 0;
  let empty = 0;
  for (let epoch = 0; epoch < WARM_EPOCHS + EPOCHS; epoch++) {
    if (epoch === WARM_EPOCHS) [ledger, submissions, empty] = [new Map(), 0, 0];
    const waiting = drawn(proposer.chain.final().state);
    for (let place = 1; place <= Number(params.epochHeights); place++) {
      const some = place < closePlace(params) ? waiting.splice(0, size) : [];
      for (const node of [proposer, validator])
        await spend(ledger, "admit", () => {
          for (const bytes of some) node.admit(bytes);
        });
      const isLast = place === Number(params.epochHeights);
      const suffix = isLast ? " (last)" : some.length === 0 ? " (empty)" : "";
      await playBlock(proposer, validator, ledger, suffix);
      submissions += some.length;
      empty += some.length === 0 && !isLast ? 1 : 0;
      // The state of an epoch's end is written in the background.
      if (isLast) await spend(ledger, "snapshots", () => pause(SNAPSHOTS_MS));
    }
    invariant(waiting.length === 0, "all submissions found a place");
  }
  await proposer.close();
  await validator.close();
  return { ledger, submissions, empty };
}

/** Nodes that take each step of a block, of those that there are. */
const STEPS = [
  ["build", 1],
  ["propose", 1],
  ["complete", NODES - 1],
  ["check", NODES - 1],
  ["vote", NODES - 1],
  // Measured on both.
  ["final", NODES / 2],
] as const;

export async function* bench(): AsyncGenerator<Figure> {
  for (const size of SIZES) {
    const { ledger, submissions, empty } = await measure(size);
    const of = `execution: blocks of ${size}`;
    const figures = function* (name: string, per: number, spent: Spent): Generator<Figure> {
      yield { name: `${of}: ${name}`, value: (1000 * spent.cpuMs) / per, unit: "µs" };
      if (name.includes("a node"))
        yield { name: `${of}: ${name}, main thread`, value: (1000 * spent.mainMs) / per, unit: "µs" };
      yield { name: `${of}: ${name}, garbage`, value: spent.garbage / per / 1024, unit: "KiB" };
    };
    for (const [suffix, about, per] of [
      ["", "a submission", submissions],
      [" (empty)", "an empty block", empty],
      [" (last)", "an epoch's end", EPOCHS],
    ] as const) {
      const sum: Spent = { cpuMs: 0, mainMs: 0, garbage: 0 };
      for (const [step, nodes] of STEPS) {
        const spent = ledger.get(`${step}${suffix}`);
        invariant(spent !== undefined, "each step was taken");
        const times = step === "final" ? 2 : 1;
        if (suffix !== " (last)" || step === "check" || step === "final")
          yield* figures(`${about}: ${step}`, per * times, spent);
        sum.cpuMs += (spent.cpuMs * nodes) / NODES;
        sum.mainMs += (spent.mainMs * nodes) / NODES;
        sum.garbage += (spent.garbage * nodes) / NODES;
      }
      yield* figures(`${about}: a node, one of ${NODES}`, per, sum);
    }
    const admit = ledger.get("admit");
    const snapshots = ledger.get("snapshots");
    if (admit !== undefined)
      yield* figures("a submission: as admission would, apart", submissions * 2, admit);
    if (snapshots !== undefined) yield* figures("an epoch's end: state to disk", EPOCHS * 2, snapshots);
  }
}
