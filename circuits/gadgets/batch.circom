// A batch of private rows: in range, packed and hashed to its content.
// Used by the templates whose witness is a committed batch; circuits/hash.ts computes the same natively.
pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "hash.circom";

// x: features, signed 12 bits (Q8). y: labels, 0 or 1. content: their hash.
template BatchContent(rows, features) {
    signal input x[rows][features];
    signal input y[rows];
    signal output content;

    var VALUE_BITS = 12;
    var ELEMENT_BITS = 252; // 21 whole values; below the field's 253.6 bits, so an element has one meaning

    // The batch as one stream of bits: every value + 2^11, row by row and low bit first, then the labels,
    // cut into elements of 252 bits.
    var count = (rows * features * VALUE_BITS + rows + ELEMENT_BITS - 1) \ ELEMENT_BITS;
    var element[count];
    for (var e = 0; e < count; e++) {
        element[e] = 0;
    }
    var position = 0;
    for (var i = 0; i < rows; i++) {
        for (var j = 0; j < features; j++) {
            // The decomposition exists exactly for -2^11 <= x < 2^11. Without it a prover could put any
            // number into x, and two batches could pack to one content.
            _ <== Num2Bits(VALUE_BITS)(x[i][j] + (1 << (VALUE_BITS - 1)));
            element[position \ ELEMENT_BITS] +=
                (x[i][j] + (1 << (VALUE_BITS - 1))) * (1 << (position % ELEMENT_BITS));
            position += VALUE_BITS;
        }
    }
    for (var i = 0; i < rows; i++) {
        // A label is 0 or 1: the residual is a clamp only then.
        y[i] * (y[i] - 1) === 0;
        element[position \ ELEMENT_BITS] += y[i] * (1 << (position % ELEMENT_BITS));
        position++;
    }

    // The shape is part of the domain, so a content says how it is to be read.
    component sponge = Sponge(count, TAG_CONTENT() + rows * 65536 + features);
    for (var e = 0; e < count; e++) {
        sponge.in[e] <== element[e];
    }
    content <== sponge.out;
}
