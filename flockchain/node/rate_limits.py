"""What a peer may send of each kind, and what becomes of each kind when a peer does not take it: one table.

Sizes are checked before anything is decoded; the largest is what the kind's codec can encode, unless honest nodes keep
to less. Rates are far above what an honest node sends and far below what would starve the others: consensus alone takes
some tens of messages a view from each peer. They are token buckets, in integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from flockchain.gossip.messages import MessageKind, compute_message_bytes_max
from flockchain.primitives.limits import BLOCK_BYTES_MAX, FRAME_BYTES_MAX, MIB, PEER_QUEUE_FRAMES_MAX

__all__ = ["BYTES_RATE", "CHANNELS", "KIND_RULES", "Channel", "KindRule", "PeerRates", "Rate", "WhenFull"]


class WhenFull(Enum):
    """What happens to a message for whose channel a peer's queue has no room."""

    CUT_LINK = "the link is cut"  # the peer must not miss one: it starts anew
    DROP_OLDEST = "the oldest make room"  # what is newer is worth more, and others pass it on too
    REFUSE = "the message is refused"  # the peer asks again


@dataclass(frozen=True, slots=True)
class Channel:
    """Messages that wait in one queue for each peer: how many, how many bytes, and what happens when it is full."""

    name: str
    when_full: WhenFull
    messages_max: int
    bytes_max: int


CONSENSUS: Final = Channel("consensus", WhenFull.CUT_LINK, PEER_QUEUE_FRAMES_MAX, 24 * MIB)
GOSSIP: Final = Channel("gossip", WhenFull.DROP_OLDEST, 2_048, 12 * MIB)
SYNC: Final = Channel("sync", WhenFull.REFUSE, 64, 4 * FRAME_BYTES_MAX)
CHANNELS: Final = (CONSENSUS, GOSSIP, SYNC)  # what is before goes before


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units a second, and so many at once after a silence."""

    per_s: int
    burst: int


@dataclass(frozen=True, slots=True)
class KindRule:
    """The rule of one kind of message. `bytes_max`: of its encoding, tag included."""

    channel: Channel
    rate: Rate
    bytes_max: int


_RULES: Final[Mapping[MessageKind, tuple[Channel, Rate]]] = {
    MessageKind.PROPOSAL: (CONSENSUS, Rate(200, 1_000)),
    MessageKind.VOTE: (CONSENSUS, Rate(5_000, 50_000)),
    MessageKind.CERTIFICATE: (CONSENSUS, Rate(2_000, 10_000)),
    MessageKind.EXTRINSICS: (GOSSIP, Rate(500, 2_000)),
    MessageKind.LEARNING: (GOSSIP, Rate(200, 2_000)),
    MessageKind.AGGREGATE_VOTE: (GOSSIP, Rate(200, 2_000)),
    MessageKind.STATUS: (GOSSIP, Rate(200, 1_000)),
    MessageKind.BLOCKS_REQUEST: (SYNC, Rate(50, 200)),
    MessageKind.BLOCKS_REPLY: (SYNC, Rate(50, 200)),
    MessageKind.BLOCK_REQUEST: (CONSENSUS, Rate(200, 1_000)),
    MessageKind.BLOCK_REPLY: (CONSENSUS, Rate(200, 1_000)),
    MessageKind.CERTIFICATES_REQUEST: (CONSENSUS, Rate(100, 500)),
    MessageKind.CERTIFICATES_REPLY: (CONSENSUS, Rate(100, 500)),
    MessageKind.EVIDENCE: (CONSENSUS, Rate(50, 500)),
    MessageKind.NEIGHBOURS: (GOSSIP, Rate(10, 100)),
    MessageKind.SNAPSHOTS_REQUEST: (SYNC, Rate(5, 50)),
    MessageKind.SNAPSHOTS_REPLY: (SYNC, Rate(5, 50)),
    MessageKind.CHUNK_REQUEST: (SYNC, Rate(100, 500)),
    MessageKind.CHUNK_REPLY: (SYNC, Rate(100, 500)),
    MessageKind.LIGHT_BLOCKS_REQUEST: (SYNC, Rate(50, 200)),
    MessageKind.LIGHT_BLOCKS_REPLY: (SYNC, Rate(50, 200)),
    MessageKind.BLOCKS_PRUNED: (SYNC, Rate(50, 200)),
    MessageKind.OWN_VOTES_REQUEST: (CONSENSUS, Rate(10, 50)),
    MessageKind.OWN_VOTES_REPLY: (CONSENSUS, Rate(10, 50)),
}
_SMALLER: Final[Mapping[MessageKind, int]] = {
    MessageKind.EXTRINSICS: BLOCK_BYTES_MAX // 2,  # nodes batch up to a quarter of a block
}
KIND_RULES: Final[Mapping[MessageKind, KindRule]] = {
    kind: KindRule(channel, rate, min(compute_message_bytes_max(kind), _SMALLER.get(kind, FRAME_BYTES_MAX)))
    for kind, (channel, rate) in _RULES.items()
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
        self, now_ms: int, kind_rules: Mapping[MessageKind, KindRule] = KIND_RULES, bytes_rate: Rate = BYTES_RATE
    ) -> None:
        self._kinds = {kind: _Bucket(rule.rate, now_ms) for kind, rule in kind_rules.items()}
        self._bytes = _Bucket(bytes_rate, now_ms)

    def is_within(self, kind: MessageKind, size_bytes: int, now_ms: int) -> bool:
        """Whether a message may pass; it then counts."""
        return self._kinds[kind].take(1, now_ms) and self._bytes.take(size_bytes, now_ms)
