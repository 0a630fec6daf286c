/**
 * The hello: a validator signs its libp2p peer id with its BLS key. The connection is authenticated
 * by noise, so the binding needs no nonce: nobody else can show it from another peer id. Checked by
 * network.ts; signed by node/signer.ts.
 */
import { verifySignature } from "../../consensus/primitives/bls.ts";
import { hash } from "../../consensus/primitives/hash.ts";
import type { Hello } from "./messages.ts";

/** The 32 bytes that the BLS key signs; `peerId` is the peer id's multihash. */
export const helloRoot = (chain: Uint8Array, peerId: Uint8Array): Uint8Array => hash("hello", chain, peerId);

export function isHello(chain: Uint8Array, peerId: Uint8Array, { blsKey, signature }: Hello): boolean {
  return verifySignature(helloRoot(chain, peerId), blsKey, signature);
}
