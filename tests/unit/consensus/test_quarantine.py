"""When a key may be used: what is asked first, what silences it, and what ends that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from flockchain.consensus.guard import GUARD_RECORD, FloorRecord, GuardState, SuspectRecord, VoteRecord, keep_from_epoch
from flockchain.consensus.quarantine import FOREVER_MS, Quarantine, QuarantineConfig, Signing
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, NodeId, Stake, View
from flockchain.primitives.validator_set import Validator, ValidatorSet
from flockchain.primitives.vote import VoteKind

CONFIG = QuarantineConfig(round_ms=10, margin_ms=1_000)
PEERS = [NodeId(bytes([index]) * 32) for index in range(4)]
SET = ValidatorSet(
    Epoch(0),
    tuple(Validator(AccountId(peer), peer, b"", b"", b"", Stake(100)) for peer in PEERS),
)
ME = 0


def vote(epoch: int, kind: VoteKind, view: int) -> bytes:
    return GUARD_RECORD.encode(VoteRecord(Epoch(epoch), kind, View(view), ZERO_HASH, View(0), None, None))


def build(*records: bytes, anchor_ms: int | None = 0) -> Quarantine:
    quarantine = Quarantine(CONFIG, records)
    quarantine.on_epoch(anchor_ms)
    return quarantine


def listen(quarantine: Quarantine, answered: Sequence[int], rounds: int = 0, *, is_behind: bool = False) -> bool:
    for index in answered:
        quarantine.on_answer(PEERS[index])
    for _ in range(rounds):
        quarantine.on_round()
    return quarantine.end_if_heard(SET, ME, PEERS[1:], is_behind=is_behind)


def free(*records: bytes) -> Quarantine:
    quarantine = build(*records)
    assert listen(quarantine, [1, 2, 3])
    return quarantine


def test_nothing_is_signed_before_every_neighbour_has_answered() -> None:
    quarantine = build()
    assert quarantine.signing is Signing.LISTENING
    assert not listen(quarantine, [1, 2])
    assert listen(quarantine, [3])
    assert quarantine.signing is Signing.FREE


def test_one_who_never_answers_keeps_us_for_a_while_only() -> None:
    assert not listen(build(), [1, 2], rounds=11)
    assert listen(build(), [1, 2], rounds=12)
    assert not listen(build(), [1], rounds=12)  # it may be the liar
    assert listen(build(), [1], rounds=40)


def test_without_any_answer_nothing_is_ever_signed_unless_our_own_stake_is_a_quorum() -> None:
    assert not listen(build(), [], rounds=1_000)
    alone = ValidatorSet(Epoch(0), SET.validators[:1])
    assert build().end_if_heard(alone, ME, [], is_behind=False)


def test_whoever_seems_to_be_behind_waits_longer_but_not_for_ever() -> None:
    assert not listen(build(), [1, 2, 3], rounds=39, is_behind=True)
    assert listen(build(), [1, 2, 3], rounds=40, is_behind=True)


def test_a_boast_does_not_keep_one_that_is_a_quorum_alone_silent_for_ever() -> None:
    alone, quarantine = ValidatorSet(Epoch(0), SET.validators[:1]), build()
    for _ in range(40):
        assert not quarantine.end_if_heard(alone, ME, PEERS[1:], is_behind=True)
        quarantine.on_round()
    assert quarantine.end_if_heard(alone, ME, PEERS[1:], is_behind=True)


def test_an_answer_counts_once_and_only_while_it_is_waited_for() -> None:
    quarantine = build()
    assert quarantine.on_answer(PEERS[1])
    assert not quarantine.on_answer(PEERS[1])
    assert not free().on_answer(PEERS[1])


@pytest.mark.parametrize(("anchor_ms", "signing"), [
    (None, Signing.QUARANTINED), (4_000, Signing.QUARANTINED), (6_000, Signing.QUARANTINED), (6_001, Signing.LISTENING),
])  # fmt: skip
def test_suspect_records_forbid_every_epoch_that_did_not_begin_clearly_later(
    anchor_ms: int | None, signing: Signing
) -> None:
    assert build(GUARD_RECORD.encode(SuspectRecord(5_000)), anchor_ms=anchor_ms).signing is signing


def test_a_quarantine_ends_with_listening_in_the_epoch_that_ends_it() -> None:
    quarantine = build(GUARD_RECORD.encode(SuspectRecord(5_000)))
    assert not listen(quarantine, [1, 2, 3], rounds=100)
    assert not quarantine.on_epoch(5_500)
    assert quarantine.on_epoch(7_000)
    assert quarantine.signing is Signing.LISTENING
    assert listen(quarantine, [1, 2, 3])
    assert not quarantine.on_epoch(8_000)
    assert quarantine.signing is Signing.FREE


def test_an_unknown_vote_before_we_sign_starts_a_quarantine() -> None:
    quarantine = build()
    assert quarantine.on_unknown_vote(9_000) == SuspectRecord(9_000)
    assert quarantine.signing is Signing.QUARANTINED
    assert quarantine.on_unknown_vote(9_500) is None


def test_an_unknown_vote_while_we_sign_stops_us_until_the_operator_looks() -> None:
    quarantine = free()
    record = quarantine.on_unknown_vote(9_000)
    assert record == SuspectRecord(FOREVER_MS)
    assert quarantine.signing is Signing.STOPPED
    assert not quarantine.on_epoch(FOREVER_MS)
    assert quarantine.signing is Signing.STOPPED
    again = build(GUARD_RECORD.encode(record), anchor_ms=10**12)
    assert again.signing is Signing.STOPPED
    accepted = build(GUARD_RECORD.encode(record), GUARD_RECORD.encode(SuspectRecord(0)), anchor_ms=10**12)
    assert accepted.signing is Signing.LISTENING


def test_a_blank_node_that_finds_a_chain_ahead_asks_again_where_that_chain_is() -> None:
    quarantine = build()
    assert not listen(quarantine, [1, 2])
    assert quarantine.on_synced()
    assert not listen(quarantine, [3])
    assert listen(quarantine, [1, 2])
    assert not build(vote(0, VoteKind.NULLIFY, 1)).on_synced()
    assert not free().on_synced()


def test_a_muted_guard_signs_nothing_and_keeps_what_it_knows() -> None:
    guard = GuardState.restore(Epoch(0), [vote(0, VoteKind.NULLIFY, 3)])
    guard.is_muted = True
    assert not guard.may_sign(VoteKind.NOTARIZE, View(4))
    guard.is_muted = False
    assert guard.may_sign(VoteKind.NOTARIZE, View(4))
    assert not guard.may_sign(VoteKind.FINALIZE, View(3))


def test_a_guard_of_an_epoch_before_one_that_was_signed_in_signs_nothing() -> None:
    """The chain on disk is older than the journal: what was signed in its epochs may be compacted away."""
    later = vote(2, VoteKind.NULLIFY, 1)
    assert not GuardState.restore(Epoch(1), [later]).may_sign(VoteKind.NOTARIZE, View(9))
    compacted = keep_from_epoch([vote(1, VoteKind.NULLIFY, 1)], Epoch(2))
    assert [GUARD_RECORD.decode(raw) for raw in compacted] == [FloorRecord(Epoch(2), View(0))]
    assert not GuardState.restore(Epoch(1), compacted).may_sign(VoteKind.NOTARIZE, View(9))
    assert GuardState.restore(Epoch(2), compacted).may_sign(VoteKind.NOTARIZE, View(1))


def test_compaction_keeps_the_last_suspicion() -> None:
    records = [
        GUARD_RECORD.encode(SuspectRecord(5)),
        vote(0, VoteKind.NULLIFY, 1),
        GUARD_RECORD.encode(SuspectRecord(7)),
    ]
    guard = GuardState.restore(Epoch(0), records)
    assert SuspectRecord(7) in guard.get_live_records()
    assert GUARD_RECORD.encode(SuspectRecord(7)) in keep_from_epoch(records, Epoch(3))
