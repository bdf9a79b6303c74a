"""What a world has been through: an observer that finds nothing and marks what a large run must reach somewhere.

Sees what checkers see. Does not judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flockchain.gossip.messages import MessageKind
from flockchain.primitives.codec import U64
from flockchain.primitives.numbers import AccountId
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import CommitBlocks, ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Landmarks"]

_SENT: Final[Mapping[int, str]] = {
    MessageKind.BLOCK_REQUEST: "resolver fetch",
    MessageKind.BLOCKS_REQUEST: "block sync",
    MessageKind.EVIDENCE: "evidence",
}
_FAR_BLOCKS: Final = 20  # five epochs of the tests' chain
_SETS: Final = b"staking/set/"


class Landmarks(Checker):
    """Marks of honest nodes, and of the chain that they agree on."""

    def __init__(self) -> None:
        self._epoch = 0
        self._founders: frozenset[AccountId] = frozenset()
        self._members = self._founders

    def on_boot(self, node: SimNode) -> Iterable[Violation]:
        if node.life > 1:
            node.world.mark("restart")
        return ()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if node.adversary is None and isinstance(effect, SendMessage):
            kind = effect.payload[0]
            if kind in _SENT:
                node.world.mark(_SENT[kind])
            elif kind == MessageKind.CERTIFICATE and effect.payload[1] == VoteKind.NULLIFY:
                node.world.mark("nullification")
        return ()

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        behind = node.world.mirror.height - effect.executed[-1].header.height
        if behind >= _FAR_BLOCKS and node.adversary is None:
            node.world.mark("catching up from far behind")
        return ()

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        header, world = executed.header, node.world
        if not self._founders:
            self._founders = self._members = frozenset(member.account for member in world.genesis.validators)
        if header.epoch != self._epoch:
            self._epoch = header.epoch
            world.mark("epoch change")
            members = VALIDATOR_SET.decode(state[_SETS + U64.encode(header.epoch)]).validators
            accounts = frozenset(member.account for member in members)
            if accounts != self._members:
                world.mark("validator joined" if accounts - self._members else "validator gone")
            self._members = accounts
        if len(executed.block.learning) and len({item.task for item in executed.block.learning}) > 1:
            world.mark("two tasks at once")
        if header.proposer not in self._founders:
            world.mark("joined validator proposed")
        return ()
