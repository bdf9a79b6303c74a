"""Who may take one of the connections: some are kept for those whom we chose, and no network takes all the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flockchain.node.address_groups import compute_group, compute_host, is_private_host
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import PEERS_MAX

__all__ = ["Seat", "SlotConfig", "find_obstacle"]


@dataclass(frozen=True, slots=True)
class SlotConfig:
    """How many connections there are, and how they are shared out.

    `reserved`: for peers that we dial and for those of node.toml. The bounds by host and by group (a /16, a /32) are on
    incoming connections of others; those from private addresses count only if `has_private_bounds`.
    """

    peers_max: int = PEERS_MAX
    reserved: int = PEERS_MAX // 8
    inbound_per_group_max: int = PEERS_MAX // 4
    inbound_per_host_max: int = 4
    has_private_bounds: bool = False

    def __post_init__(self) -> None:
        is_good = self.peers_max >= 1 and min(self.reserved, self.inbound_per_group_max, self.inbound_per_host_max) >= 0
        invariant(is_good, "slots are counted from zero", config=self)


@dataclass(frozen=True, slots=True)
class Seat:
    """One connection as far as slots go. `is_chosen`: we dialled it, or it is a peer of node.toml."""

    host: str
    is_chosen: bool


def find_obstacle(config: SlotConfig, taken: Iterable[Seat], wanted: Seat) -> str | None:
    """Why there is no slot for `wanted` beside those `taken`; None if there is one."""
    seats = list(taken)
    if len(seats) >= config.peers_max:
        return "too many peers"
    if wanted.is_chosen:
        return None
    guests = [seat for seat in seats if not seat.is_chosen]
    if len(guests) >= config.peers_max - min(config.reserved, config.peers_max // 2):
        return "too many incoming peers"
    if is_private_host(wanted.host) and not config.has_private_bounds:
        return None
    if sum(compute_host(seat.host) == compute_host(wanted.host) for seat in guests) >= config.inbound_per_host_max:
        return "too many peers from one host"
    group = compute_group(wanted.host)
    if sum(compute_group(seat.host) == group for seat in guests) >= config.inbound_per_group_max:
        return "too many peers from one network"
    return None
