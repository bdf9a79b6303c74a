"""Links that are stuck for a while and then deliver everything at once; and links that are slower one way."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.sim.network import Link

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["Clog", "Latency", "draw_clogs", "draw_latencies"]

Ends = tuple[int, int]  # the nodes at both ends of a link: source, target


@dataclass(frozen=True, slots=True)
class Clog:
    """What is sent on these links in the `length_ms` from `at_ms` on arrives at their end."""

    at_ms: int
    length_ms: int
    links: tuple[Ends, ...]

    def unleash(self, world: World) -> None:
        links: tuple[Link, ...] = tuple(
            (world.nodes[source].node_id, world.nodes[target].node_id) for source, target in self.links
        )
        world.schedule_fault(self.at_ms, lambda: world.network.clog(links, world.now_ms + self.length_ms))


@dataclass(frozen=True, slots=True)
class Latency:
    """A link takes that much longer, from the start on."""

    link: Ends
    latency_ms: int

    def unleash(self, world: World) -> None:
        source, target = (world.nodes[end].node_id for end in self.link)
        world.network.slow((source, target), self.latency_ms)
        world.mark("asymmetric latency")


def draw_clogs(rng: random.Random, faults_ms: int, nodes: int, most: int) -> tuple[Clog, ...]:
    """Up to `most` clogs: of one link, or of all links to one node, or of all links there are."""
    return tuple(
        Clog(rng.randrange(faults_ms), rng.randint(300, 3_000), _draw_links(rng, nodes))
        for _ in range(rng.randrange(most + 1))
    )


def draw_latencies(rng: random.Random, nodes: int, most_ms: int) -> tuple[Latency, ...]:
    """A latency for each link of its own, or none at all: in two of three worlds all links are alike."""
    if rng.randrange(3):
        return ()
    return tuple(Latency(link, rng.randrange(most_ms)) for link in _list_links(nodes))


def _draw_links(rng: random.Random, nodes: int) -> tuple[Ends, ...]:
    links = _list_links(nodes)
    width = rng.randrange(4)
    if width == 0:
        return links
    if width == 1:
        target = rng.randrange(nodes)
        return tuple(link for link in links if link[1] == target)
    return (rng.choice(links),)


def _list_links(nodes: int) -> tuple[Ends, ...]:
    return tuple((source, target) for source in range(nodes) for target in range(nodes) if source != target)
