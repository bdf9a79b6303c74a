"""The blocks of an epoch that are not final yet, by hash, and the last final one as their root.

Knows parents and heights, and which blocks the host has been asked to check. Does not know which blocks
are notarized, nor how a block executes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from flockchain.consensus.certificates import SafetyBroken
from flockchain.crypto.hashing import compute_extrinsics_root, compute_inherents_root, compute_learning_root
from flockchain.primitives.block import Block
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Hash, Height

__all__ = ["BlockTree", "CheckState", "MissingBlock", "verify_body"]


class CheckState(IntEnum):
    """What the host has said of a block."""

    NOT_ASKED = 0
    ASKED = 1
    VALID = 2
    INVALID = 3


@dataclass(frozen=True, slots=True)
class MissingBlock:
    """The first block on the way down to the floor that we do not hold."""

    block_hash: Hash


def verify_body(block: Block) -> bool:
    """Whether the body is the one that the header commits to: a hash names a header, and anybody can swap a body."""
    header = block.header
    return (
        header.inherents_root == compute_inherents_root(block.reveal, block.evidence)
        and header.learning_root == compute_learning_root(block.learning)
        and header.extrinsics_root == compute_extrinsics_root(block.extrinsics)
    )


class BlockTree:
    """Blocks above the floor. What comes in is bounded by its callers: proposals of few views, and blocks asked for."""

    def __init__(self, floor_hash: Hash, floor_height: Height) -> None:
        self.floor_hash = floor_hash
        self.floor_height = floor_height
        self._floor_block: Block | None = None
        self._blocks: dict[Hash, Block] = {}
        self._checks: dict[Hash, CheckState] = {}

    def has(self, block_hash: Hash) -> bool:
        return block_hash == self.floor_hash or block_hash in self._blocks

    def get_block(self, block_hash: Hash) -> Block | None:
        """The block, if it is above the floor or the floor itself (the anchor's body is not known here)."""
        return self._floor_block if block_hash == self.floor_hash else self._blocks.get(block_hash)

    def get_height(self, block_hash: Hash) -> Height | None:
        if block_hash == self.floor_hash:
            return self.floor_height
        block = self._blocks.get(block_hash)
        return None if block is None else block.header.height

    def get_check(self, block_hash: Hash) -> CheckState:
        """What is final is valid."""
        if block_hash == self.floor_hash:
            return CheckState.VALID
        return self._checks.get(block_hash, CheckState.NOT_ASKED)

    def find_path(self, block_hash: Hash) -> tuple[Hash, ...] | MissingBlock:
        """From the floor's child up to the block itself, or what is missing.

        For certified blocks only: raises `SafetyBroken` if the way down misses the floor.
        """
        path: list[Hash] = []
        while block_hash != self.floor_hash:
            block = self._blocks.get(block_hash)
            if block is None:
                return MissingBlock(block_hash)
            if block.header.height <= self.floor_height:
                raise SafetyBroken(
                    "a certified block does not descend from the last final one",
                    height=block.header.height,
                    block=block_hash,
                    final_height=self.floor_height,
                    final=self.floor_hash,
                )
            path.append(block_hash)
            block_hash = block.header.parent
        return tuple(reversed(path))

    def add(self, block_hash: Hash, block: Block) -> None:
        if not self.has(block_hash):
            self._blocks[block_hash] = block

    def add_own(self, block_hash: Hash, block: Block) -> None:
        """A block that the host has just built, and so executed."""
        self.add(block_hash, block)
        self._checks[block_hash] = CheckState.VALID

    def drop(self, block_hash: Hash) -> None:
        """Forget a body that nobody is known to have notarized; it is fetched and checked again if that was wrong."""
        self._blocks.pop(block_hash, None)
        self._checks.pop(block_hash, None)

    def apply_asked(self, block_hash: Hash) -> None:
        """The host has been asked to check this block."""
        invariant(self.get_check(block_hash) is CheckState.NOT_ASKED, "a block is checked once", block=block_hash)
        self._checks[block_hash] = CheckState.ASKED

    def apply_check(self, block_hash: Hash, is_valid: bool) -> None:
        """The host's answer; the first one counts, and none for a block that is settled or unknown."""
        if self.get_check(block_hash) is CheckState.ASKED:
            self._checks[block_hash] = CheckState.VALID if is_valid else CheckState.INVALID

    def apply_floor(self, block_hash: Hash, block: Block) -> None:
        """This block is final: everything not above its height and view is settled."""
        invariant(block.header.height > self.floor_height, "finality moves up", height=block.header.height)
        self.floor_hash, self.floor_height, self._floor_block = block_hash, block.header.height, block
        self._blocks = {
            kept_hash: kept
            for kept_hash, kept in self._blocks.items()
            if kept.header.height > self.floor_height and kept.header.view > block.header.view
        }
        self._checks = {kept: check for kept, check in self._checks.items() if kept in self._blocks}
