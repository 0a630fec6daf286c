/** Stored certificates page by page: what a restarted engine is told, and what a dump shows. For driver.ts. */
import type { Epoch, View } from "../consensus/primitives/units.ts";
import type { Certificate } from "../consensus/types/certificate.ts";
import type { Store } from "./store/store.ts";

const PAGE = 1_024;
const CERTIFICATES_MAX = 4_096;

/** Those of an epoch from a view on, ascending; earlier ones are settled by what is final. */
export async function certificatesFrom(
  store: Pick<Store, "certificates">,
  epoch: Epoch,
  from: View,
): Promise<Certificate[]> {
  const found: Certificate[] = [];
  for (let view: number = from; found.length < CERTIFICATES_MAX; ) {
    const page = await store.certificates(epoch, view, Number.MAX_SAFE_INTEGER - 1, PAGE);
    found.push(...page);
    if (page.length < PAGE) break;
    // The page may have ended between two certificates of its last view, so that view is read again.
    view = Math.max(view + 1, page.at(-1)?.subject.view ?? 0);
  }
  return found;
}
