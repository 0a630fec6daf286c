/**
 * Drives the engine: feeds it one input at a time, carries out its effects in their order, keeps one
 * timer for its deadline, and starts a new engine each epoch. Nothing else in the node talks to it.
 *
 * The order inside `vote` is the safety property: durable → signed → sent → fed back.
 */

import { createEngine, type Engine, type EngineStatus } from "../consensus/engine/engine.ts";
import type { Effect, Input, Report } from "../consensus/engine/protocol.ts";
import { equalBytes, toHex } from "../consensus/primitives/bytes.ts";
import { FaultError } from "../consensus/primitives/faults.ts";
import { Epoch, View } from "../consensus/primitives/units.ts";
import { membersAt } from "../consensus/state/sets.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import { proposerOf, type ValidatorSet } from "../consensus/types/validator-set.ts";
import type { Vote } from "../consensus/types/vote.ts";
import { certificatesFrom } from "./certificates.ts";
import type { Chain } from "./chain.ts";
import type { Assembler } from "./compact.ts";
import { epochOptions } from "./epoch.ts";
import type { EvidencePool } from "./evidence.ts";
import { createFetcher } from "./fetcher.ts";
import type { Halt } from "./halt.ts";
import { createIntake } from "./intake.ts";
import type { Lag } from "./lag.ts";
import type { Log } from "./log.ts";
import { createMissedViews, type MissedView } from "./missed.ts";
import type { Network } from "./network/network.ts";
import { type ProposerComponents, propose, sendDelayMs } from "./proposer.ts";
import type { Signer } from "./signer.ts";
import type { StoreOp } from "./store/ops.ts";
import type { Store } from "./store/store.ts";
import { createTurn, type Turn } from "./turn.ts";
import type { Witness } from "./witness.ts";

/** Inputs that wait for their turn; past it the network's are dropped, which the protocol bears. */
const INPUTS_MAX = 4_096;
const SIGNATURE_UNKNOWN = new Uint8Array(96);

export type DriverComponents = {
  readonly chain: Chain;
  readonly store: Store;
  readonly network: Pick<
    Network,
    "sendVote" | "sendCertificate" | "sendProposal" | "sendTogether" | "request" | "peers"
  >;
  readonly signer: Signer | undefined;
  readonly mempool: ProposerComponents["mempool"];
  readonly evidence: ProposerComponents["evidence"] & Pick<EvidencePool, "add">;
  readonly witness: Pick<Witness, "observe">;
  /** While it is set nothing is signed. */
  readonly halt: Halt;
  readonly lag: Pick<Lag, "worstSince">;
  readonly assembler: Pick<Assembler, "assemble">;
  readonly log: Log;
  /** Catch-up was taking blocks at some time since (performance.now). */
  wasBehindSince(sinceMs: number): boolean;
  /** The node lacks an ancestor of something final, or hears of a later epoch. */
  onBehind(): void;
  /** The process can't go on safely. */
  onFatal(error: unknown): void;
};

export type Driver = ReturnType<typeof createDriver>;

type DriverStatus = EngineStatus & {
  /** Position in `set`; undefined without a seat. */
  readonly self: number | undefined;
  readonly set: ValidatorSet;
  /** Inputs that wait, and those of the network that were dropped. */
  readonly queued: number;
  readonly dropped: number;
  readonly missed: readonly MissedView[];
};

/** An input of the engine, or the wish for the next epoch's engine. */
type Item = Input | { readonly kind: "turn" };

