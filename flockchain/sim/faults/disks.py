"""Which disk faults a world gets."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.faults.bit_flips import BitFlip
from flockchain.sim.faults.disk_errors import DiskError
from flockchain.sim.faults.fault import Fault
from flockchain.sim.faults.full_disks import FullDisk
from flockchain.sim.faults.lost_syncs import LostSync
from flockchain.sim.faults.old_copies import OldCopy
from flockchain.sim.faults.torn_writes import TornWrite
from flockchain.sim.sim_disk import Tear

__all__ = ["draw_disk_faults"]

_WRITES_MAX: Final = 20
_EFFECTS_MAX: Final = 60
_COPY_AGE_MS: Final = 3_000


def draw_disk_faults(
    rng: random.Random, faults_ms: int, nodes: int, byzantine: int | None, most: int
) -> tuple[Fault, ...]:
    """Up to `most` faults that a node gets over by itself, and, where nobody is Byzantine, maybe one that silences.

    A node that may have forgotten votes is silent for the rest of the epoch, so it counts among those that a chain can
    do without, like a Byzantine one.
    """
    found: list[Fault] = []
    for _ in range(rng.randrange(most + 1)):
        at_ms, node = rng.randrange(faults_ms), rng.randrange(nodes)
        torn = TornWrite(at_ms, node, rng.randrange(_WRITES_MAX), rng.choice(tuple(Tear)))
        found.append(rng.choice((torn, FullDisk(at_ms, node), DiskError(at_ms, node))))
    if byzantine is None and rng.randrange(4):
        at_ms, node = rng.randrange(faults_ms), rng.randrange(nodes)
        lost = LostSync(at_ms, node, rng.randrange(_EFFECTS_MAX))
        flip = BitFlip(at_ms, node, rng.choice((1000, rng.randrange(1000))), rng.randrange(8))
        found.append(rng.choice((lost, flip, OldCopy(at_ms, node, rng.randint(1, _COPY_AGE_MS)))))
    return tuple(found)
