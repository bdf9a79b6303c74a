"""The learning desk: what waits for a block, and what is forgotten."""

from __future__ import annotations

from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import sha256
from flockchain.primitives.learning import ScoreCommit
from flockchain.primitives.numbers import AccountId, NodeId, Round, TaskId
from flockchain.replica.learning_desk import LearningDesk


def build_commit(voter: bytes) -> ScoreCommit:
    return ScoreCommit(TaskId(0), Round(0), AccountId(sha256(voter)), sha256(b"vote"), bytes(64))


def test_an_item_that_a_block_had_to_leave_out_is_forgotten_and_the_others_stay() -> None:
    desk = LearningDesk(sha256(b"chain"), get_default_backend(), None)
    good, bad = build_commit(b"good"), build_commit(b"bad")
    assert desk.on_items([good, bad], NodeId(sha256(b"peer")))
    desk.on_built([good, bad], [good])
    waiting = [item for message in desk.get_greetings() for item in message.items]  # type: ignore[union-attr]
    assert waiting == [good]


def test_the_same_item_twice_is_no_news() -> None:
    desk = LearningDesk(sha256(b"chain"), get_default_backend(), None)
    item = build_commit(b"one")
    assert desk.on_items([item], NodeId(sha256(b"peer")))
    assert not desk.on_items([item], NodeId(sha256(b"peer")))
