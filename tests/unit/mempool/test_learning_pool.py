"""Learning items: nobody's place can be taken by another, and votes add up to a certificate that verifies."""

from __future__ import annotations

import pytest

from flockchain.crypto import bls
from flockchain.crypto.hashing import hash_tagged
from flockchain.crypto.signing import compute_aggregate_bytes
from flockchain.mempool import Judgement, LearningPool, LearningPoolFull, LearningPoolLimits
from flockchain.primitives.learning import (
    AggregateCertificate,
    AggregateVote,
    ScoreCommit,
    ScoreReveal,
    ScoreVote,
)
from flockchain.primitives.vote import decode_bitmap
from tests.kit.keys import build_ordered_keys, build_validator_set

GENESIS = hash_tagged("test", b"genesis")
RESULTS, AGGREGATE = hash_tagged("test", b"results"), hash_tagged("test", b"aggregate")
COMMITTEE = build_validator_set().validators
KEYS = build_ordered_keys()
PEERS = tuple(bytes([number]) * 32 for number in (1, 2, 3))


def commit(voter=0, task=1, round_=0, word=b"word"):
    return ScoreCommit(task, round_, COMMITTEE[voter].account, hash_tagged("test", word), bytes(64))


def reveal(voter=0):
    return ScoreReveal(1, 0, COMMITTEE[voter].account, ScoreVote((), bytes(32)), bytes(32), (), bytes(64))


def vote(voter, *, aggregate=AGGREGATE, results=RESULTS, signature=None):
    message = compute_aggregate_bytes(GENESIS, 1, 0, results, aggregate, 77)
    signed = signature or bls.sign(KEYS[voter].certificate_secret, message)
    return AggregateVote(1, 0, results, aggregate, 77, COMMITTEE[voter].account, signed)


def certify(pool):
    return pool.build_certificate(bls.get_default_backend(), GENESIS, 1, 0, RESULTS, COMMITTEE)


def judge_all(judgement):
    return lambda item: judgement


def test_items_come_out_ordered_by_task_round_kind_and_voter():
    pool = LearningPool()
    items = [commit(0), commit(1), reveal(0), commit(0, round_=1), commit(0, task=2)]
    for item in reversed(items):
        assert pool.add_item(item, PEERS[0])
    expected = sorted(items[:2], key=lambda item: item.voter) + items[2:]
    assert pool.take(judge_all(Judgement.GOOD)) == expected
    assert pool.take(judge_all(Judgement.GOOD), max_items=2) == expected[:2]
    assert len(pool) == 5


def test_an_item_from_two_sources_waits_once():
    pool = LearningPool()
    assert pool.add_item(commit(), PEERS[0])
    assert not pool.add_item(commit(), PEERS[1])
    assert len(pool) == 1


def test_garbage_in_a_voters_name_takes_only_its_senders_place():
    pool = LearningPool()
    assert pool.add_item(commit(word=b"garbage"), PEERS[0])
    assert not pool.add_item(commit(word=b"more garbage"), PEERS[0])
    assert pool.add_item(commit(word=b"real"), PEERS[1])
    assert pool.take(judge_all(Judgement.GOOD)) == [commit(word=b"garbage"), commit(word=b"real")]
    first_words = pool.take(judge_all(Judgement.GOOD), max_items=1)
    assert first_words == [commit(word=b"garbage")]


def test_second_words_come_after_all_first_words():
    pool = LearningPool()
    for word, source in ((b"a", PEERS[0]), (b"b", PEERS[1])):
        pool.add_item(commit(0, word=word), source)
    pool.add_item(commit(1), PEERS[2])
    words = pool.take(judge_all(Judgement.GOOD))
    assert {words[0].voter, words[1].voter} == {COMMITTEE[0].account, COMMITTEE[1].account}
    assert words[2] == commit(0, word=b"b")


def test_what_is_for_later_stays_and_what_is_never_good_is_forgotten():
    pool = LearningPool()
    pool.add_item(commit(), None)
    assert pool.take(judge_all(Judgement.LATER)) == []
    assert len(pool) == 1
    assert pool.take(judge_all(Judgement.NEVER)) == []
    assert len(pool) == 0
    assert pool.add_item(commit(), None)


def test_a_source_has_its_cap_and_others_do_not_feel_it():
    pool = LearningPool(LearningPoolLimits(per_source_max=2))
    pool.add_item(commit(0), PEERS[0])
    pool.add_item(commit(1), PEERS[0])
    before = pool.get_items()
    with pytest.raises(LearningPoolFull):
        pool.add_item(commit(2), PEERS[0])
    assert pool.get_items() == before
    assert pool.add_item(commit(2), PEERS[1])


def test_a_round_that_is_over_is_forgotten():
    pool = LearningPool()
    pool.add_item(commit(round_=0), None)
    pool.add_item(commit(round_=1), None)
    pool.forget(lambda task, round_: round_ == 0)
    assert pool.get_items() == [commit(round_=1)]


def test_what_a_neighbour_brought_stays_when_it_leaves():
    pool = LearningPool(LearningPoolLimits(per_source_max=1))
    pool.add_item(commit(0), PEERS[0])
    pool.on_source_gone(PEERS[0])
    assert pool.get_items() == [commit(0)]
    assert pool.add_item(commit(1), PEERS[0])


def test_votes_of_more_than_two_thirds_make_a_certificate_that_verifies():
    pool = LearningPool()
    for voter in (0, 1):
        pool.add_vote(vote(voter), None)
    assert certify(pool) is None
    pool.add_vote(vote(3), PEERS[0])
    certificate = certify(pool)
    assert isinstance(certificate, AggregateCertificate)
    assert decode_bitmap(certificate.signers) == (0, 1, 3)
    message = compute_aggregate_bytes(GENESIS, 1, 0, RESULTS, AGGREGATE, 77)
    keys = [COMMITTEE[index].certificate_key for index in (0, 1, 3)]
    assert bls.fast_aggregate_verify(keys, message, certificate.signature)
    assert pool.get_rounds_with_votes() == [(1, 0)]


def test_a_vote_with_a_wrong_signature_neither_counts_nor_stands_in_the_way():
    pool = LearningPool()
    for voter in (0, 1):
        pool.add_vote(vote(voter), None)
    forged = vote(2, signature=bls.sign(KEYS[2].certificate_secret, b"something else"))
    pool.add_vote(forged, PEERS[0])
    assert certify(pool) is None
    assert forged not in pool.get_items()
    pool.add_vote(vote(2, signature=b"\xff" * 96), PEERS[1])
    assert certify(pool) is None
    pool.add_vote(vote(2), PEERS[2])
    assert decode_bitmap(certify(pool).signers) == (0, 1, 2)


def test_a_forged_vote_beside_the_real_one_does_not_hide_it():
    pool = LearningPool()
    for voter in (0, 1, 2):
        pool.add_vote(vote(voter), PEERS[1])
    pool.add_vote(vote(2, signature=b"\xff" * 96), PEERS[0])
    assert decode_bitmap(certify(pool).signers) == (0, 1, 2)


def test_votes_of_strangers_and_votes_for_other_results_do_not_count():
    pool = LearningPool()
    other = hash_tagged("test", b"other")
    for voter in (0, 1):
        pool.add_vote(vote(voter), None)
    pool.add_vote(vote(2, results=other), None)
    pool.add_vote(vote(3, aggregate=other), None)
    stranger = AggregateVote(1, 0, RESULTS, AGGREGATE, 77, bytes(32), bytes(96))
    pool.add_vote(stranger, None)
    assert certify(pool) is None
    assert stranger not in pool.get_items()
