/**
 * One of the four nodes of the bench of blocks: a network, a pool of submissions, and what makes whole proposals
 * of compact ones. Blocks are random bytes; every node makes the same ones. The receivers are workers, made by
 * blocks.ts, and answer each whole proposal with a vote.
 */
import { createHash } from "node:crypto";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { equalBytes, toHex } from "../../consensus/primitives/bytes.ts";
import { fault, invariant } from "../../consensus/primitives/faults.ts";
import { Epoch, Height, ValidatorIndex, View } from "../../consensus/primitives/units.ts";
// Sets the hasher that nodes use.
import "../../consensus/state/state.ts";
import { type Block, blockHash, bodyRoot, type Proposal } from "../../consensus/types/block.ts";
import { type Submission, submissionContentRoot } from "../../consensus/types/submission.ts";
import { type Vote, VoteKind } from "../../consensus/types/vote.ts";
import { createAssembler } from "../../node/compact.ts";
import { blsSecretKey, devKey, libp2pKey } from "../../node/keys.ts";
import { silentLog } from "../../node/log.ts";
import { partsOf } from "../../node/network/compact.ts";
import { helloRoot } from "../../node/network/hello.ts";
import { createNetwork, type NetworkComponents } from "../../node/network/network.ts";

const CHAIN = new Uint8Array(32).fill(7);
/** Every how manieth submission a receiver lacks, by the kind of a proposal; 1 is all of them, 0 none. */
const LACKING = [0, 0, 10, 1] as const;
export const KINDS = ["whole", "held", "tenth-missing", "none-held"] as const;
/** The kind of a round's proposal. */
export const kindOf = (view: number): number => view % KINDS.length;

/** So many bytes, the same for the same text. */
function bytesOf(text: string, length: number): Uint8Array {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash("sha256").update(`${text}/${i}`).digest(),
  );
  return new Uint8Array(Buffer.concat(parts).subarray(0, length));
}

/** As large as those of the 32 × 10 gradient. */
export function submissionsOf(count: number): Submission[] {
  return Array.from({ length: count }, (_, slot) => ({
    task: bytesOf("task", 32),
    epoch: Epoch(1),
    slot,
    podId: bytesOf(`pod/${slot}`, 32),
    inputsHash: bytesOf(`inputs/${slot}`, 32),
    outputs: bytesOf(`outputs/${slot}`, 13 * 32),
    proof: bytesOf(`proof/${slot}`, 128),
    signature: bytesOf(`signature/${slot}`, 64),
  }));
}

export function proposalOf(view: number, submissions: Submission[]): Proposal {
  const body: Block["body"] = {
    beaconReveal: bytesOf("reveal", 96),
    parentCertificate: [],
    lateCertificate: [],
    transactions: [],
    submissions,
    evidence: [],
  };
  const header: Block["header"] = {
    height: Height(view),
    epoch: Epoch(1),
    view: View(view),
    parentHash: bytesOf("parent", 32),
    parentView: View(view - 1),
    proposer: ValidatorIndex(0),
    timestampMs: view,
    stateRoot: bytesOf("state", 32),
    bodyRoot: bodyRoot(body),
  };
  return {
    block: { header, body },
    vote: voteFor(view, blockHash(header)),
    justification: { nullifications: [], notarization: [] },
  };
}

function voteFor(view: number, hash: Uint8Array): Vote {
  const subject = {
    kind: VoteKind.notarize,
    epoch: Epoch(1),
    view: View(view),
    parentView: View(view - 1),
    blockHash: hash,
  };
  return { subject, signer: 0, signature: bytesOf("signature", 96) };
}

const ignored = (): void => undefined;

/** A started network of its own identity. */
export async function startNetwork(
  label: string,
  peers: readonly string[],
  components: Partial<NetworkComponents>,
) {
  const bls = devKey("bls", label);
  const network = await createNetwork(
    {
      chain: CHAIN,
      chainId: "bench",
      listen: "/ip4/127.0.0.1/tcp/0",
      peers,
      privateKey: await libp2pKey(devKey("network", label).seed),
      identity: {
        blsKey: bls.publicKey,
        signHello: (peerId) => blsSecretKey(bls.seed).sign(helloRoot(CHAIN, peerId)).toBytes(),
      },
    },
    {
      onVote: ignored,
      onCertificate: ignored,
      onProposal: ignored,
      onCompactProposal: ignored,
      onGossip: () => ({ kind: "ignore", fault: fault("rpc/busy") }),
      onRejected: ignored,
      points: () => 0,
      isValidator: () => true,
      pool: { ids: () => [], object: () => undefined },
      onRequest: async () => undefined,
      log: silentLog,
      ...components,
    },
  );
  await network.start();
  return network;
}

/** Answers for the parts of whatever `current` is. */
export const answering =
  (current: () => Proposal | undefined): NetworkComponents["onRequest"] =>
  async (request) => {
    const block = current()?.block;
    const parts = request.kind !== "parts" || block === undefined ? undefined : partsOf(block, request);
    return parts === undefined ? undefined : { kind: "parts", ...parts };
  };

async function runReceiver(label: string, proposer: string, count: number): Promise<void> {
  const submissions = submissionsOf(count);
  const names = submissions.map((it) => toHex(submissionContentRoot(it)));
  const assemblers = LACKING.map((every) => {
    const held = new Map(
      submissions.flatMap((it, i) => (every > 0 && i % every === 0 ? [] : [[names[i] ?? "", it] as const])),
    );
    return createAssembler({
      chain: { find: () => undefined },
      store: { blockByHash: () => undefined },
      pool: { transaction: () => undefined, submission: (root) => held.get(toHex(root)) },
      network: {
        request: (peerId, request) => network.request(peerId, request),
        blame: () => invariant(false, "nobody lies in a bench"),
      },
      log: silentLog,
      view: () => View(1),
    });
  });
  /** As the engine does before anything else. */
  const onWhole = ({ block, vote }: Proposal): void => {
    invariant(equalBytes(bodyRoot(block.body), block.header.bodyRoot), "a whole body");
    network.sendVote(voteFor(vote.subject.view, vote.subject.blockHash));
  };
  const network = await startNetwork(label, [proposer], {
    onProposal: onWhole,
    onCompactProposal: (compact, from) =>
      assemblers[kindOf(compact.vote.subject.view)]?.assemble(compact, from, onWhole),
  });
}

if (!isMainThread) {
  const { label, proposer, count } = workerData as { label: string; proposer: string; count: number };
  await runReceiver(label, proposer, count);
  parentPort?.postMessage("ready");
}
