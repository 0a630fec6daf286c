/**
 * The 24 attacks on coins minted for quality, each under its name: what the design answers is shown here, on the
 * real operations and settlements. What it does not answer is in docs/economics.md, with the reason.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VerificationKey } from "../../../circuits/verification-key.ts";
import { toHex } from "../../../consensus/primitives/bytes.ts";
import type { Fault } from "../../../consensus/primitives/faults.ts";
import { Amount, Epoch, Height, ValidatorIndex, zkp } from "../../../consensus/primitives/units.ts";
import { applySubmission } from "../../../consensus/state/apply-submission.ts";
import { collectChecks } from "../../../consensus/state/checks.ts";
import { settleSponsoredLane, splitFee } from "../../../consensus/state/issuance.ts";
import { constantsOf, type EpochReceipt } from "../../../consensus/state/settle-epoch.ts";
import { fork, LANE, stateRoot } from "../../../consensus/state/state.ts";
import { contextOf } from "../../../consensus/state/transition.ts";
import { outputAt } from "../../../consensus/types/outputs.ts";
import {
  bytesToField,
  fieldToBytes,
  inputsHashOf,
  type Submission,
  submissionRoot,
} from "../../../consensus/types/submission.ts";
import { OPERATION_NAMES, SELECTOR } from "../../../consensus/types/transaction.ts";
import { FIELD_ORDER, SHAPES } from "../../../consensus/work/gradient.ts";
import { createVerification } from "../../../node/verification.ts";
import { createChain, genesisLink, nextBlock, submissionOf } from "../../helpers/chain.ts";
import { joined, split } from "../../helpers/outputs.ts";
import {
  bursting,
  exactCopy,
  generatedPool,
  honest,
  labelFlip,
  nearCopy,
  randomRows,
  shuffled,
  zeroGradient,
} from "../../simulate/populations.ts";
import { createWorld, podIdOf, rootOfPod, type TaskOptions, type Worker } from "../../simulate/world.ts";

const pool = generatedPool("attacks", 64, 2);
const HONEST = ["h0", "h1", "h2", "h3", "h4"];

type Setup = { readonly task?: TaskOptions; readonly publicTask?: boolean; readonly batches?: number };

/** Five honest pods and some others, drawn from now on. */
function start(others: Readonly<Record<string, Worker>> = {}, setup: Setup = {}) {
  const { publicTask = true, batches = 64 } = setup;
  const names = [...HONEST, ...Object.keys(others)];
  const world = createWorld({
    params: { slicesPerRound: "4" },
    accounts: { sponsor: 10_000, rich: 10_000, ...Object.fromEntries(names.map((name) => [name, 100])) },
  });
  for (const name of HONEST) world.addPod(name, honest(), { batches });
  world.goTo(2);
  for (const [name, worker] of Object.entries(others)) world.addPod(name, worker, { batches });
  const task = world.addTask("sponsor", pool, { rounds: 12, lead: 2, roundPay: zkp(1), ...setup.task });
  if (publicTask) world.approve(task);
  for (const name of names) assert.equal(world.enroll(name, task), undefined);
  world.epoch();
  world.epoch();
  return { world, task, earned: () => new Map<string, bigint>(names.map((name) => [name, 0n])) };
}

/** What each pod is paid over some epochs. */
function play({ world, earned }: ReturnType<typeof start>, rounds: number): Map<string, bigint> {
  const sums = earned();
  for (let i = 0; i < rounds; i++) add(sums, world, world.epoch());
  world.checkSupply();
  return sums;
}
function add(
  sums: Map<string, bigint>,
  world: ReturnType<typeof start>["world"],
  receipt: EpochReceipt,
): void {
  for (const { contributions } of receipt.rounds) {
    for (const { podId, amount } of contributions) {
      const name = world.podName(podId);
      sums.set(name, (sums.get(name) ?? 0n) + amount);
    }
  }
}
const honestSum = (sums: Map<string, bigint>): bigint =>
  HONEST.reduce((sum, name) => sum + (sums.get(name) ?? 0n), 0n);

