"""What a replica asks of its host when a block is final: take a snapshot of it, drop blocks that are old.

Knows the node's settings and the epochs; `sync.retention` has the arithmetic.
"""

from __future__ import annotations

from flockchain.primitives.numbers import Height
from flockchain.replica import effects as out
from flockchain.replica.participant import Participant
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sync.retention import compute_prune_height, is_snapshot_due

__all__ = ["compute_upkeep"]


def compute_upkeep(
    participant: Participant, head: ExecutedBlock, *, is_live: bool
) -> list[out.TakeSnapshot | out.PruneBlocks]:
    """What is due at a finalized head. A node that catches up takes no snapshots: it has better things to do."""
    epochs, config = participant.epochs, participant.retention
    height = head.header.height
    wishes: list[out.TakeSnapshot | out.PruneBlocks] = []
    is_epoch_end = height == epochs.compute_last_height(head.header.epoch)
    if is_live and is_epoch_end and is_snapshot_due(config, height, epochs.compute_anchor_height(head.header.epoch)):
        wishes.append(out.TakeSnapshot(height, head.block_hash, head.tree))
    anchor = epochs.compute_anchor_height(epochs.compute_open_epoch(height))
    whole = participant.offered.list_whole()
    oldest: Height | None = whole[0].height if whole else None
    below = compute_prune_height(config, height, anchor, oldest)
    if below is not None:
        wishes.append(out.PruneBlocks(below))
    return wishes
