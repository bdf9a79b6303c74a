"""Whom to dial, and when: the static peers of node.toml for ever, the others as neighbours name them.

Knows addresses, node ids, and the time that it is handed. Does not dial: it says whom to dial now, and is told what
came of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import PEERS_MAX
from flockchain.primitives.numbers import NodeId

__all__ = ["DialConfig", "DialPlan", "compute_is_kept"]


@dataclass(frozen=True, slots=True)
class DialConfig:
    """Back-off between attempts, and how many addresses are remembered."""

    first_retry_ms: int = 100
    retry_max_ms: int = 15_000
    discovered_max: int = 512
    peers_max: int = PEERS_MAX
    courtesy_ms: int = 2_000  # the node with the larger id lets the other dial first
    discovered_attempts_max: int = 8  # after this a discovered address is forgotten

    def __post_init__(self) -> None:
        invariant(0 < self.first_retry_ms <= self.retry_max_ms, "retries must grow", config=self)


@dataclass(slots=True)
class _Entry:
    address: str
    is_static: bool
    node_id: NodeId | None
    not_before_ms: int
    failures: int = 0
    is_dialling: bool = False
    is_own: bool = False


def compute_is_kept(
    local: NodeId, remote: NodeId, *, old_is_outbound: bool, new_is_outbound: bool, is_same_instance: bool
) -> bool:
    """Whether the old of two connections between the same two nodes stays. Both ends decide alike.

    The connection that the smaller node id dialled stays. Two that the same end dialled, or one to an earlier start
    of the peer: the old one is dead and only we have not noticed.
    """
    if not is_same_instance or old_is_outbound == new_is_outbound:
        return False
    return old_is_outbound == (local < remote)


class DialPlan:
    """The addresses, their back-offs, and what is known of who answers there."""

    def __init__(
        self, local: NodeId, own_address: str, statics: Iterable[str], config: DialConfig | None = None
    ) -> None:
        self._local = local
        self._own_address = own_address
        self._config = config or DialConfig()
        self._entries = {address: _Entry(address, True, None, 0) for address in statics}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every remembered address, ascending."""
        return tuple(sorted(self._entries))

    def on_discovered(self, node_id: NodeId, address: str, now_ms: int) -> None:
        """A neighbour says that `node_id` listens at `address`."""
        if not address or address == self._own_address or node_id == self._local or address in self._entries:
            return
        discovered = [entry for entry in self._entries.values() if not entry.is_static]
        if len(discovered) >= self._config.discovered_max:
            return
        if any(entry.node_id == node_id for entry in discovered):
            return
        wait_ms = 0 if self._local < node_id else self._config.courtesy_ms
        self._entries[address] = _Entry(address, False, node_id, now_ms + wait_ms)

    def take_due(self, now_ms: int, connected: Collection[NodeId]) -> list[str]:
        """The addresses to dial now; each counts as being dialled until its outcome is told."""
        room = self._config.peers_max - len(connected) - sum(entry.is_dialling for entry in self._entries.values())
        due: list[str] = []
        for entry in sorted(self._entries.values(), key=lambda entry: (not entry.is_static, entry.not_before_ms)):
            if entry.is_dialling or entry.is_own or entry.not_before_ms > now_ms or entry.node_id in connected:
                continue
            if len(due) >= room:
                break
            entry.is_dialling = True
            due.append(entry.address)
        return due

    def on_identified(self, address: str, node_id: NodeId) -> None:
        """`node_id` answers at `address`; whether it will be a peer is not known yet."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.node_id = node_id

    def on_connected(self, address: str, node_id: NodeId) -> None:
        """Dialling `address` made `node_id` a peer."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.is_dialling = False
            entry.failures = 0
            entry.node_id = node_id

    def on_lost(self, address: str, now_ms: int) -> None:
        """A connection that we had dialled ended: try again soon."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.not_before_ms = now_ms + self._config.first_retry_ms

    def on_own_address(self, address: str) -> None:
        """Dialling `address` led to ourselves: never again."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.is_dialling = False
            entry.is_own = True

    def on_failed(self, address: str, now_ms: int, jitter_permille: int) -> None:
        """Dialling `address` failed. The wait doubles, plus `jitter_permille` thousandths of it."""
        entry = self._entries.get(address)
        if entry is None:
            return
        entry.is_dialling = False
        wait_ms = min(self._config.first_retry_ms << min(entry.failures, 20), self._config.retry_max_ms)
        entry.failures += 1
        entry.not_before_ms = now_ms + wait_ms + wait_ms * jitter_permille // 1000
        if not entry.is_static and entry.failures >= self._config.discovered_attempts_max:
            del self._entries[address]
