// Membership of a leaf at a public position of a Poseidon tree.
// Used by every template that opens a committed batch; circuits/hash.ts builds the same tree.
pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "hash.circom";

// The root above `leaf` at `index`, given its siblings from the bottom up.
template TreeRoot(depth) {
    signal input leaf;
    signal input index;
    signal input siblings[depth];
    signal output root;

    // index < 2^depth, and exactly one path: depth bits have one value below the field's order.
    signal bits[depth] <== Num2Bits(depth)(index);

    signal moved[depth];
    signal node[depth + 1];
    node[0] <== leaf;
    for (var level = 0; level < depth; level++) {
        // Swap the two children where the bit is 1: one product instead of two selections.
        moved[level] <== bits[level] * (siblings[level] - node[level]);
        node[level + 1] <== Hash(2, TAG_NODE())([node[level] + moved[level], siblings[level] - moved[level]]);
    }
    root <== node[depth];
}
