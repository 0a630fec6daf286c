// Clamping in one decomposition. Used by templates with a clamped loss or activation.
pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/comparators.circom";

// out = clamp(t, 0, 2^width) for a signed t with -2^bits <= t < 2^bits, given as shifted = t + 2^bits.
// Also the range check of t: there is a witness for no other t. bits <= 251, width < bits.
template Clamp(bits, width) {
    signal input shifted;
    signal output out;

    signal bit[bits + 1] <== Num2Bits(bits + 1)(shifted);

    // t = low + 2^width * high if the top bit, the sign, is 1; t is negative if it is 0.
    var low = 0;
    for (var k = 0; k < width; k++) {
        low += bit[k] * (1 << k);
    }
    var high = 0;
    for (var k = width; k < bits; k++) {
        high += bit[k] * (1 << (k - width));
    }
    signal highZero <== IsZero()(high);
    signal inside <== bit[bits] * highZero; // 0 <= t < 2^width
    signal kept <== inside * low; // t itself if inside, else 0
    out <== kept + (bit[bits] - inside) * (1 << width); // above: not negative and not inside
}
