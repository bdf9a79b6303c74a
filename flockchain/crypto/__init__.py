"""Floor 1: hashes, Merkle roots, signatures and their domains, keys at rest.

The door gives hashes, roots and signing bytes. `ed25519`, `bls`, `voting` and `keystore` are named by
module, because what they call `sign` and `verify` means nothing without it. No curve library is
imported from here.
"""

from flockchain.crypto.hashing import (
    compute_block_hash,
    compute_events_root,
    compute_extrinsic_hash,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
    compute_validators_hash,
    hash_tagged,
    sha256,
)
from flockchain.crypto.merkle import compute_audit_path, compute_root, verify_audit_path
from flockchain.crypto.signing import Domain, compute_signing_bytes

__all__ = [
    "Domain",
    "compute_audit_path",
    "compute_block_hash",
    "compute_events_root",
    "compute_extrinsic_hash",
    "compute_extrinsics_root",
    "compute_inherents_root",
    "compute_learning_root",
    "compute_root",
    "compute_signing_bytes",
    "compute_validators_hash",
    "hash_tagged",
    "sha256",
    "verify_audit_path",
]
