/** Free ports on this machine, found by listening on them for a moment. Called when a devnet starts. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { FaultError } from "../consensus/primitives/faults.ts";

const HOST = "127.0.0.1";
const TRIES_MAX = 500;

/** The port that was free just now, undefined if it was not. */
function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: HOST, exclusive: true }, () => {
      server.close(() => resolve(port));
    });
  });
}

/**
 * `count` free ports, ascending from `first`. The first must be free itself if it was asked for by name.
 * @throws `node/port-in-use`
 */
export async function portsFrom(first: number, count: number, exact: boolean): Promise<number[]> {
  const found: number[] = [];
  for (let port = first; found.length < count; port++) {
    if (port > 65_535 || port - first > TRIES_MAX)
      throw new FaultError("node/port-in-use", { from: first, to: port - 1 });
    const free = await tryPort(port);
    if (free !== undefined) found.push(free);
    else if (exact && port === first) throw new FaultError("node/port-in-use", { port });
  }
  return found;
}

/** Below the ports that systems give to outgoing connections, which may take one at any moment. */
const ANY_FROM = 15_000;
const ANY_TO = 32_000;

/** Any free ports, all different; taken at random, so that devnets that start together do not meet. */
export async function anyPorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > TRIES_MAX) throw new FaultError("node/port-in-use", { found: found.size, wanted: count });
    const port = await tryPort(randomInt(ANY_FROM, ANY_TO));
    if (port !== undefined) found.add(port);
  }
  return [...found];
}
