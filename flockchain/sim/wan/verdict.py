"""What a measured world comes to: finality against the least that distances allow, the price of absent leaders, and
operations in a view.

Judges complete views only: those whose outcome every live node has on its disk. Times in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import median_high
from typing import TYPE_CHECKING, Final

from flockchain.sim.checkers.checker import Violation
from flockchain.sim.wan.bounds import Members, compute_final_ms, compute_hop_ms, compute_quorum_ms
from flockchain.sim.wan.meter import Meter, Operations, Stay, ViewKey, ViewMoments

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["FinalView", "LostView", "Pace", "Verdict", "judge_world", "list_violations"]

FINALITY_PERCENT_MAX: Final = 120  # of the least possible


@dataclass(frozen=True, slots=True)
class FinalView:
    """A view whose own block became final, and the least that its leader's place allows."""

    view: ViewKey
    leader: int
    quorum_ms: int  # members with more than 2/3 of the stake have it on disk
    quorum_bound_ms: int
    median_ms: int  # of the live nodes
    median_bound_ms: int
    slowest_ms: int
    slowest_bound_ms: int

    @property
    def permille(self) -> int:
        """Measured quorum finality in thousandths of the bound."""
        return 1000 * self.quorum_ms // self.quorum_bound_ms


@dataclass(frozen=True, slots=True)
class LostView:
    """A view without a proposal: from a quorum's entering it to a quorum's entering the next."""

    view: ViewKey
    cost_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was measured in one world."""

    finals: tuple[FinalView, ...]
    lost: tuple[LostView, ...]
    hop_ms: int
    leader_timeout_ms: int
    stays: tuple[Stay, ...]  # in the views of `finals`
    live: int

    def compute_mean_milli(self, name: str) -> int:
        """The mean of one kind of operation over nodes and views, in thousandths."""
        total: int = sum(getattr(stay.operations, name) for stay in self.stays)
        return 1000 * total // max(1, len(self.stays))

    def compute_max(self, name: str) -> int:
        """The most of one kind of operation that a node did in a view."""
        return max((getattr(stay.operations, name) for stay in self.stays), default=0)

    def list_operations(self) -> tuple[str, ...]:
        return tuple(each.name for each in fields(Operations))


class Pace(Meter):
    """A meter whose world must be as fast as promised, as long as nobody heals it."""

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        return list_violations(judge_world(nodes[0].world, self))


def judge_world(world: World, meter: Meter) -> Verdict:
    """The verdict on a world that has run for a while. Raises for a world in which nodes have no regions."""
    live = meter.live
    regions = world.plan.regions or ()
    stakes = _list_stakes(world)
    members = Members(tuple(regions[index] for index in live), tuple(stakes[index] for index in live), sum(stakes))
    views = _list_judged(meter, live)
    finals = tuple(_iterate_finals(meter, views, live, members, regions))
    judged = {final.view for final in finals}
    return Verdict(
        finals=finals,
        lost=tuple(_iterate_lost(meter, views, live, members)),
        hop_ms=compute_hop_ms(members),
        leader_timeout_ms=world.genesis.consensus.leader_timeout_ms,
        stays=tuple(stay for stay in meter.stays if stay.view in judged and stay.node in set(live)),
        live=len(live),
    )


def list_violations(verdict: Verdict) -> Iterator[Violation]:
    """What of the verdict is worse than promised."""
    for final in verdict.finals:
        if 100 * final.quorum_ms > FINALITY_PERCENT_MAX * final.quorum_bound_ms:
            seen = f"view {final.view}: {final.quorum_ms} ms to a quorum, and {final.quorum_bound_ms} are possible"
            yield Violation("finality", seen)
    most_ms = verdict.leader_timeout_ms + 2 * verdict.hop_ms
    for lost in verdict.lost:
        if lost.cost_ms > most_ms:
            yield Violation("absent leader", f"view {lost.view} cost {lost.cost_ms} ms, and {most_ms} is the most")


def _list_stakes(world: World) -> list[int]:
    stakes = {validator.account: validator.stake for validator in world.genesis.validators}
    return [stakes.get(node.account, 0) for node in world.nodes]


def _list_judged(meter: Meter, live: Sequence[int]) -> list[tuple[ViewKey, ViewMoments]]:
    """Views that every live node entered and left, but for the first: a chain begins when its nodes have met."""
    entered = sorted(
        (key, view) for key, view in meter.views.items() if all(index in view.entered_ms for index in live)
    )
    return entered[1:-1]


def _iterate_finals(
    meter: Meter,
    views: Iterable[tuple[ViewKey, ViewMoments]],
    live: Sequence[int],
    members: Members,
    regions: Sequence[int],
) -> Iterator[FinalView]:
    for key, moments in views:
        if (
            moments.proposed_ms is None
            or moments.leader is None
            or not all(index in moments.final_ms for index in live)
        ):
            continue
        bounds_ms = compute_final_ms(members, regions[moments.leader])
        times_ms = [moments.final_ms[index] - moments.proposed_ms for index in live]
        yield FinalView(
            view=key,
            leader=moments.leader,
            quorum_ms=compute_quorum_ms(times_ms, members.stakes, members.total_stake),
            quorum_bound_ms=compute_quorum_ms(bounds_ms, members.stakes, members.total_stake),
            median_ms=median_high(times_ms),
            median_bound_ms=median_high(bounds_ms),
            slowest_ms=max(times_ms),
            slowest_bound_ms=max(bounds_ms),
        )


def _iterate_lost(
    meter: Meter, views: Iterable[tuple[ViewKey, ViewMoments]], live: Sequence[int], members: Members
) -> Iterator[LostView]:
    for (epoch, view), moments in views:
        following = meter.views.get((epoch, view + 1))
        if moments.proposed_ms is not None or following is None:
            continue
        entered_ms, left_ms = (
            compute_quorum_ms([each.entered_ms[index] for index in live], members.stakes, members.total_stake)
            for each in (moments, following)
        )
        yield LostView((epoch, view), left_ms - entered_ms)