/** The first slot's submission on a copy of the state, changed; the fault that it meets. */
function tried(
  { world }: ReturnType<typeof start>,
  change: (submission: Submission) => Partial<Submission>,
  before: readonly number[] = [],
): Fault | undefined {
  const state = fork(world.state);
  const context = { params: world.params, proposer: ValidatorIndex(0), place: 1 };
  for (const slot of before) {
    const first = world.submissionFor(0, slot);
    assert.ok(first !== undefined && !("code" in applySubmission(state, first, context)));
  }
  const submission = world.submissionFor(0, 0);
  assert.ok(submission !== undefined);
  const result = applySubmission(state, { ...submission, ...change(submission) }, context);
  return "code" in result ? result : undefined;
}

describe("the 24 attacks", () => {
  test("1 Sybil pods: a slot costs a unit of bond, under one identity or many", () => {
    const setting = start();
    const { world, task } = setting;
    world.addPod("big", honest(), { owner: "rich", bond: 3n * world.params.bondUnit });
    assert.equal(world.enroll("big", task, { owner: "rich", slots: 4 })?.code, "pod/slots-exceed-bond");
    assert.equal(world.enroll("big", task, { owner: "rich", slots: 3 }), undefined);
    const twice = world.addTask("sponsor", pool, { rounds: 1 });
    assert.equal(world.enroll("big", twice, { owner: "rich" })?.code, "pod/slots-exceed-bond");
  });

  test("2 Replay: a submission holds for one chain, task and epoch", () => {
    const setting = start();
    const { world } = setting;
    assert.equal(
      tried(setting, () => ({})),
      undefined,
    );
    assert.equal(
      tried(setting, ({ epoch }) => ({ epoch: Epoch(epoch - 1) }))?.code,
      "submission/epoch-mismatch",
    );
    const old = world.submissionFor(0, 0);
    assert.ok(old !== undefined);
    world.epoch();
    const renamed = tried(setting, () => ({ inputsHash: old.inputsHash }));
    assert.equal(renamed?.code, "submission/inputs-mismatch", "the epoch is a public input");
    assert.notDeepEqual(submissionRoot(new Uint8Array(32), old), submissionRoot(world.state.chain, old));
  });

  test("3 Re-randomised duplicate: other proof bytes are the same submission", () => {
    const code = tried(start(), () => ({ proof: new Uint8Array(128).fill(1) }), [0])?.code;
    assert.equal(code, "submission/nullifier-spent");
  });

  test("4 Input aliasing: an output past the field's order is refused, and inputs are rebuilt, not sent", () => {
    const alias = ({ outputs }: Submission) => ({
      outputs: joined(split(outputs).with(0, fieldToBytes(bytesToField(outputAt(outputs, 0)) + FIELD_ORDER))),
    });
    assert.equal(tried(start(), alias)?.code, "submission/signal-out-of-field");
    const submission = start().world.submissionFor(0, 0);
    assert.ok(submission !== undefined && !("inputs" in submission));
  });

  test("5 Proof theft: a slot is its pod's, whose account alone is paid", () => {
    const setting = start({ thief: honest() });
    const { world } = setting;
    assert.equal(tried(setting, () => ({ podId: podIdOf("nobody") }))?.code, "submission/slot-not-yours");
    const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
    const thief = slots.findIndex(({ podId }) => world.same(podId, podIdOf("thief")));
    const stolen = tried(setting, () => ({ slot: thief, podId: podIdOf("thief") }));
    assert.equal(stolen?.code, "submission/inputs-mismatch", "podId is a public input");
  });

  test("6 Proposer censorship: what one leaves out the next includes, and earns by", () => {
    const setting = start();
    const { world } = setting;
    const wealth = [0, 1, 2, 3].map((i) => world.wealth(`v${i}`));
    const receipt = world.epoch({ censors: (validator) => validator === 0 });
    assert.equal(receipt.rounds[0]?.contributions.length, 5);
    const gains = wealth.map((before, i) => world.wealth(`v${i}`) - before);
    assert.ok(gains.slice(1).every((gain) => gain > (gains[0] ?? 0n)));
    world.checkSupply();
  });

  test("7 Self-dealing sponsor: a mint is at most nine tenths of the burn", () => {
    const setting = start({}, { publicTask: false, task: { roundPay: zkp(2) } });
    const { world, task } = setting;
    const all = () =>
      ["sponsor", ...HONEST, "v0", "v1", "v2", "v3"].reduce((sum, name) => sum + world.wealth(name), 0n) +
      world.task(task).escrow;
    let cost = 0n;
    for (let i = 0; i < 4; i++) {
      const before = all();
      const { minted, burned } = world.epoch();
      assert.ok(10n * minted <= 9n * burned);
      assert.ok(all() < before, "at least the reveal's fee");
      cost += burned - minted;
    }
    assert.ok(cost > 0n);
  });

  test("8 Quality grinding: the beacon chooses the batch, and a slot takes one answer", () => {
    const setting = start();
    const { world } = setting;
    const slot = world.state.rounds.getReadonly(0).slots.getReadonly(0).toValue();
    assert.equal(
      tried(
        setting,
        (it) => ({
          outputs: joined(
            split(it.outputs).map((out, i) => (i < 2 ? fieldToBytes(bytesToField(out) ^ 1n) : out)),
          ),
        }),
        [0],
      )?.code,
      "submission/slot-filled",
    );
    // Another batch of the own root is another public input.
    const inputs = [1n, 2n];
    assert.notDeepEqual(
      inputsHashOf(new Uint8Array(32), [...inputs, BigInt(slot.batchIndex)]),
      inputsHashOf(new Uint8Array(32), [...inputs, BigInt(slot.batchIndex + 1)]),
    );
    const batches = new Set<number>();
    for (let i = 0; i < 4; i++) {
      world.epoch();
      batches.add(world.state.rounds.getReadonly(0).slots.getReadonly(0).batchIndex);
    }
    assert.ok(batches.size > 1);
  });

  test("9 Test-set leakage: roots that are younger than the first reveal are never drawn", () => {
    const setting = start();
    const { world, task } = setting;
    world.epoch();
    assert.ok(world.task(task).revealedFrom > 0);
    world.addPod("late", honest(), { owner: "rich" });
    assert.equal(world.enroll("late", task, { owner: "rich" })?.code, "pod/root-too-late");
    // Nor one that was registered and enrolled in the very block of the reveal, in front of it.
    const other = start();
    other.world.submitAll();
    other.world.close();
    other.world.goTo(Number(other.world.params.epochHeights) - 1);
    other.world.addPod("quick", honest(), { owner: "rich" });
    assert.equal(other.world.enroll("quick", other.task, { owner: "rich" }), undefined);
    assert.equal(other.world.reveal(0), undefined);
    other.world.settle();
    for (let i = 0; i < 4; i++) {
      const slots = other.world.state.rounds.getReadonly(0).slots.getAllReadonly();
      assert.equal(slots.length, HONEST.length);
      assert.ok(slots.every(({ podId }) => !world.same(podId, podIdOf("quick"))));
      other.world.epoch();
    }
    // What a sponsor leaks of its own pool is bounded by what it burns.
    const [mint = 0n] = settleSponsoredLane(0n, [splitFee(zkp(1)).burned], constantsOf(world.params));
    assert.ok(mint * 10n <= splitFee(zkp(1)).burned * 9n);
  });

  test("10 Beacon bias: the mix comes from unique reveals, not from who signed", () => {
    const chain = createChain();
    const mixes = [
      [0, 1, 2, 3],
      [0, 1, 2],
      [1, 2, 3],
    ].map((late) => {
      let at = genesisLink(chain);
      for (let i = 0; i < 8; i++) at = nextBlock(chain, at, { late });
      return toHex(at.state.beacon.mix);
    });
    assert.equal(new Set(mixes).size, 1);
  });

  test("11 Fabricated private data: what does not help on unseen rows earns nothing", () => {
    const sums = play(start({ random: randomRows(), zero: zeroGradient }), 5);
    assert.ok(honestSum(sums) > 0n);
    assert.equal(sums.get("zero"), 0n);
    assert.ok((sums.get("random") ?? 0n) * 20n < honestSum(sums), String(sums.get("random")));
  });

  test("12 Lazy duplicate data: a batch is paid to the older root alone, a near copy shares", () => {
    const setting = start({ copy: exactCopy("h0"), near: nearCopy("h1") }, { batches: 1 });
    const { world } = setting;
    const receipt = world.epoch();
    const outcomes = new Map(receipt.rounds[0]?.contributions.map((it) => [world.podName(it.podId), it]));
    const [copy, refused] = [outcomes.get("copy"), receipt.refused.map(({ pod }) => pod)];
    if (copy === undefined) assert.deepEqual(refused, ["copy"]);
    else assert.deepEqual([copy.fate, copy.amount, refused], ["copy", 0n, []]);
    assert.ok((outcomes.get("h0")?.amount ?? 0n) > 0n);
    const [first, second] = [outcomes.get("h1"), outcomes.get("near")];
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(first.fate, "merged");
    assert.equal(first.amount, second.amount);
  });

  test("13 Copying updates: another's outputs are another's nullifier and batch", () => {
    const setting = start();
    const { world } = setting;
    const other = world.submissionFor(0, 1);
    assert.ok(other !== undefined);
    assert.equal(tried(setting, () => ({ outputs: other.outputs }), [1])?.code, "submission/nullifier-spent");
    const renamed = tried(
      setting,
      (it) => ({ outputs: joined(split(other.outputs).with(0, outputAt(it.outputs, 0))) }),
      [1],
    );
    assert.equal(renamed?.code, "submission/data-tag-seen");
  });

  test("14 Verdict copying: every node scores for itself and gets the same state", () => {
    const roots = [0, 1].map(() => {
      const setting = start({ flip: labelFlip() });
      play(setting, 2);
      return toHex(stateRoot(setting.world.state));
    });
    assert.equal(roots[0], roots[1]);
    assert.ok(!OPERATION_NAMES.some((name) => /score|rate|weight/.test(name)), "there is nothing to vote on");
  });

  test("16 Invalid proof in a block: the block is invalid, whoever proposed it", async () => {
    const chain = createChain();
    const genesis = genesisLink(chain);
    const { block } = nextBlock(chain, genesis, {
      submissions: [submissionOf(chain, genesis.state, 0, 0)],
    });
    assert.ok(block !== undefined);
    const checks = collectChecks(genesis.state, genesis.set, block, contextOf(block.header, chain.params));
    assert.ok(!("code" in checks));
    const [submission] = checks.submissions;
    assert.ok(submission !== undefined);
    const key = {} as VerificationKey;
    const verdictIf = (holds: boolean): Promise<Fault | undefined> =>
      createVerification(
        { keys: new Map([[toHex(submission.proof.vkHash), key]]) },
        { verifier: { verify: async (jobs) => jobs.map(() => holds) } },
      ).verifyChecks(checks);
    assert.equal(await verdictIf(true), undefined, "nothing else is wrong with it");
    const wrong = await verdictIf(false);
    assert.equal(wrong?.code, "block/submission");
    assert.match(String(wrong?.data?.cause), /^submission\/proof-/);
  });

  test("17 Invalid-proof spam: a false proof costs a tenth of the bond, and the slot", () => {
    const setting = start();
    const { world } = setting;
    const lie = world.submissionFor(0, 0);
    assert.ok(lie !== undefined);
    const name = world.podName(lie.podId);
    const { bond } = world.pod(name);
    world.must("rich", { selector: SELECTOR.podEvidence, value: { submission: lie } });
    assert.equal(world.pod(name).bond, bond - bond / 10n);
    world.checkSupply();
    world.epoch();
    const slots = world.state.rounds.getReadonly(0).slots.getAllReadonly();
    assert.ok(slots.every(({ podId }) => !world.same(podId, lie.podId)));
  });

  test("18 Difficulty hopping: a burst lifts the target by at most a 64th, and less than working always pays", () => {
    const steady = play(start({ me: honest() }), 8);
    const burst = play(start({ me: bursting(4, honest()) }), 8);
    assert.ok((burst.get("me") ?? 0n) < (steady.get("me") ?? 0n));
    const { world } = start();
    const before = world.state.issuance.target;
    world.epoch();
    assert.ok(world.state.issuance.target <= before + before / 64n + 1n);
  });

  test("19 Padded circuits: weights are the catalogue's, and no task brings a shape of its own", () => {
    const { world } = start();
    const { operation } = world.taskOf("sponsor", pool);
    assert.equal(operation.selector, SELECTOR.taskCreate);
    const shape = new TextEncoder().encode("gradient-4096x2");
    const refused = world.send("sponsor", { ...operation, value: { ...operation.value, shape } } as never);
    assert.equal(refused?.code, "task/shape-unlisted");
    assert.ok(SHAPES.every(({ weight }) => weight >= 1 && weight <= 2));
  });

  test("20 Wrong verification key: the key's hash is part of what a pod signs and of the task's id", () => {
    const setting = start();
    const { world } = setting;
    const inputs = [1n, 2n];
    assert.notDeepEqual(inputsHashOf(new Uint8Array(32), inputs), inputsHashOf(rootOfPod("x"), inputs));
    const catalogue = world.state.circuits.hashTreeRoot();
    play(setting, 1);
    assert.deepEqual(world.state.circuits.hashTreeRoot(), catalogue);
  });

  test("21 Poisoned update: it is screened out, and a round that does not help moves nothing", () => {
    const flips = Array.from({ length: 6 }, (_, i): [string, Worker] => [`flip${i}`, labelFlip()]);
    const setting = start({ ...Object.fromEntries(flips), mixed: shuffled() });
    const alone = honestSum(play(start(), 3));
    const sums = play(setting, 3);
    const liars = flips.reduce((sum, [flip]) => sum + (sums.get(flip) ?? 0n), 0n);
    assert.ok(20n * liars < honestSum(sums), "on four rows, of which one in sixteen is wrong anyway");
    assert.ok(2n * honestSum(sums) > alone, "more liars than honest pods take next to nothing from these");
    const bad = start();
    for (const name of HONEST) bad.world.setWorker(name, labelFlip());
    const model = bad.world.task(bad.task).model.getAll();
    const receipt = bad.world.epoch();
    assert.equal(receipt.minted, 0n);
    assert.deepEqual(bad.world.task(bad.task).model.getAll(), model);
  });

  test("22 Whitewashing: a new identity has no reputation, and an old one keeps its marks", () => {
    const setting = start();
    const { world, task } = setting;
    const lie = world.submissionFor(0, 0);
    assert.ok(lie !== undefined);
    const name = world.podName(lie.podId);
    world.must("rich", { selector: SELECTOR.podEvidence, value: { submission: lie } });
    world.must(name, { selector: SELECTOR.podExit, value: { podId: lie.podId } });
    for (let i = 0; i < 4; i++) world.epoch();
    assert.deepEqual([world.pod(name).bond, world.pod(name).slashes], [0n, 1]);
    const bond = Amount(world.params.bondUnit);
    const again = world.send("rich", { selector: 1, value: { podId: lie.podId, bond } });
    assert.equal(again?.code, "pod/already-registered");
    world.addPod("fresh", honest(), { owner: "rich" });
    const picky = world.addTask("sponsor", pool, { minAccepted: 1, rounds: 1 });
    assert.equal(world.enroll("fresh", picky, { owner: "rich" })?.code, "pod/reputation-low");
    assert.equal(world.enroll("fresh", task, { owner: "rich" })?.code, "pod/root-too-late");
  });

  test("23 Leaving before the evidence: a bond stays for the whole window", () => {
    const setting = start();
    const { world } = setting;
    const lie = world.submissionFor(0, 0);
    assert.ok(lie !== undefined);
    const name = world.podName(lie.podId);
    world.must(name, { selector: SELECTOR.podExit, value: { podId: lie.podId } });
    for (let i = 0; i < Number(world.params.podEvidenceEpochs); i++) world.epoch();
    const { bond } = world.pod(name);
    assert.equal(bond, world.params.bondUnit, "nothing has gone back yet");
    world.must("rich", { selector: SELECTOR.podEvidence, value: { submission: lie } });
    assert.equal(world.pod(name).bond, bond - bond / 10n);
    world.epoch();
    assert.equal(world.pod(name).bond, 0n);
    world.checkSupply();
  });

  test("24 Capture of the public lane: two of four validators approve nothing, and nobody adds a circuit", () => {
    const { world } = start();
    const task = world.addTask("sponsor", pool, { lead: 2 });
    world.approve(task, 2);
    world.epoch();
    assert.equal(world.task(task).lane, LANE.sponsored);
    assert.ok(!OPERATION_NAMES.some((name) => name.includes("circuit")));
    assert.equal(world.state.height, Height(world.state.epoch * Number(world.params.epochHeights) + 1));
  });
});
