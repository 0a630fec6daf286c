/** The command `zkp` (see zkp.js, which finds a Node that can run this). */
import { main } from "./program.ts";

await main(process.argv.slice(2));
