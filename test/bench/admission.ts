/**
 * What a submission costs a node from its bytes until it is in the pool: decoded, asked of the state, signed and
 * hashed, counted, pooled. Signatures and proofs hold by themselves, and there is no network and no worker: what is
 * left is what this bench is about. The chain is that of `throughput`, 1,024 submissions an epoch.
 *
 * Times are of the processor, all threads, so the collector's work is in them. Garbage is what the heap and the
 * arrays beside it grow by while one bundle is admitted; bundles in which something was collected don't count.
 */
import assert from "node:assert/strict";
import { getHeapStatistics } from "node:v8";
import { toHex } from "../../consensus/primitives/bytes.ts";
import { invariant } from "../../consensus/primitives/faults.ts";
import { Height } from "../../consensus/primitives/units.ts";
import { fork, fromInt32, type State } from "../../consensus/state/state.ts";
import { bytesToField, type Submission } from "../../consensus/types/submission.ts";
import { gradientOf, toField } from "../../consensus/work/gradient.ts";
import { genesisState } from "../../genesis/state.ts";
import { createAdmission } from "../../node/admission.ts";
import { createBundles } from "../../node/bundles.ts";
import { createMempool } from "../../node/mempool.ts";
import { decodeGossip, encodeGossip } from "../../node/network/topics.ts";
import { createRelayLimits } from "../../node/relay-limits.ts";
import { createVerification } from "../../node/verification.ts";
import { commitHoldout } from "../../pod/holdout.ts";
import { buildSubmission, type DrawnSlot, inputsOf } from "../../pod/submission.ts";
import { circuitFor } from "../circuits/proofs.ts";
import { fieldBytes } from "../helpers/chain.ts";
import { type Figure, median } from "./figure.ts";
import { dataOf, documentOf, pods, SHAPE } from "./throughput-chain.ts";

const ROUNDS = 21;
const WARM_ROUNDS = 6;
/** Members of a bundle, and whether a peer sent it. */
const CASES = [
  { name: "gossiped, 32 a bundle", size: 32, from: "peer" },
  { name: "gossiped, 16 a bundle", size: 16, from: "peer" },
  { name: "by RPC, 16 at a time", size: 16, from: undefined },
] as const;
type Case = (typeof CASES)[number];

type World = {
  readonly state: State;
  readonly genesis: ReturnType<typeof genesisState>;
  readonly keys: Parameters<typeof createVerification>[0]["keys"];
  readonly submissions: readonly Submission[];
};

async function makeWorld(): Promise<World> {
  const circuit = await circuitFor(SHAPE.id);
  const data = dataOf();
  const genesis = genesisState(documentOf(circuit, data, commitHoldout(data.holdout, SHAPE.features)));
  const { state } = genesis;
  const placeOf = new Map(pods().map(({ podId }, i) => [toHex(podId), i]));
  const submissions: Submission[] = [];
  for (let at = 0; at < state.tasks.length; at++) {
    const task = state.tasks.getReadonly(at);
    const { slots } = state.rounds.getReadonly(at);
    for (let slot = 0; slot < slots.length; slot++) {
      const { podId, dataRoot, batchIndex } = slots.getReadonly(slot);
      const model = task.model.getAll().map(fromInt32);
      const drawn: DrawnSlot = {
        ...{ task: task.id, shape: SHAPE, vkHash: task.vkHash, epoch: state.epoch, slot },
        ...{ podId, dataRoot, batchIndex, model },
      };
      const gradient = gradientOf(model, data.batch(placeOf.get(toHex(podId)) ?? 0, batchIndex));
      const names = ["nullifier", "tag", "proof", "signature"].map((it) => fieldBytes(`${it}/${at}/${slot}`));
      const [nullifier, tag, proof, signature] = names;
      invariant(
        nullifier !== undefined && tag !== undefined && proof !== undefined && signature !== undefined,
        "four names",
      );
      const publicSignals = [
        bytesToField(nullifier),
        bytesToField(tag),
        ...gradient.map(toField),
        ...inputsOf(drawn),
      ];
      const unsigned = buildSubmission(drawn, {
        proof: new Uint8Array(Buffer.concat([proof, proof, proof, proof])),
        publicSignals,
      });
      submissions.push({ ...unsigned, signature: new Uint8Array(Buffer.concat([signature, signature])) });
    }
  }
  return {
    state,
    genesis,
    keys: new Map([[toHex(state.tasks.getReadonly(0).vkHash), circuit.verificationKey]]),
    submissions,
  };
}

/** A node's door whose verifier says yes. */
function open({ genesis, keys }: World, state: State) {
  const { chain, params } = genesis;
  const mempool = createMempool(params, chain);
  const limits = createRelayLimits({ network: { blame: () => invariant(false, "nobody is at fault") } });
  const network = { publish: () => {} };
  const bundles = createBundles({
    mempool,
    network,
    admit: (bundle, from) => admission.admitBundle(bundle, from),
  });
  const admission = createAdmission({
    chain: { params, chain, tip: () => ({ state, height: Height(0) }) },
    mempool,
    verification: createVerification(
      { keys },
      {
        verifier: { verify: async (jobs) => jobs.map(() => true) },
        signatures: { verify: (checks) => checks.map(() => true) },
      },
    ),
    network,
    bundles,
    limits,
    onRejected: () => invariant(false, "nothing is wrong"),
    onPooled: () => {},
  });
  return { admission, bundles, mempool };
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const bytesHeld = (): number => {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
};

/** Decodes and admits all bundles; `after` is told what each made the heap grow by. */
async function admitAll(
  world: World,
  { from }: Case,
  bundles: readonly Uint8Array[],
  after?: (bytes: number) => void,
) {
  // A state of its own: each round, as each epoch, makes its statements anew.
  const node = open(world, fork(world.state));
  for (const bytes of bundles) {
    const before = after === undefined ? 0 : bytesHeld();
    const message = decodeGossip("submissions", bytes);
    assert.ok(message?.topic === "submissions");
    if (from === undefined) {
      const verdicts = await Promise.all(message.value.map((it) => node.admission.admitSubmission(it)));
      assert.ok(verdicts.every(({ kind }) => kind === "accept"));
    } else assert.equal((await node.bundles.judge(message.value, from)).kind, "accept");
    after?.(bytesHeld() - before);
  }
  assert.equal(node.mempool.counts().submissions, world.submissions.length);
}

const bundlesOf = ({ submissions }: World, { size }: Case): Uint8Array[] =>
  Array.from({ length: Math.ceil(submissions.length / size) }, (_, i) =>
    encodeGossip({ topic: "submissions", value: submissions.slice(size * i, size * (i + 1)) }),
  );

export async function* bench(): AsyncGenerator<Figure> {
  const world = await makeWorld();
  const count = world.submissions.length;
  const cases = CASES.map((it) => ({
    it,
    bundles: bundlesOf(world, it),
    us: [] as number[],
    bytes: [] as number[],
  }));
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
    for (const { it, bundles, us } of cases) {
      const before = cpuUs();
      await admitAll(world, it, bundles);
      if (round >= 0) us.push((cpuUs() - before) / count);
    }
  }
  for (const { it, bundles, us, bytes } of cases) {
    await admitAll(world, it, bundles, (grown) => void (grown > 0 && bytes.push(grown / it.size)));
    yield { name: `admission: ${it.name}`, value: median(us), unit: "µs" };
    yield { name: `admission: ${it.name}, garbage`, value: median(bytes) / 1024, unit: "KiB" };
  }
}
