"""What this key has signed, and may therefore never sign: the only safety state of Simplex.

A record is on disk before the vote that it describes leaves the machine, so the rules hold across
restarts. Beside the votes the journal keeps what the network could otherwise lose if all of it stopped at
once: the certificates that opened our views and the bodies of the blocks that we notarized.
One guard per key and epoch. Knows nothing of when a vote is due: that is `core`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.codec import HASH, U64, EnumOf, OptionOf, UnionOf, struct
from flockchain.primitives.errors import Fault, invariant
from flockchain.primitives.numbers import Epoch, Hash, View
from flockchain.primitives.vote import CERTIFICATE, Certificate, VoteKind

__all__ = [
    "GUARD_RECORD", "CertificateRecord", "FloorRecord", "GuardRecord", "GuardState", "JournalContradiction",
    "SuspectRecord", "VoteRecord", "keep_from_epoch",
]  # fmt: skip


class JournalContradiction(Fault):
    """Our own journal says that we broke the rules: damaged, or written by two nodes with one key."""


@dataclass(frozen=True, slots=True)
class VoteRecord:
    """A vote of ours, and what it rests upon.

    NOTARIZE: `parent_view`, and `block` unless an earlier record holds the same body.
    FINALIZE: `certificate`, the notarization that it answers.
    """

    epoch: Epoch
    kind: VoteKind
    view: View
    block_hash: Hash
    parent_view: View
    block: Block | None
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate that we came to hold."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class FloorRecord:
    """Views up to `view` are final: nothing is signed in them any more, and their records may be gone."""

    epoch: Epoch
    view: View


@dataclass(frozen=True, slots=True)
class SuspectRecord:
    """Votes of before `since_ms` may be missing in here; what follows is `quarantine`'s to say. The last one counts."""

    since_ms: int


GuardRecord = VoteRecord | CertificateRecord | FloorRecord | SuspectRecord

GUARD_RECORD = UnionOf(
    {
        0: struct(
            VoteRecord, epoch=U64, kind=EnumOf(VoteKind), view=U64, block_hash=HASH, parent_view=U64,
            block=OptionOf(BLOCK), certificate=OptionOf(CERTIFICATE),
        ),
        1: struct(CertificateRecord, certificate=CERTIFICATE),
        2: struct(FloorRecord, epoch=U64, view=U64),
        3: struct(SuspectRecord, since_ms=U64),
    }
)  # fmt: skip

_EXCLUDED_BY = {
    VoteKind.NOTARIZE: (VoteKind.NOTARIZE, VoteKind.NULLIFY),
    VoteKind.NULLIFY: (VoteKind.NULLIFY, VoteKind.FINALIZE),
    VoteKind.FINALIZE: (VoteKind.FINALIZE, VoteKind.NULLIFY),
}


