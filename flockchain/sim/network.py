"""The simulated network: seeded delay, loss, duplication and partitions between named nodes.

Knows who may reach whom and how long it takes. Does not know what the bytes mean, and keeps no clock:
`plan` answers with the delays after which a message arrives (none: it is lost; two: it is duplicated).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from flockchain.primitives.numbers import NodeId

__all__ = ["NetworkFaults", "SimNetwork"]


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
        self._side: dict[NodeId, int] = {}  # nodes on different sides of a partition do not reach each other

    def partition(self, sides: dict[NodeId, int]) -> None:
        """Cut the network: only nodes of the same side reach each other."""
        self._side = dict(sides)

    def heal(self) -> None:
        """No partition, no loss, ordinary delays."""
        self._side = {}
        self.faults = HEALED

    def can_reach(self, source: NodeId, target: NodeId) -> bool:
        return self._side.get(source, 0) == self._side.get(target, 0)

    def plan(self, source: NodeId, target: NodeId) -> tuple[int, ...]:
        """Delays in ms after which one message from `source` arrives at `target`."""
        rng, faults = self._rng, self.faults
        lost = rng.randrange(1000) < faults.loss_permille
        copies = 2 if rng.randrange(1000) < faults.duplicate_permille else 1
        delays = tuple(self._draw_delay() for _ in range(copies))
        return () if lost or not self.can_reach(source, target) else delays

    def _draw_delay(self) -> int:
        delay = self._rng.randint(self.faults.delay_min_ms, self.faults.delay_max_ms)
        return delay * 10 if self._rng.randrange(1000) < self.faults.slow_permille else delay
