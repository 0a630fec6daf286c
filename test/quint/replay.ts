/**
 * Replays a trace of simplex.qnt on one engine for each honest validator: the same proposals, votes
 * and certificates in the same order. After every step the engine must be in the same view, and have
 * cast the same votes and taken the same certificates. Used by simplex.test.ts.
 */
import assert from "node:assert/strict";
import type { Effect } from "../../consensus/engine/protocol.ts";
import type { Proposal } from "../../consensus/types/block.ts";
import type { Certificate } from "../../consensus/types/certificate.ts";
import { type Subject, VoteKind } from "../../consensus/types/vote.ts";
import {
  type Bench,
  bench,
  certificate,
  finalize,
  type Made,
  make,
  nullify,
  propose,
  proposer,
  TIMEOUTS,
  view,
  vote,
} from "../unit/engine/harness.ts";
import type { ModelBlock, ModelNode, ModelState } from "./quint.ts";

const BYZANTINE = 3;
/** Nobody is skipped for being silent: the model has no clock. */
const timeouts = { ...TIMEOUTS, skipMs: 1e9 };

/** The model's validator that proposes in a view, as the engine's position. */
const positionOf = (validator: number): number => proposer(validator + 1);

type Stored = { readonly subject: Subject; readonly proposal?: Omit<Proposal, "vote"> };
type Replica = {
  it: Bench;
  /** Votes cast, ever. */
  readonly votes: Map<string, Stored>;
  /** Certificates taken since the last restart. */
  certificates: Set<string>;
  finalization: Certificate | undefined;
};

const nameOf = (twin: string, { kind, view: at }: Subject): string =>
  `${({ 1: "notarize", 2: "nullify", 3: "finalize" } as const)[kind as 1 | 2 | 3]} ${at}${twin}`;

const namesOf = (
  notarize: readonly ModelBlock[],
  nullified: readonly number[],
  final: readonly ModelBlock[],
) =>
  [
    ...notarize.map(({ name }) => `notarize ${name.join("/")}`),
    ...nullified.map((at) => `nullify ${at}`),
    ...final.map(({ name }) => `finalize ${name.join("/")}`),
  ].sort();

export function replay(trace: readonly ModelState[]): void {
  const replicas = new Map<number, Replica>();
  const made = new Map<string, Made>();
  /** "/0" or "/1" by block hash. */
  const twins = new Map<string, string>();
  const called = (subject: Subject): string =>
    nameOf(subject.kind === VoteKind.nullify ? "" : (twins.get(String(subject.blockHash)) ?? "/?"), subject);

  function blockOf(state: ModelState, at: number, twin: number): Made {
    const name = `${at}/${twin}`;
    const known = made.get(name);
    if (known !== undefined) return known;
    const block = state.blocks.find((it) => it.name.join("/") === name);
    assert.ok(block !== undefined, `block ${name} is in the trace`);
    const [parentView, parentTwin] = block.parent;
    const it = make(
      at,
      parentView === 0 ? undefined : blockOf(state, parentView, parentTwin),
      undefined,
      twin,
    );
    made.set(name, it);
    twins.set(String(it.hash), `/${twin}`);
    return it;
  }

  /** Notes what an engine did, and feeds its votes back, as the driver does. */
  function carryOut(replica: Replica, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === "broadcast" || effect.kind === "store") {
        replica.certificates.add(called(effect.certificate.subject));
      } else if (effect.kind === "finalize") {
        replica.finalization = effect.certificate;
      } else if (effect.kind === "vote") {
        const { subject, proposal } = effect;
        const name = called(subject);
        if (!replica.votes.has(name)) {
          replica.votes.set(name, proposal === undefined ? { subject } : { subject, proposal });
        }
        const { self } = replica.it;
        if (self !== undefined) {
          const own = { kind: "vote", vote: vote(self, subject), from: undefined } as const;
          carryOut(replica, replica.it.engine.step(own, replica.it.nowMs));
        }
      }
    }
  }

  function restart(self: number, before: Replica | undefined): Replica {
    const held = before?.finalization;
    const finalized = held && { view: held.subject.view, hash: held.subject.blockHash };
    const certificates = held === undefined ? [] : [held];
    const subjects = [...(before?.votes.values() ?? [])];
    const it = bench(self, { timeouts, restored: { subjects, certificates, finalized } });
    const replica: Replica = {
      it,
      votes: before?.votes ?? new Map<string, Stored>(),
      certificates: new Set(certificates.map(({ subject }) => called(subject))),
      finalization: held,
    };
    carryOut(replica, it.started);
    return replica;
  }

  /** What the validator learns, vote by vote where that alone makes the certificate, else as one. */
  function learn(state: ModelState, replica: Replica): void {
    const { kind, view: at, twin } = state.last;
    const signers = (voted: (node: ModelNode) => boolean): number[] =>
      [...state.nodes].filter(([, node]) => voted(node)).map(([validator]) => positionOf(validator));
    const among = (them: readonly ModelBlock[]): boolean =>
      them.some(({ name }) => name.join() === `${at},${twin}`);
    if (kind === "nullification") {
      // Single nullifies would make the engine give up too, which the model leaves to chance.
      const by = [...signers((node) => node.nullify.includes(at)), positionOf(BYZANTINE)];
      carryOut(replica, replica.it.certificate(certificate(nullify(at), by)));
      return;
    }
    const { subject } = blockOf(state, at, twin);
    const learned = kind === "notarization" ? subject : finalize(subject);
    const by = signers((node) => among(kind === "notarization" ? node.notarize : node.finalize));
    by.push(positionOf(BYZANTINE));
    for (const signer of by) carryOut(replica, replica.it.vote(vote(signer, learned)));
    // The Byzantine vote counted for its twin, or the view is too far ahead for votes.
    if (!replica.certificates.has(called(learned))) {
      carryOut(replica, replica.it.certificate(certificate(learned, by)));
    }
  }

  function act(state: ModelState, replica: Replica): void {
    const { what, view: at, twin } = state.last;
    const { it } = replica;
    if (what === "give-up") carryOut(replica, it.tick());
    else if (what === "learn") learn(state, replica);
    else {
      const block = blockOf(state, at, twin);
      if (what === "propose") carryOut(replica, it.built(at, block.block));
      else {
        carryOut(replica, what === "deliver" ? it.proposal(propose(block)) : it.block(block.block));
        carryOut(replica, it.checked(block));
      }
    }
  }

  for (const [step, state] of trace.entries()) {
    const { what, node: validator } = state.last;
    if (what === "init" || what === "propose-byzantine") continue;
    const before = replicas.get(validator) ?? restart(positionOf(validator), undefined);
    const replica = what === "restart" ? restart(positionOf(validator), before) : before;
    replicas.set(validator, replica);
    if (what !== "restart") act(state, replica);
    const node = state.nodes.get(validator);
    assert.ok(node !== undefined);
    const { engine } = replica.it;
    assert.deepEqual(
      {
        view: engine.view,
        finalized: engine.finalizedView,
        votes: [...replica.votes.keys()].sort(),
        certificates: [...replica.certificates].sort(),
        halted: engine.status().halted,
      },
      {
        view: view(node.view),
        finalized: view(node.finalized),
        votes: namesOf(node.notarize, node.nullify, node.finalize),
        certificates: namesOf(node.notarizations, node.nullifications, node.finalizations),
        halted: false,
      },
      `step ${step}, ${JSON.stringify(state.last)}`,
    );
  }
}
