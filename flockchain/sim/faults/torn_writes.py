"""Machines that lose their power in the middle of a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flockchain.replica.effects import CommitBlocks, PersistDuty, PersistVote, ReplicaEffect
from flockchain.sim.sim_disk import Tear

if TYPE_CHECKING:
    from flockchain.sim.world import World

__all__ = ["WRITES", "TornWrite"]

WRITES = (PersistVote, PersistDuty, CommitBlocks)


@dataclass(frozen=True, slots=True)
class TornWrite:
    """From `at_ms` on, the node crashes in its next write but `writes`, of which the disk keeps what `tear` says."""

    at_ms: int
    node: int
    writes: int
    tear: Tear = Tear.SOME

    def unleash(self, world: World) -> None:
        node = world.nodes[self.node]
        left = self.writes

        def is_it(effect: ReplicaEffect) -> bool:
            nonlocal left
            left -= isinstance(effect, WRITES)
            if left >= 0:
                return False
            world.mark("torn write")
            node.folder.disk.tear = self.tear
            return True

        world.schedule_fault(self.at_ms, lambda: world.plan_crash_before(node, is_it))
