"""What may go wrong in a simulated world at a planned moment: one kind of fault a file.

A fault is a frozen record with `unleash`; whoever draws it decides when, and `unleash` puts it on the world's schedule.
"""

from flockchain.sim.faults.bit_flips import BitFlip
from flockchain.sim.faults.clocks import ClockJump, draw_clocks
from flockchain.sim.faults.clogs import Clog, Latency, draw_clogs, draw_latencies
from flockchain.sim.faults.crashes import Crash, draw_crashes
from flockchain.sim.faults.disk_errors import DiskError
from flockchain.sim.faults.disks import draw_disk_faults
from flockchain.sim.faults.fault import Fault
from flockchain.sim.faults.full_disks import FullDisk
from flockchain.sim.faults.junk import Junk, draw_junk
from flockchain.sim.faults.liars import Liar, draw_liars
from flockchain.sim.faults.lost_syncs import LostSync
from flockchain.sim.faults.old_copies import OldCopy
from flockchain.sim.faults.outages import Outage
from flockchain.sim.faults.partitions import Partition, draw_partitions
from flockchain.sim.faults.pauses import Pause, draw_pauses
from flockchain.sim.faults.torn_writes import TornWrite

__all__ = [
    "BitFlip", "ClockJump", "Clog", "Crash", "DiskError", "Fault", "FullDisk", "Junk", "Latency", "Liar", "LostSync",
    "OldCopy", "Outage", "Partition", "Pause", "TornWrite", "draw_clocks", "draw_clogs", "draw_crashes",
    "draw_disk_faults", "draw_junk", "draw_latencies", "draw_liars", "draw_partitions", "draw_pauses",
]  # fmt: skip
