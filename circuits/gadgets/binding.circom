// Who proves, for which task, once: the part that all templates for drawn batches share.
pragma circom 2.2.0;

include "hash.circom";

template Binding() {
    signal input secret;
    signal input task;
    signal input epoch;
    signal input podId;
    signal input batchIndex;
    signal input content;
    signal output nullifier;
    signal output dataTag;

    // Only who knows the secret behind the registered id can prove in its name.
    signal owner <== Hash(1, TAG_POD_ID())([secret]);
    podId === owner;

    // One nullifier for a (pod, task, epoch, batch), which the prover cannot vary: the secret is fixed by
    // podId, all else is public. Without the secret nobody can compute it ahead or link it.
    signal context <== Hash(3, TAG_CONTEXT())([task, epoch, podId]);
    nullifier <== Hash(3, TAG_NULLIFIER())([secret, context, batchIndex]);

    // No salt and no identity: the same batch in the same round gives the same tag, whoever proves it;
    // in another round an unrelated one.
    dataTag <== Hash(3, TAG_DATA_TAG())([content, task, epoch]);
}
