"""What one simulated world gave."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WorldReport"]


@dataclass(frozen=True, slots=True)
class WorldReport:
    """The outcome of one seed."""

    seed: int
    violations: tuple[str, ...]
    trace_hash: str
    finalized_heights: tuple[int, ...]
    marks: dict[str, int]
    refusals: tuple[str, ...]  # why honest nodes did not notarize blocks, each reason once
    profile: str = ""
    core: tuple[int, ...] = ()  # the nodes that were healed; empty: all

    @property
    def height(self) -> int:
        """What the whole core has finalized."""
        heights = self.finalized_heights
        return min((heights[index] for index in self.core), default=min(heights))
