/** What is of one start alone: ports, the nodes' configurations, process ids. Called when a devnet starts. */
import { join } from "node:path";
import { writeJson } from "../pod/folder.ts";
import type { Child } from "./child.ts";
import { type DevnetFile, paths } from "./folder.ts";
import { RPC_PORT } from "./options.ts";
import { anyPorts, portsFrom } from "./ports.ts";

export type PlaceOptions = {
  /** Of node-0, the others follow; the first free one from 9545 if absent, any if 0. */
  readonly rpcPort?: number | undefined;
  readonly logLevel?: string | undefined;
};

/** Gives everybody a port of this moment and writes the nodes' configurations. */
export async function placed(
  dir: string,
  file: DevnetFile,
  { rpcPort, logLevel }: PlaceOptions,
): Promise<DevnetFile> {
  const count = file.nodes.length;
  const p2p = await anyPorts(count);
  const rpc =
    rpcPort === 0
      ? await anyPorts(count)
      : await portsFrom(rpcPort ?? RPC_PORT, count, rpcPort !== undefined);
  const nodes = file.nodes.map((node, i) => {
    const port = rpc[i] ?? 0;
    return {
      ...node,
      dir: paths(dir).node(i),
      rpc: `http://127.0.0.1:${port}`,
      rpcPort: port,
      p2pPort: p2p[i] ?? 0,
    };
  });
  for (const [i, node] of nodes.entries()) {
    await writeJson(
      join(node.dir, "config.json"),
      {
        name: node.name,
        genesis: "../genesis.json",
        listen: `/ip4/127.0.0.1/tcp/${node.p2pPort}`,
        peers: nodes
          .filter((_, j) => j !== i)
          .map((peer) => `/ip4/127.0.0.1/tcp/${peer.p2pPort}/p2p/${peer.peerId}`),
        rpc: { host: "127.0.0.1", port: node.rpcPort },
        blsKey: "bls.json",
        accountKey: "account.json",
        networkKey: "network.json",
        faucetKey: "../faucet.json",
        logLevel: logLevel ?? "info",
      },
      0o644,
    );
  }
  const pods = file.pods.map((pod, i) => ({
    ...pod,
    dir: paths(dir).pod(i),
    rpc: nodes[i % count]?.rpc ?? "",
  }));
  return { ...withoutPids({ ...file, nodes, pods }), pid: process.pid };
}

export function withPids(info: DevnetFile, nodes: readonly Child[], pods: readonly Child[]): DevnetFile {
  const pidOf = (child: Child | undefined): { pid?: number } =>
    child?.pid === undefined ? {} : { pid: child.pid };
  return {
    ...info,
    nodes: info.nodes.map((node, i) => ({ ...node, ...pidOf(nodes[i]) })),
    pods: info.pods.map((pod, i) => ({ ...pod, ...pidOf(pods[i]) })),
  };
}

export function withoutPids(info: DevnetFile): DevnetFile {
  const { pid: _, ...rest } = info;
  return { ...rest, nodes: info.nodes.map(withoutPid), pods: info.pods.map(withoutPid) };
}

function withoutPid<T extends { readonly pid?: number | undefined }>(process: T): Omit<T, "pid"> {
  const { pid: _, ...rest } = process;
  return rest;
}
