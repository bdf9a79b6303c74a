"""What every fault has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Fault"]


class Fault(Protocol):
    """Something that goes wrong at a planned moment."""

    def unleash(self, world: World) -> None:
        """Put it on the world's schedule."""
