"""Floor 2: what a store is, the state tree and its proofs, overlays, the archive of finalized blocks.

The door gives what touches no disk. What does is named by module, for hosts: `level_store`, `blobs`,
`journal`, `lock` and `disk`.
"""

from flockchain.storage.archive import Archive, Head
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Changes, Overlay, StateReader
from flockchain.storage.proof import PROOF, AbsenceProof, ExistenceProof, Proof, verify_proof
from flockchain.storage.store import Store
from flockchain.storage.tree import StateTree

__all__ = [
    "PROOF",
    "AbsenceProof",
    "Archive",
    "Changes",
    "ExistenceProof",
    "Head",
    "MemoryStore",
    "Overlay",
    "Proof",
    "StateReader",
    "StateTree",
    "Store",
    "verify_proof",
]
