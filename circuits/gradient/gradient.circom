// Gradient: "g is the exact gradient of the public model w, under the modified-Huber loss, on the batch
// that my data root commits to at this index; and enough rows take part that g discloses none of them."
//
// Fixed point, as in consensus/work/gradient.ts, the native twin: x is Q8 in 12 bits, w and the bias are
// Q16 in 24 bits, z = sum w*x + 2^8*bias is Q24, and
//     p = clamp(z + 2^25, 0, 2^26)      residual = p - y * 2^26      g_j = sum over rows of residual * x_j
// The bias is the weight of a constant feature 2^8, i.e. 1.0. The loss' derivative is that clamp, so g is
// the gradient itself, not an approximation. Signed numbers are taken modulo r.
//
// The node supplies every public input from its state and guarantees: each w has 24 bits signed, and
// task, epoch, podId, dataRoot, batchIndex are below r. It also checks outputs against their bounds, but
// nothing here depends on that.
pragma circom 2.2.0;

include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/comparators.circom";
include "../gadgets/batch.circom";
include "../gadgets/binding.circom";
include "../gadgets/clamp.circom";
include "../gadgets/hash.circom";
include "../gadgets/tree.circom";

// Smallest k with n <= 2^k.
function bitsFor(n) {
    var k = 0;
    while ((1 << k) < n) {
        k++;
    }
    return k;
}

template Gradient(rows, features, depth, minActive) {
    // Public outputs.
    signal output nullifier;
    signal output dataTag;
    signal output g[features + 1]; // the bias' gradient last

    // Public inputs.
    signal input task;
    signal input epoch;
    signal input podId;
    signal input dataRoot;
    signal input batchIndex; // drawn by the beacon, never chosen by the pod
    signal input w[features + 1]; // the bias last

    // Private inputs.
    signal input secret;
    signal input salt; // 128 random bits: hides a batch of few possibilities inside its leaf
    signal input x[rows][features];
    signal input y[rows];
    signal input siblings[depth];

    // 1. The batch is the committed one. Ranges, labels and packing are checked inside BatchContent; so one
    //    leaf opens to one batch, and one root and index to one leaf.
    signal content <== BatchContent(rows, features)(x, y);
    signal leaf <== Hash(2, TAG_LEAF())([content, salt]);
    signal root <== TreeRoot(depth)(leaf, batchIndex, siblings);
    dataRoot === root;

    // 2. The proof belongs to this pod, task, epoch and batch.
    (nullifier, dataTag) <== Binding()(secret, task, epoch, podId, batchIndex, content);

    // 3. z of every row. With 12-bit x and 24-bit w, |z + 2^25| < 2^Z, so that shifted = z + 2^25 + 2^Z has
    //    Z + 1 bits. Rows share multiplications: with B = 2^(Z+1), sum_k B^k * z_k = sum_j w_j * (sum_k B^k *
    //    x_kj), one product a feature for a whole group of rows. Clamp proves that each `shifted` has Z + 1
    //    bits, the true one has as many, and a group fits 252 bits: two such numbers that are equal modulo r
    //    are equal, digit by digit.
    var OFFSET = 1 << 25;
    var ONE = 1 << 26;
    var BIAS_FEATURE = 1 << 8;
    var Z = 34 + bitsFor(features + 1);
    var groupRows = 252 \ (Z + 1);
    var groups = (rows + groupRows - 1) \ groupRows;

    signal shifted[rows];
    signal products[groups][features];
    for (var group = 0; group < groups; group++) {
        var first = group * groupRows;
        var last = first + groupRows < rows ? first + groupRows : rows;
        var left = 0;
        var right = 0;
        for (var i = first; i < last; i++) {
            var z = w[features] * BIAS_FEATURE;
            for (var j = 0; j < features; j++) {
                z += w[j] * x[i][j];
            }
            shifted[i] <-- z + OFFSET + (1 << Z); // constrained by `left === right` below, and its bits by Clamp
            left += shifted[i] * (1 << ((Z + 1) * (i - first)));
            right += (w[features] * BIAS_FEATURE + OFFSET + (1 << Z)) * (1 << ((Z + 1) * (i - first)));
        }
        for (var j = 0; j < features; j++) {
            var column = 0;
            for (var i = first; i < last; i++) {
                column += x[i][j] * (1 << ((Z + 1) * (i - first)));
            }
            products[group][j] <== w[j] * column;
            right += products[group][j];
        }
        left === right;
    }

    // 4. Residuals, and how many are not zero.
    signal p[rows];
    signal residual[rows];
    signal idle[rows];
    var active = 0;
    for (var i = 0; i < rows; i++) {
        p[i] <== Clamp(Z, 26)(shifted[i]);
        residual[i] <== p[i] - y[i] * ONE;
        idle[i] <== IsZero()(residual[i]);
        active += 1 - idle[i];
    }
    // active - minActive has as many bits as rows - minActive: below zero it would be nearly r. With few
    // active rows g is nearly one row, up to a factor: whoever reads the chain would have the record.
    _ <== Num2Bits(bitsFor(rows - minActive + 1))(active - minActive);

    // 5. The gradient, published exact: |g| <= rows * 2^37, far below r.
    signal terms[rows][features];
    for (var j = 0; j < features; j++) {
        var sum = 0;
        for (var i = 0; i < rows; i++) {
            terms[i][j] <== residual[i] * x[i][j];
            sum += terms[i][j];
        }
        g[j] <== sum;
    }
    var residuals = 0;
    for (var i = 0; i < rows; i++) {
        residuals += residual[i];
    }
    g[features] <== residuals * BIAS_FEATURE;
}
