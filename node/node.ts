/**
 * One node: the composition root. Opens the store, loads the chain, starts network, driver, catch-up and
 * RPC, and stops them in the opposite order. Each part is given only what it needs.
 */
import { join } from "node:path";
import { parseVerificationKey, vkHash } from "../circuits/verification-key.ts";
import { createVerifier } from "../circuits/verify.ts";
import { toHex } from "../consensus/primitives/bytes.ts";
import { FaultError, fault, type Verdict } from "../consensus/primitives/faults.ts";
import { nullifierOf } from "../consensus/types/submission.ts";
import type { GenesisDocument } from "../genesis/document.ts";
import { genesisState } from "../genesis/state.ts";
import { createAdmission } from "./admission.ts";
import { createBundles } from "./bundles.ts";
import { createAnswers } from "./catch-up/answers.ts";
import { createCatchUp } from "./catch-up/catch-up.ts";
import { type FinalizedEvent, openChain } from "./chain.ts";
import { createChanges } from "./changes.ts";
import { createAssembler } from "./compact.ts";
import type { NodeConfig } from "./config.ts";
import { createDriver } from "./driver.ts";
import { createSignatureVerifier } from "./ed25519/verifier.ts";
import { createEvidencePool } from "./evidence.ts";
import { createFaucet } from "./faucet.ts";
import { createHalt } from "./halt.ts";
import { createHeaders } from "./headers.ts";
import { lockKey } from "./key-lock.ts";
import { blsSecretKey, libp2pKey, loadKey } from "./keys.ts";
import { createLag } from "./lag.ts";
import type { Log } from "./log.ts";
import { createMempool } from "./mempool.ts";
import type { Judgement } from "./network/gossip.ts";
import { createNetwork, type PeerInfo } from "./network/network.ts";
import type { PoolObject } from "./network/pool.ts";
import type { GossipMessage } from "./network/topics.ts";
import { createPoolExchange, poolView } from "./pool-exchange.ts";
import { createProofLife } from "./proof-life.ts";
import { recordOf } from "./receipts.ts";
import { createRelayLimits } from "./relay-limits.ts";
import { createMethods } from "./rpc/methods.ts";
import { createRpcServer } from "./rpc/server.ts";
import { createScoring } from "./scoring.ts";
import { createSigner } from "./signer.ts";
import { createStandstill } from "./standstill.ts";
import { nodeStatus } from "./status.ts";
import { openStore } from "./store/store.ts";
import { createValidatorKeys } from "./validator-keys.ts";
import { createVerification } from "./verification.ts";
import { createWitness } from "./witness.ts";

export type NodeOptions = {
  readonly dir: string;
  /** See key-lock.ts. */
  readonly locksDir?: string;
  readonly config: NodeConfig;
  readonly genesis: GenesisDocument;
};
export type NodeComponents = {
  readonly log: Log;
  onFatal(error: unknown): void;
  /** How it reaches others; libp2p's streams if absent. */
  readonly createNetwork?: typeof createNetwork;
};
export type RunningNode = {
  readonly rpcUrl: string;
  readonly addresses: readonly string[];
  stop(): Promise<void>;
};

/** Blocks without finality for so long count as "syncing" for readiness. */
const READY_WITHIN_MS = 15_000;

function catalogueKeys(document: GenesisDocument): Map<string, ReturnType<typeof parseVerificationKey>> {
  return new Map(
    document.circuits.map(({ shape, vkHash: expected, verificationKey }) => {
      const key = parseVerificationKey(verificationKey);
      const found = `0x${vkHash(key)}`;
      if (found !== expected)
        throw new FaultError("genesis/invalid", { field: `circuits.${shape}.vkHash`, expected: found });
      return [expected, key];
    }),
  );
}

