"""The checker of installed snapshots compares whole states."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from flockchain.replica.effects import CommitBlocks, InstallPlan, InstallSnapshot
from flockchain.sim.checkers.checker import Checker
from flockchain.sim.checkers.installs import Installs
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.world import World, build_world
from flockchain.storage.snapshot import SnapshotInfo
from tests.kit.sim_worlds import GENESIS


class _Recorder(Checker):
    def __init__(self) -> None:
        self.blocks = []

    def on_committed(self, node, effect: CommitBlocks):
        if node is node.world.nodes[0]:
            self.blocks += effect.executed
        return ()


@pytest.fixture(scope="module")
def world() -> World:
    world = build_world(1, GENESIS, build_calm_plan(2_000))
    recorder = _Recorder()
    world.audience.checkers.append(recorder)
    world.start()
    world.advance(2_000)
    world.recorded = recorder.blocks  # type: ignore[attr-defined]
    return world


def judge(world: World, blocks) -> list[str]:
    node, checker = world.nodes[0], Installs()
    for executed in blocks:
        checker.on_block(node, executed, MappingProxyType({}))
    head = node.archive.get_head()
    info = SnapshotInfo(head.height, head.block_hash, head.state_root, 0)
    runtime = node.replica.ledger.executive.runtime
    plan = InstallPlan(runtime.genesis_hash, runtime.genesis_block, info, node.replica.ledger.finalized.block, None)
    assert list(checker.on_effect(node, InstallSnapshot(plan))) == []
    return [str(found) for found in checker.on_boot(node)]


def test_the_state_that_the_chain_gives_is_found_right(world):
    assert judge(world, world.recorded) == []


def test_a_state_that_misses_or_adds_something_is_seen(world):
    (found,) = judge(world, world.recorded[1:])
    assert found.startswith("installs: the snapshot that")
