/** JSON out of bodies that anybody may send: its depth is bounded before anything recurses over it. Called by server.ts. */

export const DEPTH_MAX = 32;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Undefined if it is not UTF-8 or not JSON. */
export function parseJson(body: Uint8Array): { readonly value: unknown } | "too-deep" | undefined {
  try {
    const text = utf8.decode(body);
    if (isDeeperThan(body, DEPTH_MAX)) return "too-deep";
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined; // the reply says so
  }
}

/** Counts brackets outside strings. Most of a body is strings, whose ends are searched for, not walked to. */
function isDeeperThan(body: Uint8Array, depthMax: number): boolean {
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
  return false;
}

/** Of the string that begins here: its last quote, which has an even number of backslashes before it. */
function endOfString(body: Uint8Array, start: number): number {
  for (let end = body.indexOf(QUOTE, start + 1); end >= 0; end = body.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (body[end - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return body.length;
}
