import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Effect } from "../../../consensus/engine/protocol.ts";
import { type Subject, sameSubject, VoteKind } from "../../../consensus/types/vote.ts";
import {
  bench,
  bystander,
  certificate,
  finalize,
  make,
  nullify,
  propose,
  proposer,
  votesIn,
} from "./harness.ts";

const ONE = make(1);
const OTHER = make(1, undefined, 11, 8);

test("after a restart own votes are sent again and no other block is notarized", () => {
  const restored = { subjects: [{ subject: ONE.subject }], certificates: [], finalized: undefined };
  const it = bench(bystander(1), { restored });
  assert.deepEqual(votesIn(it.started), ["notarize 1"]);
  it.proposal(propose(OTHER));
  assert.deepEqual(votesIn(it.checked(OTHER)), []);
});

test("after a restart a nullified view is neither notarized nor finalized", () => {
  const restored = { subjects: [{ subject: nullify(1) }], certificates: [], finalized: undefined };
  const it = bench(bystander(1), { restored });
  assert.deepEqual(votesIn(it.started), ["nullify 1"]);
  it.proposal(propose(ONE));
  it.checked(ONE);
  assert.deepEqual(votesIn(it.certificate(certificate(ONE.subject))), []);
  assert.equal(it.engine.view, 2);
});

test("after a restart the proposer sends its stored proposal and builds nothing", () => {
  const { block, justification } = propose(ONE);
  const subjects = [{ subject: ONE.subject, proposal: { block, justification } }];
  const it = bench(proposer(1), { restored: { subjects, certificates: [], finalized: undefined } });
  const sent = it.started.find((effect) => effect.kind === "vote");
  assert.ok(sent?.kind === "vote" && sent.proposal?.block === block);
  assert.ok(!it.started.some((effect) => effect.kind === "build"));
});

test("a restart goes on in the highest view that the disk knows", () => {
  const certificates = [certificate(nullify(2)), certificate(ONE.subject)];
  const it = bench(bystander(3), { restored: { subjects: [], certificates, finalized: undefined } });
  assert.equal(it.engine.view, 3);
});

test("a finalization that was stored but not carried out is carried out after the restart", () => {
  const certificates = [certificate(ONE.subject), certificate(finalize(ONE.subject))];
  const it = bench(bystander(2), { restored: { subjects: [], certificates, finalized: undefined } });
  assert.ok(it.started.some((effect) => effect.kind === "finalize"));
});

/** What an honest validator may never have signed together in one view. */
function conflicts(subjects: readonly Subject[]): string[] {
  const found: string[] = [];
  for (const a of subjects) {
    for (const b of subjects) {
      if (a.view !== b.view) continue;
      const same = a.kind === b.kind && a.kind !== VoteKind.nullify && !sameSubject(a, b);
      const cancels = a.kind === VoteKind.nullify && b.kind === VoteKind.finalize;
      if (same || cancels) found.push(`${a.kind} and ${b.kind} in view ${a.view}`);
    }
  }
  return found;
}

test("whatever arrives and whenever it restarts, one validator never signs a conflict", () => {
  const two = [make(2, ONE), make(2, OTHER), make(2)];
  const proposals = [
    propose(ONE),
    propose(OTHER),
    ...two.map((it) => propose(it, [certificate(nullify(1))])),
  ];
  const made = [ONE, OTHER, ...two];
  const certificates = [ONE, OTHER, ...two].map((it) => certificate(it.subject));
  certificates.push(certificate(nullify(1)), certificate(nullify(2)));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 3, 4), fc.nat(6)), { maxLength: 40 }), (steps) => {
      const subjects: { subject: Subject }[] = [];
      const record = (effects: readonly Effect[]): void => {
        for (const effect of effects) if (effect.kind === "vote") subjects.push({ subject: effect.subject });
      };
      const self = bystander(1, 2);
      const start = () => {
        const it = bench(self, {
          restored: { subjects: [...subjects], certificates: [], finalized: undefined },
        });
        record(it.started);
        return it;
      };
      let it = start();
      for (const [what, which] of steps) {
        const proposal = proposals[which % proposals.length];
        const held = certificates[which];
        const block = made[which % made.length];
        if (what === 0 && proposal !== undefined) record(it.proposal(proposal));
        if (what === 1 && held !== undefined) record(it.certificate(held));
        if (what === 2 && block !== undefined) record(it.checked(block));
        if (what === 3 && it.engine.deadline < 1e6) record(it.tick());
        if (what === 4) it = start();
      }
      assert.deepEqual(conflicts(subjects.map((cast) => cast.subject)), []);
    }),
    { numRuns: 500 },
  );
});
