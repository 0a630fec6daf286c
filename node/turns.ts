/** Lets other events of this thread have their turn within a long piece of work. Used by chain and verification. */
export const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
