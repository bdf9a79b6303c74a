"""Clocks that are wrong, each in its own way, and clocks that somebody sets forth and back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["ClockJump", "draw_clocks"]

_SMALL_MS: Final = 400
_LARGE_MS: Final = 6_000  # more than a block may be ahead of a clock
_HUGE_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class ClockJump:
    """From `at_ms` on a node's clock is `error_ms` off: ahead, or behind if it is negative. With 0, before it starts.

    A process never goes back in time (`replica/steady_clock.py`): to one that starts later, or has yet to, a clock that
    is behind is the time.
    """

    at_ms: int
    node: int
    error_ms: int

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]

        def jump() -> None:
            world.mark("clock ahead" if self.error_ms > node.clock_error_ms else "clock set back")
            node.clock_error_ms = self.error_ms

        if self.at_ms:
            world.schedule_fault(self.at_ms, jump)
        else:
            jump()


def draw_clocks(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[ClockJump, ...]:
    """In every second world all clocks are a little wrong, and up to `most` jumps follow."""
    if rng.randrange(2):
        return ()
    skews = [ClockJump(0, node, rng.randint(-_SMALL_MS, _SMALL_MS)) for node in range(nodes)]
    for _ in range(rng.randrange(most + 1)):
        size_ms = rng.choice((_SMALL_MS, _LARGE_MS, _LARGE_MS, _HUGE_MS))
        skews.append(ClockJump(rng.randrange(faults_ms), rng.randrange(nodes), rng.randint(-size_ms, size_ms)))
    return tuple(skews)
