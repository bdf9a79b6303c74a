"""The simulated network: seeded delay, loss, duplication, and links that are slow, clogged or cut.

Knows who may reach whom and how long it takes. Does not know what the bytes mean, and keeps no clock: `plan` answers
with the delays after which a message arrives (none: it is lost; two: it is duplicated). A link goes one way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flockchain.primitives.numbers import NodeId
from flockchain.sim.wan.latency import RegionLatency

__all__ = ["Link", "NetworkFaults", "SimNetwork"]

Link = tuple[NodeId, NodeId]  # source, target


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """How bad the network is. Probabilities in per mille, delays in milliseconds."""

    loss_permille: int = 0
    duplicate_permille: int = 0
    delay_min_ms: int = 5
    delay_max_ms: int = 40
    slow_permille: int = 0  # a message that takes ten times as long: reordering


HEALED = NetworkFaults()


class SimNetwork:
    """Links between nodes. All randomness comes from `rng`."""

    def __init__(self, rng: random.Random, faults: NetworkFaults) -> None:
        self._rng = rng
        self.faults = faults
        self.regions = RegionLatency(rng)
        self._cuts: Counter[Link] = Counter()  # how many reasons there are for a link to carry nothing
        self._clogs: dict[Link, int] = {}  # until when what is sent on a link waits
        self._latencies_ms: dict[Link, int] = {}  # what a link takes longer than others

    def cut(self, links: Iterable[Link]) -> None:
        """Nothing that is sent on these links arrives, until they are mended as often as they were cut."""
        self._cuts.update(links)

    def mend(self, links: Iterable[Link]) -> None:
        """Take one reason back."""
        self._cuts.subtract(links)

    def clog(self, links: Iterable[Link], until_ms: int) -> None:
        """What is sent on these links before `until_ms` waits until then, and arrives all at once."""
        for link in links:
            self._clogs[link] = max(until_ms, self._clogs.get(link, 0))

    def slow(self, link: Link, latency_ms: int) -> None:
        """The link takes that much longer than others."""
        self._latencies_ms[link] = latency_ms

    def heal(self, apart: Collection[Link] = ()) -> None:
        """Ordinary delays, no loss, and every link carries, but for those that are to stay cut."""
        self.faults = HEALED
        self._clogs.clear()
        self._latencies_ms.clear()
        self._cuts = Counter(apart)

    def can_reach(self, source: NodeId, target: NodeId) -> bool:
        return self._cuts[source, target] <= 0

    def is_clogged(self, source: NodeId, target: NodeId, now_ms: int) -> bool:
        return self._clogs.get((source, target), 0) > now_ms

    def plan(self, source: NodeId, target: NodeId, now_ms: int) -> tuple[int, ...]:
        """Delays in ms after which one message from `source`, sent now, arrives at `target`."""
        rng, faults, link = self._rng, self.faults, (source, target)
        lost = rng.randrange(1000) < faults.loss_permille
        copies = 2 if rng.randrange(1000) < faults.duplicate_permille else 1
        held_ms = max(self._latencies_ms.get(link, 0), self._clogs.get(link, 0) - now_ms)
        delays = tuple(held_ms + self._draw_delay(link) for _ in range(copies))
        return () if lost or not self.can_reach(source, target) else delays

    def _draw_delay(self, link: Link) -> int:
        far_ms = self.regions.draw_ms(*link)
        if far_ms is not None:
            return far_ms
        delay = self._rng.randint(self.faults.delay_min_ms, self.faults.delay_max_ms)
        return delay * 10 if self._rng.randrange(1000) < self.faults.slow_permille else delay
