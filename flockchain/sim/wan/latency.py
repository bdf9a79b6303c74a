"""How long a message takes between nodes that have a place: the distance of their regions, and some jitter.

Knows nothing of bandwidth: a large message takes as long as a small one. Jitter only ever adds, so that the distance
alone is a bound from below.
"""

from __future__ import annotations

import random
from typing import Final

from flockchain.primitives.numbers import NodeId
from flockchain.sim.wan.regions import compute_one_way_ms

__all__ = ["JITTER_PERCENT", "RegionLatency"]

JITTER_PERCENT: Final = 10  # of the distance, at most; each amount up to that is as likely


class RegionLatency:
    """Where each node is. All randomness comes from `rng`; nodes without a place have no latency of their own."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._places: dict[NodeId, int] = {}
        self._bounds_ms: dict[tuple[NodeId, NodeId], tuple[int, int]] = {}  # least and most

    def place(self, node_id: NodeId, region: int) -> None:
        """The node is in this region from now on."""
        self._places[node_id] = region
        self._bounds_ms.clear()

    def draw_ms(self, source: NodeId, target: NodeId) -> int | None:
        """The delay of one message; None if one of the two has no place."""
        bounds_ms = self._bounds_ms.get((source, target))
        if bounds_ms is None:
            if source not in self._places or target not in self._places:
                return None
            least_ms = compute_one_way_ms(self._places[source], self._places[target])
            bounds_ms = least_ms, least_ms + -(-least_ms * JITTER_PERCENT // 100)
            self._bounds_ms[source, target] = bounds_ms
        least_ms, most_ms = bounds_ms
        return least_ms + int(self._rng.random() * (most_ms - least_ms + 1))
