/**
 * The builder's thread: compiles a circuit, or multiplies a part of a key's points. Started by build.ts and
 * setup.ts; nothing here runs on the main thread.
 */

import { serveThread, stubWebWorker } from "../thread.ts";
import { type CompileRequest, compileInThread } from "./compile.ts";
import type { FixedBase } from "./fixed-base.ts";
import type { Group } from "./zkey.ts";

export type BuilderRequest =
  | ({ readonly kind: "compile" } & CompileRequest)
  | { readonly kind: "multiply"; readonly group: Group; readonly scalars: Uint8Array };

export type BuilderReply = Uint8Array | undefined;

stubWebWorker();
let fixedBase: Promise<FixedBase> | undefined;

serveThread<BuilderRequest, BuilderReply>(async (request) => {
  if (request.kind === "compile") {
    await compileInThread(request);
    return undefined;
  }
  fixedBase ??= import("./fixed-base.ts").then(({ createFixedBase }) => createFixedBase());
  return (await fixedBase)(request.group, request.scalars);
});
