/** `npm run devnet -- …` is `zkp devnet …`. */
import { main } from "../cli/program.ts";

await main(["devnet", ...process.argv.slice(2)]);
