"""The proposer of every final block is its view's leader: drawn by stake from the seed of its epoch.

The draw is computed here once more, from the state: SHA-256("FLOCKCHAIN/leader" ‖ 0 ‖ seed ‖ u64 view) modulo the
set's stake, and whoever holds that unit in the order of the set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from flockchain.primitives.codec import U64
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Leaders"]


class Leaders(Checker):
    """Needs the block and its post-state only: set and seed of its epoch are still there."""

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        header = executed.header
        epoch = U64.encode(header.epoch)
        members = VALIDATOR_SET.decode(state[b"staking/set/" + epoch]).validators
        seed = state[b"system/epoch_seed/" + epoch]
        digest = sha256(b"FLOCKCHAIN/leader\0" + seed + U64.encode(header.view)).digest()
        draw = int.from_bytes(digest, "big") % sum(member.stake for member in members)
        for member in members:
            if draw < member.stake:
                break
            draw -= member.stake
        if member.account != header.proposer:
            where = f"height {header.height}, view {header.epoch}/{header.view}"
            yield Violation("leader", f"another member than the one drawn proposed {where}")
