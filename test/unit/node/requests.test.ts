/** Questions and answers on the wire: each kind comes back as it was, and nothing else is taken for one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Epoch, Height, View } from "../../../consensus/primitives/units.ts";
import { setProof } from "../../../consensus/state/proofs.ts";
import { FRAME_BYTES_MAX } from "../../../node/network/messages.ts";
import {
  BOUNDARIES_PER_RESPONSE_MAX,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  HEADERS_PER_RESPONSE_MAX,
  type Request,
  type Response,
} from "../../../node/network/requests.ts";
import { CHUNK_BYTES, manifestOf } from "../../../node/store/manifest.ts";
import { createChain } from "../../helpers/chain.ts";
import { block, bytes, certificate, finalize, nullify } from "./samples.ts";

const { header } = block(7, 1).block;
const { state } = createChain().genesis;
const proof = {
  finalized: { headers: [header], finalization: certificate(finalize(7, 1)) },
  next: setProof(state, 0),
};

const requests: Request[] = [
  { kind: "tip" },
  { kind: "blocks", fromHeight: Height(7), count: 2 },
  { kind: "block-by-hash", hash: bytes(32, 1) },
  { kind: "certificates", epoch: Epoch(1), fromView: View(1), toView: View(9) },
  { kind: "finalization", fromHeight: Height(3) },
  { kind: "headers", toHeight: Height(9), count: 256 },
  { kind: "epoch-boundaries", fromEpoch: Epoch(2), count: 64 },
  { kind: "snapshot", height: Height(40) },
  { kind: "snapshot-chunk", height: Height(40), index: 1_023 },
];
const responses: Response[] = [
  { kind: "tip", height: Height(7), epoch: Epoch(1), finalizedHash: bytes(32, 5), lowestHeight: Height(1) },
  { kind: "blocks", blocks: [block(7, 1).block], certificate: certificate(finalize(7, 1)) },
  { kind: "blocks", blocks: [block(7, 1).block], certificate: undefined },
  { kind: "block-by-hash", block: undefined },
  { kind: "certificates", certificates: [certificate(nullify(3))] },
  { kind: "finalization", header, certificate: certificate(finalize(7, 1)) },
  { kind: "headers", headers: [header, header] },
  { kind: "epoch-boundaries", proofs: [proof] },
  { kind: "snapshot", manifest: manifestOf(bytes(CHUNK_BYTES + 1, 3)) },
  { kind: "snapshot-chunk", data: bytes(CHUNK_BYTES, 3) },
];

for (const request of requests)
  test(`the question ${request.kind} comes back as it was, in its frame`, () => {
    const encoded = encodeRequest(5, request);
    assert.ok(encoded.length <= FRAME_BYTES_MAX.request);
    assert.deepEqual(decodeRequest(encoded), { id: 5, request });
    for (const wrong of [encoded.slice(1), encoded.slice(0, -1), new Uint8Array([...encoded, 0])])
      assert.equal(decodeRequest(wrong), undefined);
  });

for (const response of responses)
  test(`the answer ${response.kind} comes back as it was, in its frame`, () => {
    const encoded = encodeResponse(5, response);
    assert.ok(encoded.length <= FRAME_BYTES_MAX.response);
    assert.deepEqual(decodeResponse(encoded), { id: 5, response });
  });

test("no answer is one", () => {
  assert.deepEqual(decodeResponse(encodeResponse(5, undefined)), { id: 5, response: undefined });
});

test("kinds that are not there are malformed", () => {
  const encoded = encodeRequest(5, { kind: "tip" });
  assert.equal(encoded.at(-1), 0);
  for (const selector of [requests.length, 127, 128, 255])
    assert.equal(
      decodeRequest(encoded.map((byte, i) => (i === encoded.length - 1 ? selector : byte))),
      undefined,
    );
});

test("answers beyond their limits are malformed", () => {
  const tooMany: Response[] = [
    { kind: "headers", headers: Array.from({ length: HEADERS_PER_RESPONSE_MAX + 1 }, () => header) },
    {
      kind: "epoch-boundaries",
      proofs: Array.from({ length: BOUNDARIES_PER_RESPONSE_MAX + 1 }, () => proof),
    },
    { kind: "snapshot", manifest: { bytes: 1, chunks: Array.from({ length: 1_025 }, () => bytes(32, 1)) } },
    { kind: "snapshot-chunk", data: bytes(CHUNK_BYTES + 1, 3) },
  ];
  for (const response of tooMany)
    assert.equal(decodeResponse(encodeResponse(5, response)), undefined, response.kind);
});
