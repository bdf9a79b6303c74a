"""Issuance is conserved: all units are in some place, and the total changes by what a block says it made and burned.

Counted from the raw balances after every block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.primitives.codec import HASH, U32, U128
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import BURNED, FEES_SHARED, PROPOSER_REWARDED, iterate_events
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Issuance"]

_PLACES: Final = (b"balances/free/", b"balances/pot/")
_TOTAL: Final = b"balances/issuance/"


class Issuance(Checker):
    """Remembers the total after the block before; the genesis' own at first."""

    def __init__(self) -> None:
        self._total: int | None = None

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        before = _compute_genesis_total(node) if self._total is None else self._total
        total = self._total = U128.decode(state[_TOTAL])
        held = sum(U128.decode(value) for key, value in state.items() if key.startswith(_PLACES))
        height = executed.header.height
        if held != total:
            yield Violation("issuance", f"{held} units are held and {total} exist at height {height}")
        change = _compute_change(executed)
        if total - before != change:
            yield Violation("issuance", f"it changed by {total - before} and not by {change} at height {height}")


def _compute_genesis_total(node: SimNode) -> int:
    genesis = node.world.genesis
    return sum(holder.balance for holder in genesis.accounts) + sum(member.stake for member in genesis.validators)


def _compute_change(executed: ExecutedBlock) -> int:
    """What the block's events say was made, less what they say was burned."""
    change = 0
    for kind, reader in iterate_events(executed, FEES_SHARED, BURNED, PROPOSER_REWARDED):
        if kind == BURNED:
            reader.take(U32.read(reader))  # the pot's name
            change -= U128.read(reader)
            continue
        reader.take(HASH.size_bytes)
        if kind == PROPOSER_REWARDED:
            change += U128.read(reader)
        else:
            U128.read(reader)
            change -= U128.read(reader)
    return change
