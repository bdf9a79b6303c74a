"""Everybody whom this node knows of: where they are, how they behave, who may connect, what of it survives a restart.

Holds the dial plan and the standings of identities and of hosts. An identity costs nothing, so a host from which
several banned identities came is banned as well. Opens no connection and ends none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flockchain.node.address_groups import compute_host, is_private_host
from flockchain.node.handshake import HandshakeFailed, RefusalReason
from flockchain.node.peer_file import KEY_BYTES_MAX, PeerMemory, load_peer_memory, save_peer_memory
from flockchain.node.peers import DialConfig, DialPlan
from flockchain.node.slots import Seat, SlotConfig, find_obstacle
from flockchain.node.standing import Misdeed, StandingConfig, Standings
from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import STANDINGS_MAX
from flockchain.primitives.numbers import NodeId

__all__ = ["AcquaintanceConfig", "Acquaintances"]

_SAVE_EVERY_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class AcquaintanceConfig:
    """Whom to dial, whom to let in, whom to ban, and where to keep it (None: nowhere)."""

    file: Path | None = None
    dial: DialConfig = field(default_factory=DialConfig)
    slots: SlotConfig = field(default_factory=SlotConfig)
    standing: StandingConfig = field(default_factory=lambda: StandingConfig(records_max=STANDINGS_MAX))
    host_standing: StandingConfig = field(
        default_factory=lambda: StandingConfig(
            ban_points=100, ban_ms=60 * 60_000, forgive_points_per_minute=1, records_max=STANDINGS_MAX
        )
    )


class Acquaintances:
    """Times are Unix milliseconds; `clock_ms` tells them."""

    def __init__(
        self, config: AcquaintanceConfig, local: NodeId, own_address: str, statics: Iterable[str],
        clock_ms: Callable[[], int] | None = None,
    ) -> None:  # fmt: skip
        self.plan = DialPlan(local, own_address, statics, config.dial)
        self._config = config
        self._clock_ms = clock_ms or _read_clock_ms
        self._peers = Standings(config.standing)
        self._hosts = Standings(config.host_standing)
        self._saved = PeerMemory()
        self._save_at_ms = self._clock_ms() + _SAVE_EVERY_MS

    def load(self, on_refused: Callable[[str], None]) -> None:
        """Take up what an earlier start kept. Raises disk faults."""
        if self._config.file is None:
            return
        now_ms = self._clock_ms()
        self._saved = memory = load_peer_memory(self._config.file, on_refused)
        self.plan.restore(memory.addresses, now_ms)
        self._peers.restore(memory.peers, now_ms)
        self._hosts.restore(memory.hosts, now_ms)

    async def save_if_due(self, on_failed: Callable[[str], None], *, is_now: bool = False) -> None:
        """Write what changed, now and then; beside the event loop, since a disk may be slow."""
        now_ms = self._clock_ms()
        if self._config.file is None or (now_ms < self._save_at_ms and not is_now):
            return
        self._save_at_ms = now_ms + _SAVE_EVERY_MS
        memory = PeerMemory(self.plan.get_met(now_ms), self._peers.get_records(now_ms), self._hosts.get_records(now_ms))
        if memory == self._saved:
            return
        try:
            await asyncio.to_thread(save_peer_memory, self._config.file, memory)
            self._saved = memory
        except Fault as error:  # it only saves time: not worth a node that stops
            on_failed(str(error))

    def get_points(self, peer: NodeId) -> int:
        """What counts against `peer` now."""
        return self._peers.get_points(peer, self._clock_ms())

    def count_banned(self) -> int:
        """Identities and hosts that may not connect now."""
        now_ms = self._clock_ms()
        return self._peers.count_banned(now_ms) + self._hosts.count_banned(now_ms)

    def require_welcome(self, peer: NodeId, host: str, taken: Iterable[Seat], *, is_outbound: bool) -> None:
        """Raises `HandshakeFailed` if `peer`, who comes from `host`, may not become a peer beside those `taken`."""
        now_ms = self._clock_ms()
        if self._peers.is_banned(peer, now_ms):
            raise HandshakeFailed(RefusalReason.BANNED, "peer is banned", peer=peer)
        is_chosen = is_outbound or self.plan.is_static_node(peer)
        if not self.plan.is_static_node(peer) and self._hosts.is_banned(_get_host_key(host), now_ms):
            raise HandshakeFailed(RefusalReason.BANNED, "the peer's host is banned", host=host)
        obstacle = find_obstacle(self._config.slots, taken, Seat(host, is_chosen))
        if obstacle is not None:
            raise HandshakeFailed(RefusalReason.FULL, obstacle, host=host)

    def on_misdeed(self, peer: NodeId, host: str, misdeed: Misdeed) -> tuple[str, ...]:
        """Count it; the names of what is banned from now on: nothing, the peer, or the peer and its host."""
        now_ms = self._clock_ms()
        if not self._peers.on_misdeed(peer, misdeed, now_ms):
            return ()
        self._save_at_ms = now_ms  # a ban is to outlive a crash
        is_exempt = is_private_host(host) and not self._config.slots.has_private_bounds
        if is_exempt or not self._hosts.on_misdeed(_get_host_key(host), Misdeed.BANNED_IDENTITY, now_ms):
            return ("peer",)
        return ("peer", "host")


def _get_host_key(host: str) -> bytes:
    return compute_host(host).encode()[:KEY_BYTES_MAX]


def _read_clock_ms() -> int:
    return time.time_ns() // 1_000_000
