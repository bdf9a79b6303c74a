"""What waits inside a node stays under its limits, whatever peers send. The numbers are written here once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from flockchain.replica.effects import CommitBlocks
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["Queues"]

_POOL_EXTRINSICS: Final = 20_000
_POOL_BYTES: Final = 64 * 1024 * 1024
_POOL_PER_SENDER: Final = 512
_LEARNING_PER_SOURCE: Final = 1_024
_EARLY_MESSAGES: Final = 256 + 8  # words, and whole proposals
_EVIDENCE: Final = 256
_VIEWS_NEAR: Final = 64 + 16 + 1  # ahead, behind, and the current one
_BODIES_NEAR: Final = 8 + 16 + 1
_VOTES_PER_MEMBER: Final = 3  # one of each kind in a view
_WANTED_BLOCKS: Final = 2
_SEEN_MARKS: Final = 65_536


class Queues(Checker):
    """Measures a node whenever it commits."""

    def on_committed(self, node: SimNode, effect: CommitBlocks) -> Iterable[Violation]:
        if node.replica is None:
            return
        sources = len(node.world.nodes)  # its peers and itself
        for name, waiting, most in _measure(node.replica, sources):
            if waiting > most:
                yield Violation("queues", f"{waiting} {name} wait in {node.node_id[:4].hex()}, of {most}")


def _measure(replica: Replica, sources: int) -> Iterable[tuple[str, int, int]]:
    pool = replica.admission.pool
    by_sender = Counter(checked.payload.sender for checked in pool)
    yield "extrinsics", len(pool), _POOL_EXTRINSICS
    yield "bytes of extrinsics", pool.size_bytes, _POOL_BYTES
    yield "extrinsics of one sender", max(by_sender.values(), default=0), _POOL_PER_SENDER
    yield "learning items", replica.desk.waiting_count, sources * _LEARNING_PER_SOURCE
    yield "early messages", replica.conversation.early_count, _EARLY_MESSAGES
    yield "pieces of evidence", len(replica.accusations), _EVIDENCE
    yield from _measure_core(replica)
    yield "marks of what was seen", len(replica.relay._seen), _SEEN_MARKS
    yield "effects that nobody took", len(replica.outbox._effects), 0


def _measure_core(replica: Replica) -> Iterable[tuple[str, int, int]]:
    """What the open epoch's core keeps of the views around its own."""
    core = replica.core
    members = len(core.validators.validators)
    votes = sum(len(view.held) for view in core._votes._views.values())
    proposals = sum(state.proposal is not None for state in core._views._states.values())
    yield "votes", votes, _VIEWS_NEAR * _VOTES_PER_MEMBER * members
    yield "views with votes", len(core._votes._views), _VIEWS_NEAR
    yield "proposals", proposals, _BODIES_NEAR
    yield "blocks that are asked for", len(core._resolver._blocks), _WANTED_BLOCKS