export function createDriver(components: DriverComponents) {
  const { chain, store, network, signer, halt, log, onBehind, onFatal } = components;
  const { params } = chain;
  const queue: Item[] = [];
  let dropped = 0;
  let running = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let buildTimer: NodeJS.Timeout | undefined;
  let engine: Engine | undefined;
  let set: ValidatorSet = chain.final().set;
  let self: number | undefined;
  const missed = createMissedViews({ lagMaxMs: Number(params.proposalTimeoutMs) / 4 }, components);

  const positionOf = (blsKey: Uint8Array | undefined): number | undefined => {
    if (blsKey === undefined) return undefined;
    const position = set.members.findIndex((member) => equalBytes(member.blsKey, blsKey));
    return position < 0 ? undefined : position;
  };

  /** A new engine for the epoch of the finalized state, with all that the disk has of it. */
  const startEngine = async (): Promise<void> => {
    const { height, set: current } = chain.final();
    set = current;
    self = positionOf(signer?.blsKey);
    engine = createEngine(await epochOptions(self, { chain, store, signs: signer !== undefined }));
    log.info(
      { epoch: set.epoch, height, position: self ?? -1, validators: set.members.length },
      "epoch begins",
    );
    await carryOut(engine.start(performance.now()));
  };

  const push = (item: Item, mayDrop = "from" in item && item.from !== undefined): void => {
    if (stopped) return;
    if (mayDrop && queue.length >= INPUTS_MAX) {
      dropped += 1;
      return;
    }
    queue.push(item);
    if (!running) void drain();
  };

  const fetchMissing = createFetcher({ chain, store, network, log, push, positionOf });
  const intake = createIntake({
    push,
    positionOf,
    epoch: () => set.epoch,
    view: () => engine?.view ?? View(0),
    isInTurn: (position, view) =>
      engine !== undefined && view > engine.finalizedView && proposerOf(set, view) === position,
    assembler: components.assembler,
    nextMembers: () => membersAt(chain.final().state, set.epoch + 1),
    witness: components.witness,
    onBehind,
  });

  const drain = async (): Promise<void> => {
    running = true;
    try {
      for (let item = queue.shift(); item !== undefined && !stopped; item = queue.shift()) {
        if (item.kind === "turn") {
          if (chain.final().state.epoch !== set.epoch) await turnEpoch();
        } else if (engine !== undefined) {
          await carryOut(engine.step(item, performance.now()));
        }
      }
    } catch (error) {
      stop();
      onFatal(error);
    } finally {
      running = false;
      arm();
    }
  };

  const arm = (): void => {
    clearTimeout(timer);
    if (stopped || engine === undefined || engine.deadline === Number.POSITIVE_INFINITY) return;
    // setTimeout rounds down by up to a millisecond; an early tick would only be armed again.
    timer = setTimeout(() => push({ kind: "tick" }), Math.max(0, engine.deadline - performance.now()) + 1);
  };

  const carryOut = async (effects: readonly Effect[]): Promise<void> => {
    const of = engine;
    const turn = createTurn(store, network.sendTogether);
    for (const effect of effects) {
      if (stopped) return;
      // A finalization may have begun the next epoch: of the old engine only what others need is left to do.
      if (engine === of || effect.kind === "broadcast" || effect.kind === "store") await carry(effect, turn);
    }
    await turn.flush();
  };

  const carry = async (effect: Effect, turn: Turn): Promise<void> => {
    switch (effect.kind) {
      case "build":
        build(effect);
        return;
      case "check":
        chain
          .check(effect.block)
          .then((verdict) => push({ kind: "checked", blockHash: effect.blockHash, verdict }))
          .catch(onFatal);
        return;
      case "vote":
        await vote(effect, turn);
        return;
      case "broadcast":
        turn.add({ kind: "certificate", certificate: effect.certificate }, () =>
          network.sendCertificate(effect.certificate),
        );
        return;
      case "store":
        turn.add({ kind: "certificate", certificate: effect.certificate });
        return;
      case "fetch":
        fetchMissing(effect);
        return;
      case "finalize":
        await finalize(effect.certificate, turn);
        return;
      case "report":
        await report(effect.report, turn);
        return;
    }
  };

  const build = (effect: Extract<Effect, { kind: "build" }>): void => {
    const of = engine;
    const parent = chain.find(effect.parentHash);
    const delay =
      parent === undefined
        ? 0
        : sendDelayMs(parent.state.timestampMs, effect.enteredMs, Number(params.blockIntervalMs));
    clearTimeout(buildTimer);
    // A view is over as soon as the engine has left it, whatever of it still waits to be carried out.
    const isWanted = (): boolean => !stopped && of !== undefined && of === engine && of.view === effect.view;
    const start = async (): Promise<void> => {
      if (!isWanted() || signer === undefined || of === undefined) return;
      const { lateCertificate } = of;
      const built = await propose(effect, { ...components, signer, lateCertificate, isWanted });
      if (built === "unwanted" || !isWanted()) return;
      push({ kind: "built", view: effect.view, block: built === "missing" ? undefined : built });
    };
    const begin = (): void => void start().catch(onFatal);
    // A timer of 0 waits for a millisecond, and a block that is late has none to lose.
    if (delay > 0) buildTimer = setTimeout(begin, delay);
    else setImmediate(begin);
  };

  const vote = async (effect: Extract<Effect, { kind: "vote" }>, turn: Turn): Promise<void> => {
    const { subject, proposal } = effect;
    const position = self;
    if (signer === undefined || position === undefined || halt.get() !== undefined) return;
    const unsigned = { subject, signer: position, signature: SIGNATURE_UNKNOWN };
    const block = proposal?.block ?? chain.find(subject.blockHash)?.block;
    const ops: StoreOp[] = [];
    // N6: the block's bytes are on disk before its notarize leaves.
    if (block !== undefined) ops.push({ kind: "block", hash: subject.blockHash, block });
    if (proposal !== undefined)
      ops.push({ kind: "own-vote", subject, proposal: { ...proposal, vote: unsigned } });
    let signed: Vote | undefined;
    const sign = async (waiting: readonly StoreOp[]): Promise<void> => {
      try {
        const signature = await signer.signVote(subject, [...waiting, ...ops]);
        signed = { subject, signer: position, signature };
      } catch (error) {
        // The floor is a state of this machine that ends by itself; anything else must not be signed over.
        if (!(error instanceof FaultError && error.code === "node/signer-floor")) throw error;
        log.warn({ ...error.fault.data }, "not signing: below the signer's floor");
        if (waiting.length > 0) await store.write(waiting);
      }
    };
    await turn.flush(sign, () => {
      if (signed === undefined) return;
      if (proposal !== undefined) network.sendProposal({ ...proposal, vote: signed });
      else network.sendVote(signed);
      queue.push({ kind: "vote", vote: signed, from: undefined });
    });
  };

  /** What waits in the turn goes into the same batch. */
  const finalize = async (certificate: Certificate, turn: Turn): Promise<void> => {
    let result: Awaited<ReturnType<Chain["finalize"]>> | undefined;
    await turn.flush(async (waiting) => {
      result = await chain.finalize(certificate, waiting);
      if (result !== "done" && waiting.length > 0) await store.write(waiting);
    });
    if (result === "missing") onBehind();
    if (result !== "done") return;
    await components.signer?.observeFinalized(certificate.subject.epoch, certificate.subject.view);
    if (chain.final().state.epoch !== set.epoch) await turnEpoch();
  };

  /** The epoch's last block is final: everything that waits was about the epoch before. */
  const turnEpoch = async (): Promise<void> => {
    queue.length = 0;
    clearTimeout(buildTimer);
    const { epoch } = chain.final().state;
    if (epoch > 2) await store.pruneEpoch(Epoch(epoch - 2));
    await startEngine();
    intake.onEpoch();
  };

  const diverge = async (blockHash: Uint8Array, turn: Turn): Promise<void> => {
    await turn.flush(); // so that the disk has the certificate that was just acted upon
    const near = await certificatesFrom(store, set.epoch, engine?.finalizedView ?? View(1));
    const certificates = near.filter(({ subject }) => equalBytes(subject.blockHash, blockHash));
    await halt.halt({ kind: "diverged", blockHash, fault: chain.refusalOf(blockHash), certificates });
  };

  const report = async (it: Report, turn: Turn): Promise<void> => {
    switch (it.kind) {
      case "entered-view":
        missed.entered(set, self, it);
        log.debug({ view: it.view, proposer: it.proposer, because: it.because }, "view");
        return;
      case "missed-view":
        missed.missed(set, it);
        return;
      case "misbehaviour":
        log.warn({ validator: it.from, reason: it.reason }, "validator misbehaves");
        return;
      case "equivocation":
        components.evidence.add({ selector: 0, value: { first: it.first, second: it.second } });
        return;
      case "contradiction":
        components.evidence.add({ selector: 1, value: { first: it.first, second: it.second } });
        log.error(
          { epoch: it.first.subject.epoch, view: it.first.subject.view },
          "two certificates contradict each other; signing stops",
        );
        await halt.halt({ kind: "contradiction", certificates: [it.first, it.second] });
        return;
      case "diverged":
        log.error(
          { block: toHex(it.blockHash), ...chain.refusalOf(it.blockHash) },
          "DIVERGED: a notarized block fails here; signing stops",
        );
        await diverge(it.blockHash, turn);
        return;
    }
  };

  function stop(): void {
    stopped = true;
    queue.length = 0;
    clearTimeout(timer);
    clearTimeout(buildTimer);
  }

  return {
    async start(): Promise<void> {
      running = true;
      try {
        await startEngine();
      } finally {
        running = false;
      }
      await drain();
    },
    stop,
    onVote: intake.onVote,
    onCertificate: intake.onCertificate,
    onProposal: intake.onProposal,
    onCompactProposal: intake.onCompactProposal,
    /** A verdict that came after "pending". */
    onChecked: (hash: Uint8Array, verdict: "valid" | "invalid" | "pending"): void =>
      push({ kind: "checked", blockHash: hash, verdict }),
    /** Catch-up moved the finalized tip, with this certificate. */
    async onImported(certificate: Certificate): Promise<void> {
      await components.signer?.observeFinalized(certificate.subject.epoch, certificate.subject.view);
      if (chain.final().state.epoch === set.epoch)
        push({ kind: "certificate", certificate, from: undefined });
      else push({ kind: "turn" });
    },
    /** For the operator; undefined before the start. */
    status: (): DriverStatus | undefined =>
      engine === undefined
        ? undefined
        : { ...engine.status(), self, set, queued: queue.length, dropped, missed: missed.all() },
    view: (): View => engine?.view ?? View(0),
    positionOf,
  };
}
