"""No honest node votes for a block whose parent is not certified, or with views between that were not nullified.

And no such block is final. Judged by the certificates that honest nodes passed on or journaled when they came to hold
them, and by the headers that were proposed. The last block of an epoch, proposed again, stands upon itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from flockchain.consensus.guard import GUARD_RECORD, CertificateRecord, VoteRecord
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Header
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.primitives.vote import Certificate, Vote, VoteKind
from flockchain.replica.effects import CommitBlocks, PersistVote, ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.certificates import iterate_certificates
from flockchain.sim.checkers.checker import Checker, Violation
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Ancestry"]

_VOTES: Final = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)


class Ancestry(Checker):
    """Keeps where blocks were certified, which views were nullified, and every header that was proposed."""

    def __init__(self) -> None:
        self._certified: dict[tuple[int, Hash], set[int]] = {}  # epoch, block -> views
        self._nullified: set[tuple[int, int]] = set()  # epoch, view
        self._headers: dict[Hash, Header] = {}
        self._anchors: dict[int, Hash] = {}  # epoch -> the last block before it
        self._chain: list[tuple[Header, Hash]] = []
        self._seen: set[tuple[NodeId, bytes]] = set()

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if isinstance(effect, SendMessage):
            if (node.node_id, effect.payload) in self._seen:
                return
            self._seen.add((node.node_id, effect.payload))
            if effect.payload[0] == wire.MessageKind.PROPOSAL:
                header = wire.decode_message(effect.payload).proposal.block.header  # type: ignore[union-attr]
                self._headers[read_vote(effect.payload).block_hash] = header
        if node.adversary is not None:
            return
        for certificate in _iterate_held(effect):
            self._hold(certificate)
        if isinstance(effect, SendMessage) and effect.payload[0] in _VOTES:
            vote = read_vote(effect.payload)
            if vote.kind is VoteKind.NOTARIZE and is_signed(node, vote, node.consensus_key):
                yield from self._judge(node, vote)

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        self._chain.append((executed.header, executed.block_hash))
        if executed.header.height % node.world.genesis.epoch_blocks == 0:
            self._anchors[executed.header.epoch + 1] = executed.block_hash
        return ()

    def on_end(self, nodes: Sequence[SimNode]) -> Iterable[Violation]:
        before = (0, 0)
        for header, block_hash in self._chain:
            if (header.epoch, block_hash) not in self._certified:
                yield Violation("ancestry", f"the final block of height {header.height} was never notarized")
            parent_view = before[1] if before[0] == header.epoch else 0
            skipped = self._find_skipped(header.epoch, parent_view, header.view)
            if skipped is not None:
                where = f"height {header.height} skips view {header.epoch}/{skipped}"
                yield Violation("ancestry", f"{where}, which was never nullified")
            before = (header.epoch, header.view)

    def _hold(self, certificate: Certificate) -> None:
        if certificate.kind is VoteKind.NULLIFY:
            self._nullified.add((certificate.epoch, certificate.view))
        else:
            self._certified.setdefault((certificate.epoch, certificate.block_hash), set()).add(certificate.view)

    def _judge(self, node: SimNode, vote: Vote) -> Iterator[Violation]:
        header = self._headers.get(vote.block_hash)
        if header is None:
            return
        parent = header.parent if header.view == vote.view else vote.block_hash
        views = {view for view in self._certified.get((vote.epoch, parent), ()) if view < vote.view}
        is_anchor = parent == self._anchors.get(vote.epoch, node.genesis_hash if vote.epoch == 0 else None)
        where = f"{node.node_id[:4].hex()} voted in {vote.epoch}/{vote.view} for a block"
        if is_anchor:
            views.add(0)
        if not views:
            yield Violation("ancestry", f"{where} whose parent is not certified")
        elif self._find_skipped(vote.epoch, max(views), vote.view) is not None:
            yield Violation("ancestry", f"{where} that skips a view that was not nullified")

    def _find_skipped(self, epoch: int, parent_view: int, view: int) -> int | None:
        between = range(parent_view + 1, view)
        return next((at for at in between if (epoch, at) not in self._nullified), None)


def _iterate_held(effect: ReplicaEffect) -> Iterator[Certificate]:
    """The certificates that an honest node holds by then: it sends, journals or commits with them."""
    if isinstance(effect, SendMessage):
        yield from iterate_certificates(effect)
    elif isinstance(effect, CommitBlocks):
        yield effect.certificate
    elif isinstance(effect, PersistVote):
        record = GUARD_RECORD.decode(effect.record)
        held = record.certificate if isinstance(record, CertificateRecord | VoteRecord) else None
        if held is not None:
            yield held
