"""The guard: whatever happens, in whatever lives, no two votes of one key exclude each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.consensus.guard import (
    GUARD_RECORD,
    CertificateRecord,
    FloorRecord,
    GuardState,
    JournalContradiction,
    VoteRecord,
)
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Certificate, VoteKind
from tests.kit.blocks import build_block

NOTARIZE, NULLIFY, FINALIZE = VoteKind
EPOCH = Epoch(3)


def build_record(kind: VoteKind, view: int, block_hash: bytes = b"b" * 32) -> VoteRecord:
    chosen = ZERO_HASH if kind is NULLIFY else Hash(block_hash)
    certificate = Certificate(NOTARIZE, EPOCH, View(view), chosen, b"\x07", bytes(96)) if kind is FINALIZE else None
    block = build_block(view=view) if kind is NOTARIZE else None
    return VoteRecord(EPOCH, kind, View(view), chosen, View(0), block, certificate)


def test_every_kind_of_record_survives_the_disk() -> None:
    records = [*(build_record(kind, 5) for kind in VoteKind), FloorRecord(EPOCH, View(9))]
    certificate = build_record(FINALIZE, 5).certificate
    assert certificate is not None
    for record in (*records, CertificateRecord(certificate)):
        encoded = GUARD_RECORD.encode(record)
        assert GUARD_RECORD.decode(encoded) == record
        with pytest.raises(DecodeError):
            GUARD_RECORD.decode(encoded[:-1])


@pytest.mark.parametrize(
    ("earlier", "later", "is_allowed"),
    [
        (NOTARIZE, NOTARIZE, False), (NOTARIZE, NULLIFY, True), (NOTARIZE, FINALIZE, True),
        (NULLIFY, NOTARIZE, False), (NULLIFY, NULLIFY, False), (NULLIFY, FINALIZE, False),
        (FINALIZE, NOTARIZE, True), (FINALIZE, NULLIFY, False), (FINALIZE, FINALIZE, False),
    ],
)  # fmt: skip
def test_what_excludes_what(earlier: VoteKind, later: VoteKind, is_allowed: bool) -> None:
    guard = GuardState(EPOCH)
    guard.apply_vote(build_record(earlier, 5))
    assert guard.may_sign(later, View(5)) is is_allowed
    assert guard.may_sign(later, View(6))
    restored = GuardState.restore(EPOCH, [GUARD_RECORD.encode(build_record(earlier, 5))])
    assert restored.may_sign(later, View(5)) is is_allowed


def test_signing_against_the_guard_is_a_mistake_of_ours() -> None:
    guard = GuardState(EPOCH)
    guard.apply_vote(build_record(NULLIFY, 5))
    with pytest.raises(InvariantBroken):
        guard.apply_vote(build_record(FINALIZE, 5))
    assert guard.get_vote(FINALIZE, View(5)) is None


def test_a_journal_that_contradicts_itself_stops_the_node() -> None:
    records = [GUARD_RECORD.encode(build_record(kind, 5)) for kind in (NULLIFY, FINALIZE)]
    with pytest.raises(JournalContradiction):
        GuardState.restore(EPOCH, records)


@pytest.mark.parametrize("kind", VoteKind)
def test_a_vote_that_is_written_twice_is_one_vote(kind: VoteKind) -> None:
    """A journal is rewritten with all that the guard knows, also with votes whose own turn to be written comes next."""
    guard = GuardState(EPOCH)
    journal = [build_record(kind, 5)]
    guard.apply_vote(journal[0])
    if kind is NOTARIZE:
        journal.append(build_record(NULLIFY, 5))
        guard.apply_vote(journal[1])
    restored = GuardState.restore(EPOCH, map(GUARD_RECORD.encode, (*guard.get_live_records(), *journal)))
    assert [(vote.kind, vote.block_hash) for vote in restored.get_votes()] == [
        (vote.kind, vote.block_hash) for vote in guard.get_votes()
    ]
    assert restored.get_blocks() == guard.get_blocks()
    other = GUARD_RECORD.encode(build_record(NOTARIZE, 5, b"c" * 32))
    with pytest.raises(JournalContradiction):
        GuardState.restore(EPOCH, [GUARD_RECORD.encode(build_record(NOTARIZE, 5)), other])


def test_below_the_floor_nothing_is_signed_though_the_votes_are_forgotten() -> None:
    guard = GuardState(EPOCH)
    guard.apply_vote(build_record(NOTARIZE, 5))
    guard.apply_floor(View(5))
    assert not guard.get_votes() + guard.get_blocks() + guard.get_certificates()
    restored = GuardState.restore(EPOCH, map(GUARD_RECORD.encode, guard.get_live_records()))
    for each in (guard, restored):
        assert not any(each.may_sign(kind, View(view)) for kind in VoteKind for view in (1, 5))
        assert each.may_sign(NOTARIZE, View(6))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(VoteKind), st.integers(1, 4), st.sampled_from([b"a" * 32, b"b" * 32])),
        st.sampled_from(["restart", "compact"]),
        st.integers(1, 3),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_over_any_lives_the_signed_votes_never_exclude_one_another(steps: list[object]) -> None:
    guard = GuardState(EPOCH)
    journal: list[bytes] = []
    signed: list[tuple[View, VoteKind]] = []
    for step in steps:
        if step == "restart":
            guard = GuardState.restore(EPOCH, journal)
        elif step == "compact":
            journal = [GUARD_RECORD.encode(record) for record in guard.get_live_records()]
        elif isinstance(step, int):
            guard.apply_floor(View(step))
            journal.append(GUARD_RECORD.encode(FloorRecord(EPOCH, View(step))))
        elif isinstance(step, tuple) and guard.may_sign(step[0], View(step[1])):
            record = build_record(*step)
            guard.apply_vote(record)
            journal.append(GUARD_RECORD.encode(record))
            signed.append((record.view, record.kind))
    assert len(signed) == len(set(signed))
    assert not {view for view, kind in signed if kind is NULLIFY} & {view for view, kind in signed if kind is FINALIZE}