export async function startNode(
  { dir, config, genesis: document, locksDir }: NodeOptions,
  { log, onFatal, createNetwork: openNetwork = createNetwork }: NodeComponents,
): Promise<RunningNode> {
  const genesis = genesisState(document);
  const { chain: tag, params } = genesis;
  const keys = catalogueKeys(document);
  const store = await openStore(join(dir, "db"), { chain: tag });
  const bls = config.blsKey === undefined ? undefined : await loadKey(config.blsKey, "bls");
  const keyLock =
    bls === undefined ? undefined : await lockKey({ chain: tag, blsKey: bls.publicKey, locksDir });
  const signer =
    bls === undefined
      ? undefined
      : await createSigner(
          { secretKey: blsSecretKey(bls.seed), chain: tag, floorFile: join(dir, "signer-floor.json") },
          { store },
        );
  const faucetKey = config.faucetKey === undefined ? undefined : await loadKey(config.faucetKey, "account");
  if (faucetKey !== undefined && !document.chainId.startsWith("dev-")) {
    throw new FaultError("config/invalid", {
      field: "faucetKey",
      expected: 'a chain id that begins with "dev-"',
    });
  }

  const changes = createChanges();
  const verifier = createVerifier();
  const signatures = await createSignatureVerifier();
  const verification = createVerification({ keys }, { verifier, signatures });
  const mempool = createMempool(params, tag);
  const counters = { verified: 0, rejected: 0 };
  let finalizedAtMs = performance.now();

  const onFinalized = (event: FinalizedEvent): void => {
    const { blocks } = event;
    finalizedAtMs = performance.now();
    for (const { receipt, state, height, block } of blocks) {
      counters.verified += receipt.submissions.length;
      const pooled = mempool.submissions();
      const expired = mempool.onFinalized(state, receipt);
      for (const id of expired.submissions) {
        const submission = pooled.find((it) => toHex(nullifierOf(it)) === id);
        if (submission !== undefined) life.onExpired(id, recordOf(submission));
      }
      log.info(
        {
          height,
          view: block?.header.view,
          transactions: receipt.transactions.length,
          proofs: receipt.submissions.length,
        },
        "final",
      );
      if (receipt.epoch !== undefined) {
        log.info(
          {
            epoch: state.epoch - 1,
            minted: String(receipt.epoch.minted),
            quality: String(receipt.epoch.quality),
          },
          "epoch settled",
        );
      }
    }
    evidence.onFinalized(chain.final().state);
    headers.onFinalized(event);
    void witness.onFinalized();
    changes.notify();
  };

  const scoring = createScoring({ log });
  const chain = await openChain(genesis, {
    store,
    verification,
    scoring,
    log,
    onChecked: (hash, verdict) => driver.onChecked(hash, verdict),
    onFinalized,
  });
  const life = createProofLife({ chain, mempool, store });
  const answers = createAnswers(chain, store);
  const isValidator = createValidatorKeys({ chain });
  // What needs the network is not there yet when the network asks for the pool; no peer is, either.
  const pool = poolView(mempool, { all: () => evidence.all() });

  /** The verdict on one object of a peer; what is rejected is charged. */
  const judgeOne = async (
    { topic, value }: Exclude<GossipMessage, { topic: "submissions" }> | PoolObject,
    from: string,
  ): Promise<Verdict> => {
    if (topic === "transactions") return admission.admit(value, from);
    if (topic === "submissions") return admission.admitSubmission(value, from);
    if (!limits.mayRelay(from)) return { kind: "ignore", fault: fault("rpc/busy", { peer: from }) };
    const verdict = topic === "headers" ? headers.judge(value) : evidence.add(value, from);
    if (verdict.kind === "reject") limits.onRejected(from, verdict.fault);
    return verdict;
  };
  const logged = async <V extends Verdict>(topic: string, from: string, judged: Promise<V>): Promise<V> => {
    const verdict = await judged;
    if (verdict.kind === "reject")
      log.warn({ peer: from, topic, ...verdict.fault }, "a peer relayed what is false");
    return verdict;
  };
  const onGossip = (message: GossipMessage, from: string): Promise<Judgement> =>
    message.topic === "submissions"
      ? logged(message.topic, from, bundles.judge(message.value, from))
      : logged(message.topic, from, judgeOne(message, from));

  const network = await openNetwork(
    {
      chain: tag,
      chainId: document.chainId,
      listen: config.listen,
      peers: config.peers,
      privateKey: await libp2pKey((await loadKey(config.networkKey, "network")).seed),
      ...(signer === undefined ? {} : { identity: signer }),
    },
    {
      log,
      onVote: (vote, from) => driver.onVote(vote, from),
      onCertificate: (certificate, from) => driver.onCertificate(certificate, from),
      onProposal: (proposal, from) => driver.onProposal(proposal, from),
      onCompactProposal: (proposal, from) => driver.onCompactProposal(proposal, from),
      onGossip,
      onRejected: (peerId, fault) => limits.onRejected(peerId, fault),
      points: (peerId) => limits.points(peerId),
      isValidator,
      pool,
      onRequest: answers,
      onPeer(event, peer) {
        if (event !== "disconnected") greet(event, peer);
      },
    },
  );
  const limits = createRelayLimits({ network });
  const bundles = createBundles({
    mempool,
    network,
    admit: (bundle, from) => admission.admitBundle(bundle, from),
  });
  const admission = createAdmission({
    chain,
    mempool,
    verification,
    network,
    bundles,
    limits,
    onRejected(submission, fault) {
      life.onRejected(toHex(nullifierOf(submission)), fault, recordOf(submission));
      changes.notify();
    },
    onPooled: () => changes.notify(),
  });
  const assembler = createAssembler({
    chain,
    store,
    pool: {
      transaction: (root) => mempool.transactionByRoot(root),
      submission: (root) => mempool.submissionByRoot(root) ?? admission.submissionInHand(root),
    },
    network,
    log,
    view: () => driver.view(),
  });
  const evidence = createEvidencePool({ chain, network, log });
  const witness = createWitness({ chain, store, evidence, log });
  const halt = createHalt(dir, { store, log });
  const lag = createLag();
  const driver = createDriver({
    chain,
    store,
    network,
    signer,
    mempool,
    evidence,
    witness,
    halt,
    lag,
    assembler,
    log,
    wasBehindSince: (sinceMs) => catchUp.wasBehindSince(sinceMs),
    onBehind: () => catchUp.start(),
    onFatal,
  });
  const catchUp = createCatchUp(
    { snapshotSync: config.snapshotSync },
    { chain, store, network, log, onImported: (certificate) => driver.onImported(certificate) },
  );

  const standstill =
    signer === undefined ? undefined : createStandstill({ chain, store, signer, driver, halt, network, log });

  const headers = createHeaders({
    chain,
    network,
    catchUp,
    isSeated: () => driver.positionOf(signer?.blsKey) !== undefined,
    hasFollowers: () => network.peers().some(({ blsKey }) => driver.positionOf(blsKey) === undefined),
  });
  const poolExchange = createPoolExchange({
    chain: tag,
    pool,
    network,
    admit: (object, from) => logged(object.topic, from, judgeOne(object, from)),
    log,
  });

  /** What a new peer must know, and what it may know: a validator how far finality is, all of them what waits. */
  const greet = (event: "connected" | "identified", { peerId }: PeerInfo): void => {
    const certificate = chain.finalCertificate();
    if (event === "identified") {
      if (certificate !== undefined) network.sendCertificateTo(peerId, certificate);
      return;
    }
    poolExchange.ask(peerId);
    catchUp.start();
  };

  const faucet = faucetKey === undefined ? undefined : createFaucet(faucetKey, { chain, mempool, admission });
  const isSyncing = (): boolean => performance.now() - finalizedAtMs > READY_WITHIN_MS;
  const rpc = createRpcServer(
    { host: config.rpc.host, port: config.rpc.port },
    {
      log,
      ready: () => ({ status: isSyncing() ? 206 : 200, finalizedHeight: chain.final().height }),
      methods: createMethods({
        chainId: document.chainId,
        chain,
        store,
        genesis,
        mempool,
        admission,
        evidence,
        life,
        changes,
        counters,
        view: () => driver.view(),
        validatorsOnline: () =>
          network.peers().filter(({ blsKey }) => driver.positionOf(blsKey) !== undefined).length +
          (driver.positionOf(signer?.blsKey) === undefined ? 0 : 1),
        isSyncing,
        nodeStatus: () =>
          nodeStatus(config.name, {
            chain,
            store,
            driver,
            network,
            signer,
            isValidator,
            mempool,
            evidence,
            halt,
            lag,
            catchUp,
          }),
        faucet,
      }),
    },
  );

  await network.start();
  const rpcUrl = await rpc.start();
  await driver.start();
  return {
    rpcUrl,
    addresses: network.addresses(),
    async stop() {
      await rpc.stop();
      driver.stop();
      catchUp.stop();
      poolExchange.stop();
      standstill?.stop();
      headers.stop();
      lag.stop();
      assembler.stop();
      chain.stop();
      await network.stop();
      await scoring.stop();
      await verifier.stop();
      await store.close();
      await keyLock?.release();
    },
  };
}
