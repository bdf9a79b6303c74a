"""What may go wrong in a simulated world at a planned moment: one kind of fault a file.

A fault is a frozen record with `unleash`; whoever draws it decides when, and `unleash` puts it on the world's schedule.
"""

from flockchain.sim.faults.crashes import Crash, draw_crashes
from flockchain.sim.faults.fault import Fault
from flockchain.sim.faults.partitions import Partition, draw_partitions

__all__ = ["Crash", "Fault", "Partition", "draw_crashes", "draw_partitions"]