class GuardState:
    """One epoch's votes of one key above the last final view."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self.floor = View(0)
        self.is_muted = False  # R13: nothing is signed now, whatever else holds
        self._is_over = False  # signed in a later epoch: what is missing of this one may be gone on purpose
        self._suspect: SuspectRecord | None = None
        self._votes: dict[tuple[View, VoteKind], VoteRecord] = {}
        self._certificates: dict[tuple[View, VoteKind], Certificate] = {}
        self._bodies: dict[Hash, Block] = {}

    @classmethod
    def restore(cls, epoch: Epoch, records: Iterable[bytes]) -> GuardState:
        """The guard as the journal's records left it. Records of a later epoch close this one for good.

        Raises `DecodeError` or `JournalContradiction` for a journal that no guard wrote.
        """
        guard = cls(epoch)
        for encoded in records:
            record: GuardRecord = GUARD_RECORD.decode(encoded)
            guard._restore(record)
        return guard

    def may_sign(self, kind: VoteKind, view: View) -> bool:
        """Whether a new vote is compatible with all earlier ones. False also for a repetition: send the old vote."""
        if view <= self.floor or self.is_muted or self._is_over:
            return False
        return all((view, excluding) not in self._votes for excluding in _EXCLUDED_BY[kind])

    def is_unknown(self, kind: VoteKind, view: View, block_hash: Hash) -> bool:
        """Whether this vote, if it is ours, is missing in here. Of views up to the floor nothing can be said."""
        held = self._votes.get((view, kind))
        return view > self.floor and not self._is_over and (held is None or held.block_hash != block_hash)

    def get_vote(self, kind: VoteKind, view: View) -> VoteRecord | None:
        """What we signed of this kind in this view."""
        return self._votes.get((view, kind))

    def get_votes(self) -> tuple[VoteRecord, ...]:
        """All votes above the floor, in the order of views."""
        return tuple(self._votes[key] for key in sorted(self._votes))

    def get_certificates(self) -> tuple[Certificate, ...]:
        """All recorded certificates above the floor, in the order of views."""
        return tuple(self._certificates[key] for key in sorted(self._certificates))

    def get_blocks(self) -> tuple[Block, ...]:
        """Bodies of the blocks that we notarized above the floor."""
        return tuple(self._bodies.values())

    def get_block(self, block_hash: Hash) -> Block | None:
        """The body of a block that we notarized above the floor."""
        return self._bodies.get(block_hash)

    def apply_vote(self, record: VoteRecord) -> None:
        """Remember a vote that is about to be journaled and sent."""
        invariant(record.epoch == self.epoch, "a guard signs in one epoch only", epoch=record.epoch)
        may_sign = self.may_sign(record.kind, record.view)
        invariant(may_sign, "the vote contradicts an earlier one", kind=record.kind.name, view=record.view)
        self._keep_vote(record)

    def _keep_vote(self, record: VoteRecord) -> None:
        self._votes[record.view, record.kind] = record
        if record.block is not None:
            self._bodies[record.block_hash] = record.block
        if record.certificate is not None:
            self.apply_certificate(record.certificate)

    def apply_certificate(self, certificate: Certificate) -> None:
        """Remember a certificate that is about to be journaled."""
        if certificate.view > self.floor:
            self._certificates[certificate.view, certificate.kind] = certificate

    def apply_suspicion(self, record: SuspectRecord) -> None:
        """Carry a suspicion through compaction."""
        self._suspect = record

    def apply_floor(self, view: View) -> None:
        """Forget what finality has settled. Nothing up to `view` is ever signed again."""
        if view <= self.floor:
            return
        self.floor = view
        self._votes = {key: vote for key, vote in self._votes.items() if key[0] > view}
        self._certificates = {key: held for key, held in self._certificates.items() if key[0] > view}
        live = {vote.block_hash for vote in self._votes.values() if vote.kind is VoteKind.NOTARIZE}
        self._bodies = {block_hash: body for block_hash, body in self._bodies.items() if block_hash in live}

    def get_live_records(self) -> tuple[GuardRecord, ...]:
        """What a compacted journal has to hold. Write it only when the final blocks themselves are on disk."""
        carried: set[Hash] = set()
        votes: list[GuardRecord] = []
        for vote in self.get_votes():
            body = self._bodies.get(vote.block_hash) if vote.kind is VoteKind.NOTARIZE else None
            if vote.block_hash in carried:
                body = None
            elif body is not None:
                carried.add(vote.block_hash)
            votes.append(replace(vote, block=body, certificate=None))
        held = [CertificateRecord(certificate) for certificate in self.get_certificates()]
        suspect = () if self._suspect is None else (self._suspect,)
        return (FloorRecord(self.epoch, self.floor), *suspect, *held, *votes)

    def _has(self, record: VoteRecord) -> bool:
        """Whether this very vote is here: a rewritten journal can hold it before its own turn to be appended comes."""
        held = self._votes.get((record.view, record.kind))
        return held is not None and held.block_hash == record.block_hash

    def _restore(self, record: GuardRecord) -> None:
        if isinstance(record, SuspectRecord):
            self.apply_suspicion(record)
        elif isinstance(record, CertificateRecord):
            if record.certificate.epoch == self.epoch:
                self.apply_certificate(record.certificate)
        elif record.epoch != self.epoch:
            self._is_over = self._is_over or record.epoch > self.epoch
        elif isinstance(record, FloorRecord):
            self.apply_floor(record.view)
        elif record.view > self.floor and not self._has(record):
            if any((record.view, excluding) in self._votes for excluding in _EXCLUDED_BY[record.kind]):
                raise JournalContradiction("the vote journal holds votes that exclude each other", view=record.view)
            self._keep_vote(record)


def keep_from_epoch(encoded: Iterable[bytes], epoch: Epoch) -> list[bytes]:
    """Of a journal's records those that still matter when `epoch` is open, and one that closes all epochs before it."""
    kept: list[bytes] = [GUARD_RECORD.encode(FloorRecord(epoch, View(0)))]
    suspect: list[bytes] = []
    for raw in encoded:
        record: GuardRecord = GUARD_RECORD.decode(raw)
        if isinstance(record, SuspectRecord):
            suspect = [raw]
            continue
        of_epoch = record.certificate.epoch if isinstance(record, CertificateRecord) else record.epoch
        if of_epoch >= epoch:
            kept.append(raw)
    return suspect + kept
