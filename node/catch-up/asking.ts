/**
 * Questions to several peers, one after the other until one gives an answer that holds. Who does not answer
 * is asked no more in this round; who lies is cut off as well. Used by everything in this folder.
 */
import { FaultError } from "../../consensus/primitives/faults.ts";
import type { Log } from "../log.ts";
import type { Network } from "../network/network.ts";
import type { Request, ResponseTo } from "../network/requests.ts";

/**
 * What an answer is worth: it holds; the peer has nothing that helps, which is no fault; it is what no
 * honest node says.
 */
export type Judgement = "right" | "nothing" | "wrong";

export type AskingComponents = {
  readonly network: Pick<Network, "request" | "blame">;
  readonly log: Log;
};

export type Asking = {
  /** Those that did not fail yet. */
  peers(): string[];
  /** The peer sent what is not so: it is asked no more, and cut off. */
  lies(peerId: string, about: string): void;
  /** The same for a part of them; whoever lies there is out here too. */
  among(some: readonly string[]): Asking;
  /** The first answer that holds; `turn` says who is asked first. */
  ask<R extends Request>(
    request: R,
    judge: (answer: ResponseTo<R>) => Judgement | Promise<Judgement>,
    turn?: number,
  ): Promise<ResponseTo<R> | undefined>;
};

export function createAsking(peerIds: readonly string[], components: AskingComponents): Asking {
  const { network, log } = components;
  const left = new Set(peerIds);

  const lies = (peerId: string, about: string): void => {
    left.delete(peerId);
    log.warn({ peer: peerId, about }, "a peer sent what is not so while catching up");
    network.blame(peerId, `false ${about}`);
  };

  return {
    peers: (): string[] => [...left],
    lies,
    among: (some) =>
      createAsking(
        some.filter((it) => left.has(it)),
        {
          log,
          network: {
            request: network.request,
            blame(peerId, reason) {
              left.delete(peerId);
              network.blame(peerId, reason);
            },
          },
        },
      ),
    async ask<R extends Request>(
      request: R,
      judge: (answer: ResponseTo<R>) => Judgement | Promise<Judgement>,
      turn = 0,
    ): Promise<ResponseTo<R> | undefined> {
      const order = [...left];
      const first = order.length === 0 ? 0 : turn % order.length;
      for (const peerId of [...order.slice(first), ...order.slice(0, first)]) {
        if (!left.has(peerId)) continue;
        try {
          const answer = await network.request(peerId, request);
          const judgement = await judge(answer);
          if (judgement === "right") return answer;
          if (judgement === "wrong") lies(peerId, request.kind);
        } catch (error) {
          log.debug({ peer: peerId, request: request.kind, error: String(error) }, "a peer did not answer");
          // "No answer" is one: it has not got what was asked for.
          if (!(error instanceof FaultError && error.code === "node/request-refused")) left.delete(peerId);
        }
      }
      return undefined;
    },
  };
}
