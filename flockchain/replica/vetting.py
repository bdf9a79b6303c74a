"""The blocks that consensus asks us to vouch for: executed, and not before their time.

Knows the ledger, which executes, and our clock. Does not know what is voted for, or why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flockchain.consensus import effects as asked
from flockchain.consensus import events as core
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.numbers import Epoch
from flockchain.replica import effects as out
from flockchain.replica.ticks import CheckTick

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica

__all__ = ["Vetting"]

_LOOK_AGAIN_MS: Final = 500  # our clock may be set right while a block waits for it


class Vetting:
    """The checking side of a replica."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def check(self, epoch: Epoch, effect: asked.CheckBlock) -> None:
        """V1-V5 and everything else of a block is its execution; the clock is ours to compare with."""
        replica = self._replica
        try:
            replica.ledger.execute(effect.block)
        except (InvalidInput, Refused) as error:
            replica.outbox.add(out.BlockRefused(effect.block_hash, str(error)))
            replica.tell_core(core.BlockChecked(effect.view, effect.block_hash, is_valid=False))
            return
        self.on_tick(CheckTick(epoch, effect.view, effect.block_hash))

    def on_tick(self, tick: CheckTick) -> None:
        """An executed block is valid once our clock has reached its time: no vote before, and none much later."""
        replica = self._replica
        executed = replica.ledger.get(tick.block_hash)
        if executed is None or tick.epoch != replica.core.epoch:
            return  # it is settled: final, or on a branch that is not
        early_ms = executed.header.timestamp_ms - replica.participant.pace.drift_max_ms - replica.now_ms
        if early_ms > 0:
            replica.outbox.set_timer(tick, min(early_ms, _LOOK_AGAIN_MS))
        else:
            replica.tell_core(core.BlockChecked(tick.view, tick.block_hash, is_valid=True))
