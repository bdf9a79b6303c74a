"""Whom to dial, and when: the static peers of node.toml for ever, those that we met before, others as neighbours tell.

Knows addresses, node ids, and the time that it is handed. Does not dial: it says whom to dial now, and is told what
came of it. What neighbours tell is hearsay: bounded by source, by network and by node, tried a few times, and never in
the way of an address at which somebody has answered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from flockchain.node.address_groups import compute_group, is_private_host
from flockchain.node.peer_file import MetAddress
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import (
    HEARD_ADDRESSES_MAX,
    HEARD_PER_GROUP_MAX,
    HEARD_PER_NODE_MAX,
    HEARD_PER_SOURCE_MAX,
    MET_ADDRESSES_MAX,
    PEERS_MAX,
)
from flockchain.primitives.numbers import NodeId

__all__ = ["DialConfig", "DialPlan", "compute_is_kept", "split_address"]

_ADDRESS: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9][0-9]{0,4})", re.ASCII
)
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class DialConfig:
    """Back-off between attempts, and how many addresses are remembered."""

    first_retry_ms: int = 100
    known_retry_max_ms: int = 1_000  # of static peers and those met lately: a healed network must find together at once
    retry_max_ms: int = 15_000
    lately_ms: int = 10 * 60_000
    forgotten_ms: int = 7 * 86_400_000  # a met address is forgotten so long after the last meeting
    met_max: int = MET_ADDRESSES_MAX
    heard_max: int = HEARD_ADDRESSES_MAX
    heard_per_source_max: int = HEARD_PER_SOURCE_MAX
    heard_per_group_max: int = HEARD_PER_GROUP_MAX
    heard_per_node_max: int = HEARD_PER_NODE_MAX
    heard_attempts_max: int = 8  # after this an address that was only heard of is forgotten
    peers_max: int = PEERS_MAX
    dials_max: int = 16  # at a time
    courtesy_ms: int = 2_000  # the node with the larger id lets the other dial first

    def __post_init__(self) -> None:
        is_growing = 0 < self.first_retry_ms <= self.known_retry_max_ms <= self.retry_max_ms
        invariant(is_growing, "retries must grow", config=self)


@dataclass(slots=True)
class _Entry:
    address: str
    is_static: bool
    node_id: NodeId | None
    not_before_ms: int
    source: NodeId | None = None  # who told us
    met_ms: int | None = None  # when somebody last became our peer there
    failures: int = 0
    is_dialling: bool = False
    is_own: bool = False

    @property
    def is_heard(self) -> bool:
        return not self.is_static and self.met_ms is None


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of `host:port` or `[ipv6]:port`; None for anything else, such as another scheme's address."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[2]) > _PORT_MAX:
        return None
    return match[1].strip("[]"), int(match[2])


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
    """The addresses, their back-offs, and what is known of who answers there. Times are Unix milliseconds."""

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

    def is_static_node(self, node_id: NodeId) -> bool:
        """Whether this node has answered at a static address."""
        return any(entry.is_static and entry.node_id == node_id for entry in self._entries.values())

    def get_met(self, now_ms: int) -> tuple[MetAddress, ...]:
        """Where we have met whom, by ascending address: what a restart need not find out again."""
        self._forget_strangers(now_ms)
        return tuple(
            MetAddress(entry.address, entry.node_id, entry.met_ms)
            for _, entry in sorted(self._entries.items())
            if entry.met_ms is not None and entry.node_id is not None
        )

    def restore(self, met: Iterable[MetAddress], now_ms: int) -> None:
        """Take up the addresses of an earlier start."""
        for each in met:
            met_ms = min(each.met_ms, now_ms)
            if split_address(each.address) is None or now_ms - met_ms > self._config.forgotten_ms:
                continue
            entry = self._entries.setdefault(each.address, _Entry(each.address, False, None, now_ms))
            entry.node_id, entry.met_ms = each.node_id, met_ms
        self._forget_strangers(now_ms)

    def on_heard(self, source: NodeId, source_host: str, node_id: NodeId, address: str, now_ms: int) -> bool:
        """`source` says that `node_id` listens at `address`. Returns whether it is worth remembering."""
        if address == self._own_address or node_id == self._local or address in self._entries:
            return False
        parts = split_address(address)
        if parts is None or (is_private_host(parts[0]) and not is_private_host(source_host)):
            return False  # a stranger outside must not send us around in our own network
        heard = [entry for entry in self._entries.values() if entry.is_heard]
        if not self._has_room(heard, source, node_id, parts[0]):
            return False
        if len(heard) >= self._config.heard_max:
            worst = max(heard, key=lambda entry: (not entry.is_dialling, entry.failures))
            if worst.is_dialling or worst.failures == 0:
                return False
            del self._entries[worst.address]
        wait_ms = 0 if self._local < node_id else self._config.courtesy_ms
        self._entries[address] = _Entry(address, False, node_id, now_ms + wait_ms, source)
        return True

    def take_due(self, now_ms: int, connected: Collection[NodeId]) -> list[str]:
        """The addresses to dial now; each counts as being dialled until its outcome is told."""
        dialling = sum(entry.is_dialling for entry in self._entries.values())
        room = min(self._config.peers_max - len(connected), self._config.dials_max) - dialling
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

    def on_connected(self, address: str, node_id: NodeId, now_ms: int) -> None:
        """Dialling `address` made `node_id` a peer."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.is_dialling = False
            entry.failures = 0
            entry.node_id = node_id
            entry.met_ms = now_ms

    def on_lost(self, address: str, now_ms: int) -> None:
        """A connection that we had dialled ended: try again soon."""
        entry = self._entries.get(address)
        if entry is not None:
            entry.met_ms = now_ms
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
        is_known = entry.is_static or (entry.met_ms is not None and now_ms - entry.met_ms < self._config.lately_ms)
        most_ms = self._config.known_retry_max_ms if is_known else self._config.retry_max_ms
        wait_ms = min(self._config.first_retry_ms << min(entry.failures, 20), most_ms)
        entry.failures += 1
        entry.not_before_ms = now_ms + wait_ms + wait_ms * jitter_permille // 1000
        if entry.is_heard and entry.failures >= self._config.heard_attempts_max:
            del self._entries[address]

    def _has_room(self, heard: list[_Entry], source: NodeId, node_id: NodeId, host: str) -> bool:
        config, group = self._config, compute_group(host)
        if sum(entry.source == source for entry in heard) >= config.heard_per_source_max:
            return False
        if sum(entry.node_id == node_id for entry in heard) >= config.heard_per_node_max:
            return False
        of_group = sum(compute_group(entry.address.rpartition(":")[0]) == group for entry in heard)
        return is_private_host(host) or of_group < config.heard_per_group_max

    def _forget_strangers(self, now_ms: int) -> None:
        """Drop met addresses that are too old, and the oldest of those above the bound."""
        met = sorted(
            (entry for entry in self._entries.values() if entry.met_ms is not None and not entry.is_static),
            key=lambda entry: entry.met_ms or 0, reverse=True,
        )  # fmt: skip
        for at, entry in enumerate(met):
            is_old = now_ms - (entry.met_ms or 0) > self._config.forgotten_ms
            if (is_old or at >= self._config.met_max) and not entry.is_dialling:
                del self._entries[entry.address]
