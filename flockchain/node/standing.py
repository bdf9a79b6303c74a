"""How well each peer behaves: faults add up, time forgives, and too many of them ban it for a while.

Knows peers by their key (a node id, or the host that they come from), points, and the time that it is handed: Unix
milliseconds, since records outlive the process. Does not close connections: it says when to. Keeps nothing on disk:
`peer_file` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from flockchain.primitives.errors import invariant

__all__ = ["Misdeed", "Standing", "StandingConfig", "Standings"]

_MS_PER_MINUTE = 60_000


class Misdeed(IntEnum):
    """What a peer did, and how many points it costs."""

    OVER_RATE = 1  # a frame over its kind's rate; it was dropped
    BAD_MESSAGE = 25  # well-framed bytes that are no message
    BAD_CONTENT = 20  # what no honest node sends: a wrong signature, blocks that do not link
    BAD_FRAME = 100  # the framing itself is broken
    BANNED_IDENTITY = 40  # of a host: an identity that came from it was banned


@dataclass(frozen=True, slots=True)
class StandingConfig:
    """When a peer is banned, for how long, and how fast points go away."""

    ban_points: int = 100
    ban_ms: int = 10 * 60 * 1000
    forgive_points_per_minute: int = 60
    records_max: int = 4096

    def __post_init__(self) -> None:
        invariant(min(self.ban_points, self.ban_ms, self.records_max) > 0, "must be positive", config=self)


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts against one key: `points` as of `since_ms`, and until when it is banned (0: never was)."""

    key: bytes
    points: int
    since_ms: int
    banned_until_ms: int


class Standings:
    """Points by key. Bounded: the record that says least makes room."""

    def __init__(self, config: StandingConfig | None = None) -> None:
        self._config = config or StandingConfig()
        self._records: dict[bytes, Standing] = {}

    def get_points(self, key: bytes, now_ms: int) -> int:
        """The points that count against `key` now."""
        record = self._records.get(key)
        return 0 if record is None else self._compute_points(record, now_ms)

    def is_banned(self, key: bytes, now_ms: int) -> bool:
        """Whether `key` may not be connected to now."""
        record = self._records.get(key)
        return record is not None and now_ms < record.banned_until_ms

    def count_banned(self, now_ms: int) -> int:
        """How many are banned now."""
        return sum(now_ms < record.banned_until_ms for record in self._records.values())

    def on_misdeed(self, key: bytes, misdeed: Misdeed, now_ms: int) -> bool:
        """Count a misdeed; True if `key` is banned from now on and must be cut off."""
        record = self._records.get(key)
        if record is None:
            self._make_room(now_ms)
            record = Standing(key, 0, now_ms, 0)
        points = self._compute_points(record, now_ms) + misdeed
        is_banned = points >= self._config.ban_points
        if is_banned:
            record = replace(record, points=0, since_ms=now_ms, banned_until_ms=now_ms + self._config.ban_ms)
        else:
            record = replace(record, points=points, since_ms=now_ms)
        self._records[key] = record
        return is_banned

    def get_records(self, now_ms: int) -> tuple[Standing, ...]:
        """What still counts, by ascending key: what a restart must not forget."""
        return tuple(record for _, record in sorted(self._records.items()) if self._says_something(record, now_ms))

    def restore(self, records: Iterable[Standing], now_ms: int) -> None:
        """Take up records of an earlier start. A clock that was ahead then makes no ban longer than a ban is."""
        for record in records:
            self._make_room(now_ms)
            until_ms = min(record.banned_until_ms, now_ms + self._config.ban_ms)
            self._records[record.key] = replace(record, since_ms=min(record.since_ms, now_ms), banned_until_ms=until_ms)

    def _says_something(self, record: Standing, now_ms: int) -> bool:
        return now_ms < record.banned_until_ms or self._compute_points(record, now_ms) > 0

    def _compute_points(self, record: Standing, now_ms: int) -> int:
        elapsed_ms = max(0, now_ms - record.since_ms)
        return max(0, record.points - elapsed_ms * self._config.forgive_points_per_minute // _MS_PER_MINUTE)

    def _make_room(self, now_ms: int) -> None:
        if len(self._records) < self._config.records_max:
            return
        least = min(
            self._records,
            key=lambda key: (self._records[key].banned_until_ms > now_ms, self._records[key].since_ms),
        )
        del self._records[least]
