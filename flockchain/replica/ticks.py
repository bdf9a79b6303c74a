"""What a replica sets its timers for: each is handed back to it when its time has come."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.consensus.timers import Timer
from flockchain.primitives.numbers import Epoch, Hash, View

__all__ = [
    "ApplyTick", "CheckTick", "GossipTick", "ListenTick", "NeighboursTick", "ProposeTick", "SyncTick", "ViewTimer",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ViewTimer:
    """A timer of the consensus core of `epoch`."""

    epoch: Epoch
    timer: Timer


@dataclass(frozen=True, slots=True)
class ProposeTick:
    """The pace allows our block now."""


@dataclass(frozen=True, slots=True)
class CheckTick:
    """A block's timestamp is reached by our clock: its execution may be believed now."""

    epoch: Epoch
    view: View
    block_hash: Hash


@dataclass(frozen=True, slots=True)
class GossipTick:
    """Pass on the extrinsics that gathered."""


@dataclass(frozen=True, slots=True)
class NeighboursTick:
    """Tell our neighbours who they are by now."""


@dataclass(frozen=True, slots=True)
class ListenTick:
    """Ask again for what our key signed."""


@dataclass(frozen=True, slots=True)
class ApplyTick:
    """Go on executing the blocks that sync has fetched; other events had their turn."""


@dataclass(frozen=True, slots=True)
class SyncTick:
    """Look whether we fell behind."""
