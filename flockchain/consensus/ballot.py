"""Our own votes: the one place that uses the consensus key, and only for what the guard allows.

A vote comes with the journal effect that must be performed before it leaves the machine. A node without
a key or without a seat in the set casts nothing.
"""

from __future__ import annotations

from flockchain.consensus.config import ConsensusKeys, CoreConfig, EpochContext
from flockchain.consensus.effects import Journal
from flockchain.consensus.guard import CertificateRecord, GuardState, VoteRecord
from flockchain.crypto.voting import sign_vote
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvariantBroken, invariant
from flockchain.primitives.numbers import ZERO_HASH, Hash, View
from flockchain.primitives.vote import Certificate, Vote, VoteKind

__all__ = ["Ballot"]


class Ballot:
    """What one member may sign, and what it has signed."""

    def __init__(
        self, config: CoreConfig, context: EpochContext, guard: GuardState, keys: ConsensusKeys | None
    ) -> None:
        invariant(guard.epoch == context.epoch, "the guard is of another epoch", guard=guard.epoch, epoch=context.epoch)
        self._config = config
        self._epoch = context.epoch
        self._guard = guard
        self._seat = None if keys is None or context.my_index is None else (context.my_index, keys.secret_key)

    @property
    def has_seat(self) -> bool:
        return self._seat is not None

    def is_seat_of(self, index: int) -> bool:
        """Whether we vote as this member."""
        return self._seat is not None and self._seat[0] == index

    def may_cast(self, kind: VoteKind, view: View) -> bool:
        """Whether this vote is ours to cast and not excluded by an earlier one."""
        return self.has_seat and self._guard.may_sign(kind, view)

    def cast_notarize(self, view: View, block_hash: Hash, parent_view: View, block: Block) -> tuple[Journal, Vote]:
        """NOTARIZE, with the body on disk: were every node to stop now, the block would not be lost."""
        body = None if self._guard.get_block(block_hash) else block
        return self._cast(VoteRecord(self._epoch, VoteKind.NOTARIZE, view, block_hash, parent_view, body, None))

    def cast_nullify(self, view: View) -> tuple[Journal, Vote]:
        return self._cast(VoteRecord(self._epoch, VoteKind.NULLIFY, view, ZERO_HASH, View(0), None, None))

    def cast_finalize(self, notarization: Certificate) -> tuple[Journal, Vote]:
        """FINALIZE, with the notarization on disk: it answers everybody who is stuck in that view."""
        view, block_hash = notarization.view, notarization.block_hash
        return self._cast(VoteRecord(self._epoch, VoteKind.FINALIZE, view, block_hash, View(0), None, notarization))

    def record(self, certificate: Certificate) -> tuple[Journal, ...]:
        """Keep a certificate across restarts. A node without a seat is nobody's source, and need not."""
        if not self.has_seat:
            return ()
        self._guard.apply_certificate(certificate)
        return (Journal(CertificateRecord(certificate)),)

    def repeat(self, record: VoteRecord) -> Vote:
        """A vote that was cast before, once more; BLS signatures are unique, so it is the same vote."""
        return self._sign(record)

    def _cast(self, record: VoteRecord) -> tuple[Journal, Vote]:
        self._guard.apply_vote(record)
        return Journal(record), self._sign(record)

    def _sign(self, record: VoteRecord) -> Vote:
        invariant(
            self._guard.get_vote(record.kind, record.view) is record, "signed before it was recorded", vote=record
        )
        index, secret_key = self._require_seat()
        subject = (record.kind, record.epoch, record.view, record.block_hash)
        signature = sign_vote(self._config.bls, self._config.genesis_hash, secret_key, *subject)
        return Vote(*subject, signer=index, signature=signature)

    def _require_seat(self) -> tuple[int, bytes]:
        if self._seat is None:
            raise InvariantBroken("a node without a seat casts no vote", epoch=self._epoch)
        return self._seat
