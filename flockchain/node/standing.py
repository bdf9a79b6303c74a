"""How well each peer behaves: faults add up, time forgives, and too many of them ban it for a while.

Knows node ids, points and the time that it is handed. Does not close connections: it says when to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import NodeId

__all__ = ["Misdeed", "StandingConfig", "Standings"]


class Misdeed(IntEnum):
    """What a peer did, and how many points it costs."""

    OVER_RATE = 1  # a frame over its kind's rate; it was dropped
    BAD_MESSAGE = 25  # well-framed bytes that are no message
    BAD_CONTENT = 20  # what no honest node sends: a wrong signature, blocks that do not link
    BAD_FRAME = 100  # the framing itself is broken


@dataclass(frozen=True, slots=True)
class StandingConfig:
    """When a peer is banned, for how long, and how fast points go away."""

    ban_points: int = 100
    ban_ms: int = 10 * 60 * 1000
    forgive_points_per_s: int = 1
    peers_max: int = 4096

    def __post_init__(self) -> None:
        invariant(min(self.ban_points, self.ban_ms, self.peers_max) > 0, "must be positive", config=self)


@dataclass(slots=True)
class _Record:
    points: int
    since_ms: int
    banned_until_ms: int = 0


class Standings:
    """Points by peer. Bounded: the record that says least makes room."""

    def __init__(self, config: StandingConfig | None = None) -> None:
        self._config = config or StandingConfig()
        self._records: dict[NodeId, _Record] = {}

    def get_points(self, peer: NodeId, now_ms: int) -> int:
        """The points that count against `peer` now."""
        record = self._records.get(peer)
        return 0 if record is None else self._compute_points(record, now_ms)

    def is_banned(self, peer: NodeId, now_ms: int) -> bool:
        """Whether `peer` may not be connected to now."""
        record = self._records.get(peer)
        return record is not None and now_ms < record.banned_until_ms

    def on_misdeed(self, peer: NodeId, misdeed: Misdeed, now_ms: int) -> bool:
        """Count a misdeed; True if `peer` is banned from now on and must be cut off."""
        record = self._records.get(peer)
        if record is None:
            self._make_room(now_ms)
            record = self._records[peer] = _Record(0, now_ms)
        record.points = self._compute_points(record, now_ms) + misdeed
        record.since_ms = now_ms
        if record.points < self._config.ban_points:
            return False
        record.points = 0
        record.banned_until_ms = now_ms + self._config.ban_ms
        return True

    def _compute_points(self, record: _Record, now_ms: int) -> int:
        forgiven = (now_ms - record.since_ms) * self._config.forgive_points_per_s // 1000
        return max(0, record.points - forgiven)

    def _make_room(self, now_ms: int) -> None:
        if len(self._records) < self._config.peers_max:
            return
        least = min(
            self._records,
            key=lambda peer: (self._records[peer].banned_until_ms > now_ms, self._records[peer].since_ms),
        )
        del self._records[least]
