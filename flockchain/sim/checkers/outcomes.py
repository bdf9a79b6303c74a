"""Equal heights have equal outcomes on all honest nodes: changes, events, receipts, and the root in the header."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from flockchain.replica.effects import CommitBlocks
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Outcomes"]


class Outcomes(Checker):
    """Remembers the first outcome at each height."""

    def __init__(self) -> None:
        self._by_height: dict[int, bytes] = {}

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        for executed in effect.executed if node.adversary is None else ():
            height = executed.header.height
            if self._by_height.setdefault(height, outcome := _digest(executed)) != outcome:
                yield Violation("outcome", f"two outcomes at height {height}")
            if executed.tree.root != executed.header.state_root:
                yield Violation("outcome", f"the state after height {height} is not the one that its header names")


def _digest(executed: ExecutedBlock) -> bytes:
    digest = sha256(executed.encode_receipts())
    for key, value in sorted(executed.changes.items()):
        digest.update(len(key).to_bytes(4, "big") + key + (b"-" if value is None else b"+" + value))
    return digest.digest()
