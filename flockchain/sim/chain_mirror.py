"""The chain as the simulator itself follows it: the state after each block, from the changes that nodes committed.

The first honest node to commit a height is believed; that the others agree is for the checkers to say. Knows keys and
values; not what they mean, and nothing of how a block is executed.
"""

from __future__ import annotations

from collections.abc import Mapping

from flockchain.primitives.numbers import Hash
from flockchain.runtime.ledger import ExecutedBlock

__all__ = ["ChainMirror"]


class ChainMirror:
    """Height, hash and whole state of the highest block that an honest node committed."""

    def __init__(self, genesis: Mapping[bytes, bytes | None]) -> None:
        self.height = 0
        self.block_hash: Hash | None = None
        self.state: dict[bytes, bytes] = {key: value for key, value in genesis.items() if value is not None}

    def apply(self, executed: ExecutedBlock) -> bool:
        """Take the block if it is the next one; False if that height was here before."""
        if executed.header.height != self.height + 1:
            return False
        self.height, self.block_hash = executed.header.height, executed.block_hash
        for key, value in executed.changes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        return True
