"""What no protocol of three hops can do better: when a quorum can know, from distances and stakes alone.

A *quorum time* of some moments, one a member, is the first at which members with more than 2/3 of all stake have had
theirs. All times in milliseconds from the moment in which the leader sends its proposal. Votes and certificates take
no time to make and to check here, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import is_quorum
from flockchain.sim.wan.regions import compute_one_way_ms

__all__ = ["Members", "compute_final_ms", "compute_hop_ms", "compute_quorum_ms"]


@dataclass(frozen=True, slots=True)
class Members:
    """Regions and stakes of those that are up; `total_stake` counts the others too."""

    regions: tuple[int, ...]
    stakes: tuple[int, ...]
    total_stake: int

    def compute_heard_ms(self, said_ms: Sequence[int]) -> tuple[int, ...]:
        """For each member, when it has heard from a quorum, if each member speaks at its own moment."""
        at_region = [self._compute_heard_in_ms(said_ms, region) for region in range(max(self.regions) + 1)]
        return tuple(at_region[region] for region in self.regions)

    def _compute_heard_in_ms(self, said_ms: Sequence[int], region: int) -> int:
        heard_ms = [at + compute_one_way_ms(place, region) for at, place in zip(said_ms, self.regions, strict=True)]
        return compute_quorum_ms(heard_ms, self.stakes, self.total_stake)


def compute_quorum_ms(times_ms: Sequence[int], stakes: Sequence[int], total_stake: int) -> int:
    """The quorum time of `times_ms`."""
    stake = 0
    for at_ms, weight in sorted(zip(times_ms, stakes, strict=True)):
        stake += weight
        if is_quorum(stake, total_stake):
            return at_ms
    invariant(False, "members that are up hold a quorum", stake=stake, total=total_stake)
    return 0


def compute_final_ms(members: Members, leader_region: int) -> tuple[int, ...]:
    """For each member, the first moment in which it can know a block to be final that a leader there proposes.

    Three hops: the proposal to everybody, everybody's NOTARIZE to a quorum's own, everybody's FINALIZE likewise. Within
    a region too a message takes its time; that of a member to itself is left at that, which is at most one millisecond.
    """
    proposed_ms = tuple(compute_one_way_ms(leader_region, region) for region in members.regions)
    notarized_ms = members.compute_heard_ms(proposed_ms)
    return members.compute_heard_ms(notarized_ms)


def compute_hop_ms(members: Members) -> int:
    """One hop: when a quorum has heard from a quorum, if all speak at once."""
    heard_ms = members.compute_heard_ms((0,) * len(members.regions))
    return compute_quorum_ms(heard_ms, members.stakes, members.total_stake)
