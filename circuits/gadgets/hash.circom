// Poseidon with a domain: every use of the hash has its own.
// Used by every template; circuits/hash.ts computes the same natively.
//
// A domain's tag is the state that the permutation starts from in its first place (its capacity, where
// plain Poseidon has 0). So hashes of two domains are as unrelated as hashes of two functions, and the tag
// costs no input. A tag is SHA-256("zkp/circuits/<domain>") mod r, never a small number, which a prover
// could also bring about as data. A test holds these numbers equal to circuits/hash.ts.
pragma circom 2.2.0;

include "circomlib/circuits/poseidon.circom";

function TAG_POD_ID() {
    return 1298580852927263291238648373229937347364928097749053054887428492342943304945;
}

function TAG_CONTEXT() {
    return 12788068259714389920353126404759711652510390803934640430014812981143348761797;
}

function TAG_NULLIFIER() {
    return 6940848552076631994078759656072991455388038048446990406235216674329777759745;
}

function TAG_DATA_TAG() {
    return 11252048936600654425620926956432215515889506967907277196727242618207273738789;
}

function TAG_CONTENT() {
    return 5122748436992425463799715578285380215462693549933675708799944496228213823749;
}

function TAG_LEAF() {
    return 20841140752910489262208799598222008210486005487404049094518064575163832212970;
}

function TAG_NODE() {
    return 8575401982972582310032232313012569793753331002841080172530485017423141808260;
}

// Poseidon of n inputs in the domain `tag`; 1 <= n <= 16.
template Hash(n, tag) {
    signal input in[n];
    signal output out;

    component permutation = PoseidonEx(n, 1);
    permutation.initialState <== tag;
    permutation.inputs <== in;
    out <== permutation.out[0];
}

// Hash of any fixed number of elements: 16 at once, then the running hash with 15 more at a time; the last
// block is filled with zeros. `tag` must determine n, so that no two lengths can meet.
template Sponge(n, tag) {
    signal input in[n];
    signal output out;

    var blocks = n <= 16 ? 1 : 1 + (n - 16 + 14) \ 15;
    component block[blocks];
    var next = 0;
    for (var b = 0; b < blocks; b++) {
        block[b] = Hash(16, tag);
        for (var k = 0; k < 16; k++) {
            if (b > 0 && k == 0) {
                block[b].in[k] <== block[b - 1].out;
            } else if (next < n) {
                block[b].in[k] <== in[next];
                next++;
            } else {
                block[b].in[k] <== 0;
            }
        }
    }
    out <== block[blocks - 1].out;
}
