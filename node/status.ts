/** How this node is, for its operator: put together for the method `node_status` out of what each part knows. */
import { toHex } from "../consensus/primitives/bytes.ts";
import { describeFault, FaultError } from "../consensus/primitives/faults.ts";
import type { ValidatorSet } from "../consensus/types/validator-set.ts";
import type { NodeRole, NodeStatus } from "../rpc/node-status.ts";
import type { CatchUp } from "./catch-up/catch-up.ts";
import type { Chain } from "./chain.ts";
import type { Driver } from "./driver.ts";
import type { EvidencePool } from "./evidence.ts";
import type { Halt } from "./halt.ts";
import type { Lag } from "./lag.ts";
import type { Mempool } from "./mempool.ts";
import type { Network } from "./network/network.ts";
import type { Signer } from "./signer.ts";
import type { Store } from "./store/store.ts";

export type StatusComponents = {
  readonly chain: Pick<Chain, "final" | "tip">;
  readonly store: Pick<Store, "lowest">;
  readonly driver: Pick<Driver, "status" | "positionOf">;
  readonly network: Pick<Network, "peers" | "gossip">;
  readonly signer: Pick<Signer, "blockedBy" | "blsKey"> | undefined;
  /** Whether this key is, or soon will be, a validator's. */
  isValidator(blsKey: Uint8Array): boolean;
  readonly mempool: Pick<Mempool, "counts">;
  readonly evidence: Pick<EvidencePool, "size">;
  readonly halt: Pick<Halt, "get">;
  readonly lag: Pick<Lag, "summary">;
  readonly catchUp: Pick<CatchUp, "phase">;
};

export function nodeStatus(name: string, components: StatusComponents): NodeStatus {
  const { chain, store, driver, network, mempool, evidence, lag, catchUp } = components;
  const status = driver.status();
  // RPC listens a moment before the engine is there.
  if (status === undefined) throw new FaultError("rpc/busy", { starting: true });
  const { self, set } = status;
  const final = chain.final();
  const roleOf = (position: number | undefined, blsKey: Uint8Array | undefined): NodeRole => {
    if (position !== undefined) return "validator";
    return blsKey !== undefined && components.isValidator(blsKey) ? "validator without seat" : "follower";
  };
  const phase = catchUp.phase();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    name,
    role: roleOf(self, components.signer?.blsKey),
    ...(self === undefined ? {} : { position: self }),
    epoch: String(status.epoch),
    view: String(status.view),
    finalizedView: String(status.finalizedView),
    proposer: status.proposer,
    height: String(chain.tip().height),
    finalizedHeight: String(final.height),
    finalizedHash: toHex(final.hash),
    lowestHeight: String(store.lowest()),
    catchingUp: phase !== undefined,
    ...(phase === undefined ? {} : { catchUp: phase }),
    signer: signerState(components, self),
    validators: { seats: set.members.length, heaviest: heaviestOf(set) },
    peers: network.peers().map(({ peerId, address, blsKey, score, dropped }) => {
      const position = driver.positionOf(blsKey);
      return {
        peerId,
        address,
        ...(position === undefined ? {} : { position }),
        role: roleOf(position, blsKey),
        score,
        dropped: { ...dropped },
      };
    }),
    queues: {
      inputs: status.queued,
      inputsDropped: status.dropped,
      ...mempool.counts(),
      evidence: evidence.size(),
      gossip: network.gossip(),
    },
    lag: lag.summary(),
    memory: { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external },
    missed: status.missed.map(({ epoch, view, proposer, reason, fault }) => ({
      epoch: String(epoch),
      view: String(view),
      proposer,
      reason,
      ...(fault === undefined ? {} : { fault: describeFault(fault) }),
    })),
  };
}

/** The first thing that keeps it from signing. */
export function signerState(
  {
    signer,
    halt,
  }: Pick<StatusComponents, "halt"> & {
    readonly signer: Pick<Signer, "blockedBy"> | undefined;
  },
  self: number | undefined,
): NodeStatus["signer"] {
  if (signer === undefined) return { state: "no key" };
  const halted = halt.get();
  if (halted !== undefined) return { state: "halted", halt: { ...halted, timeMs: String(halted.timeMs) } };
  const lease = signer.blockedBy();
  if (lease !== undefined) {
    const { epoch, view } = lease;
    return { state: "blocked by floor lease", lease: { epoch: String(epoch), view: String(view) } };
  }
  return { state: self === undefined ? "no seat" : "signing" };
}

/** Who has the most weight. Over a third, it can stop finality alone; with fewer than six, one may. */
export function heaviestOf({
  members,
  totalWeight,
}: Pick<ValidatorSet, "members" | "totalWeight">): NodeStatus["validators"]["heaviest"] {
  let position = 0;
  for (const [i, { weight }] of members.entries())
    if (weight > (members[position]?.weight ?? 0n)) position = i;
  const weight = members[position]?.weight ?? 0n;
  return {
    position,
    percent: totalWeight === 0n ? 0 : Number((weight * 1_000n) / totalWeight) / 10,
    overThird: 3n * weight > totalWeight,
  };
}
