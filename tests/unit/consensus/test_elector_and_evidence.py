"""Leaders by stake, time-outs by distance to finality, and proofs of contradiction that others can check."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from flockchain.consensus import compute_leader, verify_evidence
from flockchain.consensus.evidence import build_evidence, is_conflict
from flockchain.consensus.timers import compute_timeout_ms
from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.evidence import VoteEvidence
from flockchain.primitives.numbers import ZERO_HASH, Hash, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import GENESIS_HASH, Room

NOTARIZE, NULLIFY, FINALIZE = VoteKind
A, B = Hash(b"a" * 32), Hash(b"b" * 32)


def test_leaders_are_drawn_in_proportion_to_stake() -> None:
    validators = Room.build((1, 2, 3, 0, 4)).context.validators
    seed = hash_tagged("test", b"draw")
    count = Counter(compute_leader(validators, seed, View(view)) for view in range(5_000))
    assert count[3] == 0
    for index, stake in enumerate((1, 2, 3, 0, 4)):
        assert abs(count[index] - 500 * stake) < 120


def test_another_seed_draws_another_order() -> None:
    validators = Room.build().context.validators
    orders = [
        [compute_leader(validators, hash_tagged("test", seed), View(v)) for v in range(40)] for seed in (b"1", b"2")
    ]
    assert orders[0] != orders[1]


def test_the_draw_of_a_known_seed_never_changes() -> None:
    validators = Room.build().context.validators
    seed = hash_tagged("test", b"golden")
    leaders = [compute_leader(validators, seed, View(view)) for view in range(1, 13)]
    assert leaders == [2, 2, 1, 0, 1, 0, 2, 3, 0, 3, 3, 3]


@pytest.mark.parametrize(("views", "factor"), [(0, 1), (3, 1), (4, 2), (6, 8), (10_000, 600)])
def test_timeouts_double_beyond_the_pipeline_up_to_the_maximum(views: int, factor: int) -> None:
    assert compute_timeout_ms(100, 60_000, views) == 100 * factor


@pytest.mark.parametrize(
    ("kinds", "hashes", "expected"),
    [
        ((NOTARIZE, NOTARIZE), (A, B), True), ((NOTARIZE, NOTARIZE), (A, A), False),
        ((FINALIZE, FINALIZE), (A, B), True), ((NULLIFY, FINALIZE), (ZERO_HASH, A), True),
        ((NULLIFY, NOTARIZE), (ZERO_HASH, A), False), ((NOTARIZE, FINALIZE), (A, B), False),
        ((NULLIFY, NULLIFY), (ZERO_HASH, ZERO_HASH), False),
    ],
)  # fmt: skip
def test_only_what_an_honest_node_never_signs_is_evidence(
    kinds: tuple[VoteKind, VoteKind], hashes: tuple[Hash, Hash], expected: bool
) -> None:
    room = Room.build()
    first, second = (room.sign(kind, 5, each, 1) for kind, each in zip(kinds, hashes, strict=True))
    assert is_conflict(first, second) is is_conflict(second, first) is expected
    evidence = build_evidence(first, second)
    assert evidence == build_evidence(second, first)
    assert verify_evidence(room.config.bls, GENESIS_HASH, room.context.validators, evidence) is expected


def test_evidence_across_views_signers_or_with_a_bad_signature_proves_nothing() -> None:
    room = Room.build()
    first, second = room.sign(NOTARIZE, 5, A, 1), room.sign(NOTARIZE, 5, B, 1)
    good = build_evidence(first, second)
    bad = [
        VoteEvidence(good.second, good.first),
        build_evidence(first, room.sign(NOTARIZE, 6, B, 1)),
        build_evidence(first, room.sign(NOTARIZE, 5, B, 2)),
        build_evidence(first, replace(second, signature=bytes(96))),
        build_evidence(replace(first, signer=9), replace(second, signer=9)),
    ]
    validators = room.context.validators
    assert verify_evidence(room.config.bls, GENESIS_HASH, validators, good)
    assert not any(verify_evidence(room.config.bls, GENESIS_HASH, validators, each) for each in bad)
