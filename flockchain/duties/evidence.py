"""The per-example evidence of a vote: its root, and the rows that a reveal opens.

One leaf per drawn prompt, in the draw's order: the loss as a big-endian signed 64-bit integer of micro-nats per token.
"""

from __future__ import annotations

from collections.abc import Sequence

from flockchain.crypto.merkle import compute_audit_path_of_hashes, compute_leaf_hash, compute_root_of_hashes
from flockchain.primitives.codec import I64
from flockchain.primitives.learning import AuditRow
from flockchain.primitives.numbers import Hash, MicroNats

__all__ = ["compute_audit_rows", "compute_evidence_root"]


def compute_evidence_root(losses: Sequence[int]) -> Hash:
    """The RFC 6962 root over the losses."""
    return compute_root_of_hashes(_hash_leaves(losses))


def compute_audit_rows(losses: Sequence[int], positions: Sequence[int]) -> tuple[AuditRow, ...]:
    """The opened rows at `positions`."""
    hashes = _hash_leaves(losses)
    return tuple(
        AuditRow(position, MicroNats(losses[position]), compute_audit_path_of_hashes(hashes, position))
        for position in positions
    )


def _hash_leaves(losses: Sequence[int]) -> list[Hash]:
    return [compute_leaf_hash(I64.encode(loss)) for loss in losses]
