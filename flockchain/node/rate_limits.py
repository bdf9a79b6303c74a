"""How many frames of each kind, and how many bytes, a peer may send: token buckets, in integers.

The rates are far above what an honest node sends and far below what would starve the others: consensus alone takes
some tens of frames a view from each peer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flockchain.gossip.messages import MessageKind
from flockchain.primitives.limits import FRAME_BYTES_MAX, MIB

__all__ = ["BYTES_RATE", "KIND_RATES", "PeerRates", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units a second, and so many at once after a silence."""

    per_s: int
    burst: int


KIND_RATES: Final[Mapping[MessageKind, Rate]] = {
    MessageKind.PROPOSAL: Rate(200, 1_000),
    MessageKind.VOTE: Rate(5_000, 50_000),
    MessageKind.CERTIFICATE: Rate(2_000, 10_000),
    MessageKind.EXTRINSICS: Rate(500, 2_000),
    MessageKind.LEARNING: Rate(200, 2_000),
    MessageKind.AGGREGATE_VOTE: Rate(200, 2_000),
    MessageKind.STATUS: Rate(200, 1_000),
    MessageKind.BLOCKS_REQUEST: Rate(50, 200),
    MessageKind.BLOCKS_REPLY: Rate(50, 200),
    MessageKind.BLOCK_REQUEST: Rate(200, 1_000),
    MessageKind.BLOCK_REPLY: Rate(200, 1_000),
    MessageKind.CERTIFICATES_REQUEST: Rate(100, 500),
    MessageKind.CERTIFICATES_REPLY: Rate(100, 500),
    MessageKind.EVIDENCE: Rate(50, 500),
    MessageKind.NEIGHBOURS: Rate(10, 100),
}
BYTES_RATE: Final = Rate(64 * MIB, 32 * FRAME_BYTES_MAX)


class _Bucket:
    """Micro-units, so that slow rates do not lose their remainders."""

    __slots__ = ("filled_ms", "left", "rate")

    def __init__(self, rate: Rate, now_ms: int) -> None:
        self.rate = rate
        self.left = rate.burst * 1000
        self.filled_ms = now_ms

    def take(self, count: int, now_ms: int) -> bool:
        if now_ms > self.filled_ms:
            self.left = min(self.rate.burst * 1000, self.left + (now_ms - self.filled_ms) * self.rate.per_s)
            self.filled_ms = now_ms
        if count * 1000 > self.left:
            return False
        self.left -= count * 1000
        return True


class PeerRates:
    """What one connection has left of every rate."""

    def __init__(
        self, now_ms: int, kind_rates: Mapping[MessageKind, Rate] = KIND_RATES, bytes_rate: Rate = BYTES_RATE
    ) -> None:
        self._kinds = {kind: _Bucket(rate, now_ms) for kind, rate in kind_rates.items()}
        self._bytes = _Bucket(bytes_rate, now_ms)

    def is_within(self, kind: MessageKind, size_bytes: int, now_ms: int) -> bool:
        """Whether a message may pass; it then counts."""
        return self._kinds[kind].take(1, now_ms) and self._bytes.take(size_bytes, now_ms)
