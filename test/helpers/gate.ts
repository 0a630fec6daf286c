/** A TCP relay that can be cut: what stands between a node and the others in end-to-end tests of lost connections. */
import { connect, createServer, type Socket } from "node:net";

const HOST = "127.0.0.1";

export type Gate = {
  readonly port: number;
  /** Ends all connections and takes no new ones, until it is opened. */
  cut(): void;
  open(): void;
  stop(): Promise<void>;
};

/** Listens on a port of its own and passes on to `target`. */
export async function createGate(target: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let isOpen = true;
  const keep = (socket: Socket, other: () => Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // its close follows
    socket.on("close", () => {
      sockets.delete(socket);
      other().destroy();
    });
  };
  const server = createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = connect({ port: target, host: HOST });
    keep(near, () => far);
    keep(far, () => near);
    near.pipe(far).pipe(near);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen({ port: 0, host: HOST }, resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  const cut = (): void => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut,
    open() {
      isOpen = true;
    },
    async stop() {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}
