"""What a node keeps of the past: when it takes a snapshot, and below which height it drops blocks.

Pure arithmetic over heights. Does not know who takes the snapshot or drops the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import STATE_ROOTS_KEPT
from flockchain.primitives.numbers import Height

__all__ = ["RetentionConfig", "compute_prune_height", "is_snapshot_due"]


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """`snapshot_blocks`: about so many blocks between two snapshots (0: none). `keep_blocks`: bodies kept (0: all)."""

    snapshot_blocks: int = 1_000
    keep_blocks: int = 0

    def __post_init__(self) -> None:
        invariant(self.snapshot_blocks >= 0, "cannot be negative", config=self)
        is_enough = self.keep_blocks == 0 or self.keep_blocks >= STATE_ROOTS_KEPT
        invariant(is_enough, "as many blocks are kept as states", keep=self.keep_blocks, least=STATE_ROOTS_KEPT)


def is_snapshot_due(config: RetentionConfig, height: Height, previous_end: Height) -> bool:
    """Whether the epoch's end at `height` gets a snapshot: the first one past a multiple of `snapshot_blocks`.

    `previous_end` is the epoch's end before. All nodes with equal settings take the same snapshots, so that a node that
    joins can have its chunks from all of them.
    """
    every = config.snapshot_blocks
    return every > 0 and height // every > previous_end // every


def compute_prune_height(
    config: RetentionConfig, head: Height, anchor: Height, oldest_snapshot: Height | None
) -> Height | None:
    """Blocks below this height may go; None: none at all.

    `anchor`, the last block of the epoch before, is what consensus builds on; blocks from the oldest snapshot on are
    what a node that joins by it needs next.
    """
    if config.keep_blocks == 0:
        return None
    needed = [head - config.keep_blocks + 1, anchor, head]
    if oldest_snapshot is not None:
        needed.append(oldest_snapshot)
    below = Height(max(0, min(needed)))
    return below if below > 1 else None
