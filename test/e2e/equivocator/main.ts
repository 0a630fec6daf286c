/**
 * A validator that lies once: the real node, composed with a network that sends a second signature beside
 * the first honest vote of the kind in question. Only here is there code that signs twice. Started by
 * equivocation.test.ts: `node test/e2e/equivocator/main.ts --dir DIR --offence NAME [--to one] --from EPOCH`.
 * Prints one JSON line `{equivocated: {offence, epoch, view}}` when it did.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Offence } from "../../../consensus/types/evidence.ts";
import {
  nullifySubject,
  type Subject,
  signingRoot,
  type Vote,
  VoteKind,
} from "../../../consensus/types/vote.ts";
import { chainTag } from "../../../genesis/state.ts";
import { blsSecretKey, loadKey } from "../../../node/keys.ts";
import { runNode } from "../../../node/main.ts";
import { createNetwork } from "../../../node/network/network.ts";

const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    offence: { type: "string" },
    /** "all", or "one": the second vote goes to a single peer, which has to tell the others. */
    to: { type: "string", default: "all" },
    /** The first epoch in which it lies: peers are connected by then. */
    from: { type: "string", default: "1" },
  },
});
const { dir = "", offence, to, from } = values;

const another = (subject: Subject): Subject => ({ ...subject, blockHash: new Uint8Array(32).fill(0xee) });
/** Which honest vote it goes with, and what it says. */
const LIES: Readonly<Record<Offence, { readonly kind: number; lie(subject: Subject): Subject }>> = {
  "conflicting-notarize": { kind: VoteKind.notarize, lie: another },
  "conflicting-finalize": { kind: VoteKind.finalize, lie: another },
  "nullify-finalize": { kind: VoteKind.finalize, lie: ({ epoch, view }) => nullifySubject(epoch, view) },
};

const it = LIES[offence as Offence];
if (it === undefined) throw new Error(`--offence is one of ${Object.keys(LIES).join(", ")}`);
const secretKey = blsSecretKey((await loadKey(join(dir, "bls.json"), "bls")).seed);
let lied = false;

await runNode(dir, {
  async createNetwork(options, components) {
    const network = await createNetwork(options, components);
    const tag = chainTag(options.chainId);
    return {
      ...network,
      sendVote(vote: Vote): void {
        network.sendVote(vote);
        const { subject, signer } = vote;
        const validators = network.peers().filter(({ blsKey }) => blsKey !== undefined);
        if (lied || subject.kind !== it.kind || subject.epoch < Number(from) || validators.length === 0)
          return;
        lied = true;
        const second = it.lie(subject);
        const signature = secretKey.sign(signingRoot(tag, second)).toBytes();
        const peers = to === "one" ? validators.slice(0, 1) : validators;
        for (const { peerId } of peers) network.sendVoteTo(peerId, { subject: second, signer, signature });
        const { epoch, view } = subject;
        process.stdout.write(`${JSON.stringify({ equivocated: { offence, epoch, view } })}\n`);
      },
    };
  },
});
process.exit(0);
