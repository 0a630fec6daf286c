/**
 * How large proposals are and how long they take to the others, whole and by names: four nodes over libp2p on
 * loopback, the receivers in threads of their own. Timed is from sending until the votes of all three, which
 * they cast once they have the whole body and its root, have come back.
 */
import { Worker } from "node:worker_threads";
import { invariant } from "../../consensus/primitives/faults.ts";
import type { Proposal } from "../../consensus/types/block.ts";
import { compactOf, encodeCompact, encodeWhole } from "../../node/network/compact.ts";
import { answering, KINDS, kindOf, proposalOf, startNetwork, submissionsOf } from "./blocks-node.ts";
import { type Figure, median } from "./figure.ts";

const RECEIVERS = 3;
const ROUNDS = 25;
const CONNECT_MS = 20_000;
const ROUND_MS = 10_000;

/** The medians of a proposal with so many submissions, by kind. */
async function measure(count: number): Promise<readonly number[]> {
  const submissions = submissionsOf(count);
  let current: Proposal | undefined;
  let votes = 0;
  let onAll = (): void => undefined;
  const network = await startNetwork("bench-proposer", [], {
    onRequest: answering(() => current),
    onVote: ({ subject }) => {
      if (subject.view !== current?.vote.subject.view) return;
      votes += 1;
      if (votes === RECEIVERS) onAll();
    },
  });
  const [proposer = ""] = network.addresses();
  const workers = Array.from(
    { length: RECEIVERS },
    (_, i) =>
      new Worker(new URL("./blocks-node.ts", import.meta.url), {
        workerData: { label: `bench-receiver-${i}`, proposer, count },
      }),
  );
  await Promise.all(workers.map((it) => new Promise((resolve) => it.once("message", resolve))));
  const deadlineMs = performance.now() + CONNECT_MS;
  while (network.peers().filter(({ blsKey }) => blsKey !== undefined).length < RECEIVERS) {
    invariant(performance.now() < deadlineMs, "the nodes of the bench find each other");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }

  const times = KINDS.map((): number[] => []);
  for (let view = KINDS.length; view < KINDS.length * (ROUNDS + 1); view++) {
    current = proposalOf(view, submissions);
    votes = 0;
    const kind = kindOf(view);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    onAll = resolve;
    const timer = setTimeout(() => reject(new Error(`no answer to ${KINDS[kind]} ${count}`)), ROUND_MS);
    const started = performance.now();
    if (kind === 0) for (const { peerId } of network.peers()) network.sendProposalTo(peerId, current);
    else network.sendProposal(current);
    await promise;
    clearTimeout(timer);
    times[kind]?.push(performance.now() - started);
  }
  await Promise.all(workers.map((it) => it.terminate()));
  await network.stop();
  return times.map(median);
}

export async function* bench(): AsyncGenerator<Figure> {
  for (const count of [0, 128, 1024]) {
    const it = proposalOf(1, submissionsOf(count));
    const [whole, named] = [encodeWhole(it).length, encodeCompact(compactOf(it)).length];
    const [wholeMs = 0, ...others] = await measure(count);
    const of = `blocks: ${count} submissions`;
    yield { name: `${of}, whole`, value: whole / 1024, unit: "KiB" };
    yield { name: `${of}, whole, to three and back`, value: wholeMs, unit: "ms" };
    if (count === 0) continue;
    yield { name: `${of}, names`, value: named / 1024, unit: "KiB", ratio: whole / named, against: "whole" };
    const texts = ["all held", "a tenth fetched", "all fetched"];
    for (const [i, ms] of others.entries()) {
      const name = `${of}, names, ${texts[i] ?? ""}, to three and back`;
      yield { name, value: ms, unit: "ms", ratio: wholeMs / ms, against: "whole" };
    }
  }
}
