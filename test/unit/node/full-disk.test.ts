/** A write that fails: nothing leaves that is not on disk, and the node ends; test/e2e/machine.test.ts has the process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { ClassicLevel } from "classic-level";
import { FaultError } from "../../../consensus/primitives/faults.ts";
import { VoteKind } from "../../../consensus/types/vote.ts";
import { genesisLink, nextBlock, subjectOf } from "../../helpers/chain.ts";
import {
  certificateBy,
  createQuietChain,
  type LoneNode,
  proposalOf,
  proposerIn,
  startLone,
} from "../../helpers/lone-node.ts";
import { folder, until } from "./samples.ts";

const chain = createQuietChain();
const genesis = genesisLink(chain);
const { set } = genesis;
const [one = 0, two = 0, three = 0, self = 0] = [1, 2, 3, 4].map((view) => proposerIn(set, view));
const first = nextBlock(chain, genesis);
const voted = (node: LoneNode, kind: VoteKind): boolean =>
  node.sent.votes.some(({ subject }) => subject.kind === kind && subject.view === 1);

/** What each of these does to a node makes it vote, or send a certificate on. */
const MOMENTS: readonly { readonly name: string; readonly before: VoteKind[]; act(node: LoneNode): void }[] =
  [
    {
      name: "notarize",
      before: [],
      act: (node) => node.says(one).proposal(proposalOf(chain, first)),
    },
    {
      name: "finalize, and the notarization that it follows",
      before: [VoteKind.notarize],
      act: (node) =>
        node
          .says(two)
          .certificate(certificateBy(chain, set, subjectOf(first, VoteKind.notarize), [one, two, three])),
    },
  ];

for (const [i, { name, before }] of MOMENTS.entries()) {
  test(`no room for a ${name}: nothing of it is sent, the node ends and says why; with room it is sent`, {
    timeout: 30_000,
  }, async (t) => {
    const dir = join(await folder(t), "node");
    let node = await startLone({ dir, chain, validator: self });
    t.after(() => node.stop());
    for (const [at, moment] of MOMENTS.slice(0, i).entries()) {
      moment.act(node);
      const kind = MOMENTS[at + 1]?.before.at(-1) ?? VoteKind.notarize;
      await until(() => voted(node, kind), moment.name);
    }
    const full = t.mock.method(ClassicLevel.prototype, "batch", () => ({
      put: () => undefined,
      del: () => undefined,
      write: () =>
        Promise.reject(
          Object.assign(new Error("IO error: db/000003.log: No space left on device"), {
            code: "LEVEL_IO_ERROR",
          }),
        ),
    }));
    const votes = node.sent.votes.length;
    const certificates = node.sent.certificates.length;
    MOMENTS[i]?.act(node);
    await until(() => node.fatal.length > 0, "its end");
    const [error] = node.fatal;
    assert.ok(error instanceof FaultError && error.code === "node/store-failed", String(error));
    assert.equal(node.fatal.length, 1);
    assert.equal(node.sent.votes.length, votes);
    assert.equal(node.sent.certificates.length, certificates);
    // Room again does not bring this process back: what of the failed write is on disk is not known.
    full.mock.restore();
    MOMENTS[i]?.act(node);
    await node.client.call("chain_status", {}); // a turn of the event loop, and the process still answers
    assert.equal(node.sent.votes.length, votes);
    await node.stop();

    node = await startLone({ dir, chain, validator: self });
    assert.deepEqual(
      before.map((kind) => voted(node, kind)),
      before.map(() => true),
      "what was cast before is said again",
    );
    for (const moment of MOMENTS.slice(0, i + 1)) moment.act(node);
    await until(() => voted(node, i === 0 ? VoteKind.notarize : VoteKind.finalize), "the vote");
    assert.deepEqual(node.fatal, []);
  });
}
