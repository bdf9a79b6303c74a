"""The acceptance rule on the chain and its reference on the learning side are one rule.

A rehearsal calibrates a task's thresholds with the reference; the chain then judges with its own.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from flockchain.crypto.hashing import sha256
from flockchain.primitives.learning import (
    AcceptanceRule,
    ReasonCode,
    ScoreVote,
    TaskSpec,
    UpdateRecord,
    UpdateScore,
    UpdateStatus,
)
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Balance, MicroNats, Score, Stake
from flockchain.runtime.tally import Ballot, compute_verdicts
from flockchain_ml.aggregation.accumulated import compute_accepted, compute_reputations
from tests.kit.learning import build_spec

micro_nats = st.integers(-2_000_000, 2_000_000)
rounds = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.lists(micro_nats, min_size=count, max_size=count), st.lists(micro_nats, min_size=count, max_size=count)
    )
)


def build_task(cap: int, mass: int, floor: int) -> TaskSpec:
    return replace(
        build_spec(), rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(cap), mass_threshold=MicroNats(mass),
        reputation_floor=MicroNats(floor), max_updates=16,
    )  # fmt: skip


def build_update(index: int) -> UpdateRecord:
    digest = sha256(b"update %d" % index)
    return UpdateRecord(AccountId(sha256(b"trainer %d" % index)), digest, 100, digest, Balance(1))


@given(rounds, st.integers(0, 20_000), st.integers(0, 400_000), st.integers(-50_000, 0))
def test_the_chain_judges_as_the_reference_does(
    history: tuple[list[int], list[int]], cap: int, mass: int, floor: int
) -> None:
    before, scores = history
    updates = [build_update(index) for index in range(len(scores))]
    vote = ScoreVote(tuple(UpdateScore(UpdateStatus.SCORED, Score(score)) for score in scores), ZERO_HASH)
    ballots = [Ballot(Stake(100), vote) for _ in range(4)]
    verdicts = compute_verdicts(
        build_task(cap, mass, floor), updates, [MicroNats(value) for value in before], ballots, Stake(400)
    )
    reputations = compute_reputations(before, scores, cap)
    accepted = compute_accepted(reputations, mass, floor)
    assert tuple(verdict.reputation for verdict in verdicts) == reputations
    on_chain = tuple(index for index, verdict in enumerate(verdicts) if verdict.reason is ReasonCode.ACCEPTED)
    assert on_chain == accepted
