"""Every place of a short run in which a machine can stop, and every write that its disk can spoil.

The run is of four nodes and eight views, always of the same seed. A world is run once for each place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flockchain.replica import effects as out
from flockchain.sim.faults.torn_writes import WRITES
from flockchain.sim.plan import FaultPlan
from flockchain.sim.sim_disk import Tear
from flockchain.sim.sim_folder import VOTES_NAME
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, WorldReport, build_world

__all__ = ["NODES", "SPOILERS", "Place", "list_places", "list_writes", "run_crash", "run_spoiled"]

TEMPLATE = Path(__file__).parents[2] / "genesis" / "minimal.toml"
SEED = 7
NODES = 4
VIEWS = 8
_RUN_MS = 4_000
_APART_MS = 5_000


@dataclass(frozen=True)
class Place:
    """Before effect `effect` of a node; with `tear`, in the middle of it."""

    node: int
    effect: int
    tear: Tear | None = None


def build() -> World:
    return build_world(SEED, TEMPLATE, FaultPlan(0, restart_ms=200))


@cache
def record_effects() -> tuple[tuple[type, ...], ...]:
    """The effects of each node, in order, until it has been through all views."""
    world = build()
    seen: list[list[type]] = [[] for _ in range(NODES)]
    views = [0] * NODES
    trace = world.trace

    def note(node: SimNode, effect: out.ReplicaEffect) -> None:
        trace(node, effect)
        index = world.nodes.index(node)
        views[index] += isinstance(effect, out.ViewEntered)
        if views[index] <= VIEWS:
            seen[index].append(type(effect))

    world.trace = note  # type: ignore[method-assign]
    world.start()
    assert world.advance_until(lambda: min(views) > VIEWS, _RUN_MS)
    assert world.finish().violations == ()
    return tuple(tuple(effects) for effects in seen)


def list_places(node: int) -> Iterator[Place]:
    """Each boundary, and each write torn in three ways."""
    for effect, kind in enumerate(record_effects()[node]):
        yield Place(node, effect)
        if kind in WRITES:
            for tear in Tear:
                yield Place(node, effect, tear)


def list_writes(node: int) -> list[int]:
    """The writes of a node, as places among its effects."""
    return [effect for effect, kind in enumerate(record_effects()[node]) if kind in WRITES]


def run_crash(place: Place) -> WorldReport:
    """One world, one crash."""
    world = build()
    node = world.nodes[place.node]
    at_effect(world, node, place.effect, lambda: crash(node, place.tear))
    report = finish(world)
    assert report.marks["crash"] == 1
    return report


def crash(node: SimNode, tear: Tear | None) -> bool:
    node.folder.disk.tear = tear
    return True


def run_spoiled(node_index: int, effect: int, spoil: Callable[[World, SimNode], bool]) -> WorldReport:
    """One world, one write that its disk spoils: `spoil` says whether the node crashes as well."""
    world = build()
    node = world.nodes[node_index]
    at_effect(world, node, effect, lambda: spoil(world, node))
    return finish(world, 100 * VIEWS + _APART_MS)


def at_effect(world: World, node: SimNode, effect: int, act: Callable[[], bool]) -> None:
    left = effect

    def is_it(_: out.ReplicaEffect) -> bool:
        nonlocal left
        left -= 1
        return left == -1 and act()

    world.plan_crash_before(node, is_it)


def finish(world: World, run_ms: int = 100 * VIEWS) -> WorldReport:
    world.start()
    world.advance(run_ms)
    world.advance_until(lambda: all(node.is_up for node in world.nodes), _RUN_MS)
    return world.finish()


# How a disk spoils a write, or what was written before it


def scatter(world: World) -> None:
    """For a while nobody reaches anybody: views stand still, so what was forgotten could be said anew."""
    ids = [node.node_id for node in world.nodes]
    links = [(source, target) for source in ids for target in ids if source != target]
    world.network.cut(links)
    world.schedule.add(_APART_MS, lambda: world.network.mend(links))


def fill(world: World, node: SimNode) -> bool:
    node.folder.disk.is_full = True
    return False


def fail(world: World, node: SimNode) -> bool:
    node.folder.disk.is_failing = True
    return False


def lie(world: World, node: SimNode) -> bool:
    """This write and two more are acknowledged, and then gone."""
    node.folder.disk.is_lying = True
    later = 2

    def is_it(effect: out.ReplicaEffect) -> bool:
        nonlocal later
        later -= isinstance(effect, WRITES)
        if later < 0:
            scatter(world)
        return later < 0

    world.schedule.add(0, lambda: world.plan_crash_before(node, is_it))
    return False


def flip(permille: int) -> Callable[[World, SimNode], bool]:
    def spoil(world: World, node: SimNode) -> bool:
        disk = node.folder.disk

        def rot() -> None:
            length = len(disk.read(VOTES_NAME))
            disk.flip(VOTES_NAME, (length - 1) * permille // 1000, 3)
            scatter(world)

        world.schedule.add(0, rot)
        return True

    return spoil


def restore(world: World, node: SimNode) -> bool:
    """The folder as it is before this write is put back 300 ms later."""
    image = node.folder.disk.copy()

    def put_back() -> None:
        scatter(world)
        if node.is_up:
            node.crash()
        node.folder.disk.restore(image)
        node.folder.crash()
        world.on_forgotten(node)
        world.mark("old copy")
        node.boot()

    world.schedule.add(300, put_back)
    return False


SPOILERS: dict[str, tuple[Callable[[World, SimNode], bool], str]] = {
    "no room": (fill, "stopped by DiskFull"),
    "an error": (fail, "stopped by DiskFailed"),
    "a lost sync": (lie, "lost sync"),
    "a flipped bit in the last record": (flip(1000), "stopped by DataDamaged"),
    "a flipped bit in the middle": (flip(600), "stopped by DataDamaged"),
    "an old copy": (restore, "suspicion"),
}
