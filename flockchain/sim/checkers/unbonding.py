"""Stake on its way out waits: until the epoch after the one that it still counts in, and the unbonding time after that.

Read from the events of staking. What was never on its way out is not paid out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.primitives.codec import HASH, U64, U128
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import UNBONDING, WITHDRAWN, iterate_events
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Unbonding"]

_COUNTS_FOR_EPOCHS: Final = 1  # the set of the next epoch is fixed already


class Unbonding(Checker):
    """Keeps what waits, by delegator and validator."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, bytes], list[tuple[int, int]]] = {}  # release epoch, amount

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        header = executed.header
        wait = _COUNTS_FOR_EPOCHS + node.world.genesis.staking.unbonding_epochs
        for kind, reader in iterate_events(executed, UNBONDING, WITHDRAWN):
            validator, delegator, amount = HASH.read(reader), HASH.read(reader), U128.read(reader)
            waiting = self._waiting.setdefault((delegator, validator), [])
            if kind == UNBONDING:
                release = U64.read(reader)
                waiting.append((release, amount))
                node.world.mark("unbonding")
                if release != header.epoch + wait:
                    yield Violation("unbonding", f"stake unbonded in epoch {header.epoch} is free in {release}")
                continue
            node.world.mark("withdrawal")
            most = sum(stake for release, stake in waiting if release <= header.epoch)
            waiting[:] = [(release, stake) for release, stake in waiting if release > header.epoch]
            if amount > most:
                yield Violation("unbonding", f"{amount} were paid out at height {header.height}, {most} were free")
