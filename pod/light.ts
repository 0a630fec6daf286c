/**
 * A light client over a node's RPC: keeps the newest validator set that certificates lead to, and answers
 * with what they prove. The node is not trusted; the genesis root is. BLS is @noble/curves', so it runs in
 * a browser. The rules are in consensus/types/light-client.ts.
 */
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { fromHex, toHex } from "../consensus/primitives/bytes.ts";
import { type Fault, FaultError } from "../consensus/primitives/faults.ts";
import { formatAddress } from "../consensus/types/address.ts";
import type { Header } from "../consensus/types/block.ts";
import {
  AccountProofType,
  EpochProofType,
  nextSet,
  type ProvenAccount,
  SetProofType,
  SubmissionProofType,
  verifyAccount,
  verifySet,
  verifySubmission,
} from "../consensus/types/light-client.ts";
import { decode } from "../consensus/types/ssz.ts";
import type { ValidatorSet } from "../consensus/types/validator-set.ts";
import { chainTag } from "./account.ts";
import type { Client } from "./client.ts";

const { longSignatures } = bls12_381;
/** The ciphersuite that blst signs with. */
const DST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/** Like the verdict of a node: false for no keys and for points that are none. */
export function verifyAggregate(
  message: Uint8Array,
  keys: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  if (keys.length === 0) return false;
  try {
    const points = keys.map((key) => bls12_381.G1.Point.fromBytes(key));
    for (const point of points) point.assertValidity();
    // noble takes the point at infinity for a key, blst does not: anybody could be added to the signers with it.
    if (points.some((point) => point.is0())) return false;
    const sum = longSignatures.aggregatePublicKeys(points);
    return longSignatures.verify(signature, longSignatures.hash(message, DST), sum);
  } catch {
    return false; // noble throws on encodings that are no valid points
  }
}

export type LightClientOptions = {
  readonly client: Client;
  readonly chainId: string;
  /** Of the genesis state: what is trusted. */
  readonly genesisRoot: Uint8Array;
};
export type LightClient = ReturnType<typeof createLightClient>;

function orThrow<T extends object>(result: T | Fault): Exclude<T, Fault> {
  if ("code" in result) throw new FaultError(result.code, result.data);
  return result as Exclude<T, Fault>;
}

/** @throws FaultError `light/finality`, `light/branch`: the node shows something that is not so */
export function createLightClient({ client, chainId, genesisRoot }: LightClientOptions) {
  const options = { chain: chainTag(chainId), verifyAggregate };
  let set: ValidatorSet | undefined;

  const received = <T>(proof: T | undefined): T => {
    if (proof === undefined) throw new FaultError("light/branch", { problem: "malformed" });
    return proof;
  };
  const start = async (): Promise<ValidatorSet> => {
    const { proof } = await client.call("chain_genesisProof", {});
    return orThrow(verifySet(genesisRoot, 0, received(decode(SetProofType, fromHex(proof)))));
  };
  /** The set of an epoch that has begun, by every epoch's end before it. */
  const follow = async (epoch: number): Promise<ValidatorSet> => {
    let at: ValidatorSet = set === undefined || set.epoch > epoch ? await start() : set;
    while (at.epoch < epoch) {
      const answer = await client.call("chain_epochProof", { epoch: String(at.epoch) });
      at = orThrow(nextSet(at, received(decode(EpochProofType, fromHex(answer.proof))), options));
    }
    set = at;
    return at;
  };
  const epochOf = ({ finalized }: { finalized: { headers: readonly Header[] } }): number =>
    finalized.headers[0]?.epoch ?? 0;

  return {
    /** The newest set followed so far. */
    set(): ValidatorSet {
      if (set === undefined) throw new FaultError("light/finality", { problem: "nothing followed yet" });
      return set;
    },
    /** An account at the newest final block that the node knows. */
    async account(address: Uint8Array): Promise<ProvenAccount> {
      const { proof: hex } = await client.call("chain_accountProof", { address: formatAddress(address) });
      const proof = received(decode(AccountProofType, fromHex(hex)));
      return orThrow(verifyAccount(await follow(epochOf(proof)), address, proof, options));
    },
    /** The final block that includes a submission. */
    async submission(nullifier: Uint8Array): Promise<Header> {
      const { proof: hex } = await client.call("proof_inclusion", { id: toHex(nullifier) });
      const proof = received(decode(SubmissionProofType, fromHex(hex)));
      return orThrow(verifySubmission(await follow(epochOf(proof)), nullifier, proof, options));
    },
  };
}
