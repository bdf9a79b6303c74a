"""Which finalized blocks answer a peer that catches up.

An answer stays inside one epoch (the asker knows the validators of no later one) and ends, whenever the frame
is large enough, at a height whose finalization certificate is stored: a certificate may finalize several blocks.
"""

from __future__ import annotations

from typing import Final, Protocol

from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.limits import FRAME_BYTES_MAX, KIB, SYNC_BLOCKS_PER_REPLY_MAX
from flockchain.primitives.numbers import Height
from flockchain.primitives.vote import Certificate

__all__ = ["REPLY_BYTES_MAX", "BlockSource", "build_reply"]

REPLY_BYTES_MAX: Final = FRAME_BYTES_MAX - 64 * KIB


class BlockSource(Protocol):
    """The finalized chain, by height."""

    def get_block(self, height: Height) -> Block | None: ...

    def get_certificate(self, height: Height) -> Certificate | None: ...


def build_reply(
    source: BlockSource, from_height: Height, count: int, last_height: Height
) -> tuple[tuple[Block, ...], Certificate | None]:
    """At most `count` blocks from `from_height` up to `last_height` (of the epoch of `from_height`, or our head).

    Cut back to the last certified height; if there is none within the limits, all of them and no certificate.
    """
    blocks: list[Block] = []
    certified: tuple[int, Certificate] | None = None
    size_bytes = 0
    height = from_height
    while height <= last_height and len(blocks) < min(count, SYNC_BLOCKS_PER_REPLY_MAX):
        block = source.get_block(height)
        if block is None:
            break
        size_bytes += len(BLOCK.encode(block))
        if blocks and size_bytes > REPLY_BYTES_MAX:
            break
        blocks.append(block)
        certificate = source.get_certificate(height)
        if certificate is not None:
            certified = (len(blocks), certificate)
        height = Height(height + 1)
    if certified is None:
        return tuple(blocks), None
    return tuple(blocks[: certified[0]]), certified[1]
