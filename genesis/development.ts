/**
 * What exists for development only, and is refused by every chain whose id does not begin with "dev-":
 * set-ups whose toxic waste everybody can derive, and accounts whose keys everybody has.
 */

/** Hashes of the verification keys that circuits/build makes; test/circuits holds them equal. */
export const DEVELOPMENT_KEYS: Readonly<Record<string, string>> = {
  "gradient-4x2": "0x461008d0c4da0861110ff33ebc5ce9368ce8812f850e46644fc41cf81a038459",
  "gradient-8x4": "0x4892224ac06146e1b73f50696bf62ba4f6a7c41c4f003deb899441acbf39d0af",
  "gradient-32x10": "0xe073bfc129cdf06bc8641770692620cf36656d6c7031d33eb7149737d9958835",
  "gradient-32x30": "0x21b95ea325dd1374c4db3d6a708c1d9cd9cd51f983a460271e88bee46a41885c",
};

/** The public accounts of devnets; test/unit/devnet holds them equal. */
export const DEVELOPMENT_ACCOUNTS: readonly string[] = [
  "zkp1w2jpn08d8e4wddhzpmzpv6recjvhfqummmdre3",
  "zkp1u3w2zqzwfdlthrdpgkvn4pp76xqca3smpz98tg",
  "zkp1rhghyu3hy8mw7f4ql5fpuyg6k8qq8c0dzs7ecl",
];
