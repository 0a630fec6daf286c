/**
 * Without new finality for a while, says again what may have been lost on the way: the highest finalization,
 * the certificates above it, and the own votes there. A page a second, the next page the next second, so
 * that a long standstill floods nobody. The engine repeats its present view by itself; this is for the
 * views before. Made by node.ts.
 */
import { View } from "../consensus/primitives/units.ts";
import type { Subject } from "../consensus/types/vote.ts";
import type { Chain } from "./chain.ts";
import type { Driver } from "./driver.ts";
import type { Halt } from "./halt.ts";
import type { Log } from "./log.ts";
import type { Network } from "./network/network.ts";
import type { Signer } from "./signer.ts";
import type { Store } from "./store/store.ts";

const STANDSTILL_MS = 5_000;
const PAGE_MS = 1_000;
/** Of each kind a page. */
const CERTIFICATES_PER_PAGE = 32;
const VOTES_PER_PAGE = 32;

export type StandstillComponents = {
  readonly chain: Pick<Chain, "final" | "finalCertificate" | "finalView">;
  readonly store: Pick<Store, "certificates" | "ownVotes">;
  readonly signer: Pick<Signer, "blsKey" | "signVote">;
  readonly driver: Pick<Driver, "positionOf">;
  readonly halt: Pick<Halt, "get">;
  readonly network: Pick<Network, "sendCertificate" | "sendVote">;
  readonly log: Log;
};

export function createStandstill(components: StandstillComponents) {
  const { chain, store, signer, driver, halt, network, log } = components;
  let heightSeen = chain.final().height;
  let sinceMs = performance.now();
  let nextView = View(0);
  let nextVote = 0;
  let running = false;

  /** From where the page before ended; from the finalized view again after the last one. */
  const certificatesPage = async (): Promise<void> => {
    const { epoch } = chain.final().state;
    const from = Math.max(nextView, aboveFinal());
    const page = await store.certificates(epoch, from, Number.MAX_SAFE_INTEGER - 1, CERTIFICATES_PER_PAGE);
    for (const certificate of page) network.sendCertificate(certificate);
    // The page may have ended between two certificates of its last view, so that view comes again.
    const last = page.at(-1)?.subject.view ?? 0;
    nextView = View(page.length < CERTIFICATES_PER_PAGE ? 0 : Math.max(from + 1, last));
  };

  /** The certificate's view counts in its own epoch only: an epoch begins with none. */
  const aboveFinal = (): number => {
    const { state } = chain.final();
    return chain.finalCertificate()?.subject.epoch === state.epoch ? chain.finalView() + 1 : 1;
  };

  const votesPage = async (position: number): Promise<void> => {
    const { epoch } = chain.final().state;
    const above = (await store.ownVotes(epoch)).filter(({ view }) => view >= aboveFinal());
    const page = above.slice(nextVote, nextVote + VOTES_PER_PAGE);
    nextVote = nextVote + page.length >= above.length ? 0 : nextVote + page.length;
    for (const subject of page) await sendAgain(subject, position);
  };

  /** On disk already, so that nothing is written and the signature is the same. */
  const sendAgain = async (subject: Subject, signerPosition: number): Promise<void> => {
    const signature = await signer.signVote(subject, []);
    network.sendVote({ subject, signer: signerPosition, signature });
  };

  /** One page, if it is time for one. */
  const repeat = async (nowMs: number): Promise<void> => {
    const { height } = chain.final();
    if (height !== heightSeen) {
      heightSeen = height;
      sinceMs = nowMs;
      nextView = View(0);
      nextVote = 0;
    }
    const position = driver.positionOf(signer.blsKey);
    if (nowMs - sinceMs < STANDSTILL_MS || position === undefined || running) return;
    running = true;
    try {
      const certificate = chain.finalCertificate();
      if (certificate !== undefined) network.sendCertificate(certificate);
      await certificatesPage();
      if (halt.get() === undefined) await votesPage(position);
    } catch (error) {
      // Such as the signer's floor, which ends by itself.
      log.debug({ error: String(error) }, "nothing sent again");
    } finally {
      running = false;
    }
  };
  const timer = setInterval(() => void repeat(performance.now()), PAGE_MS);

  return {
    /** Called by the timer. */
    repeat,
    stop: (): void => clearInterval(timer),
  };
}
