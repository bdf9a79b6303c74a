"""Every defence of the list is a pure function of a round and its memory, and the memory has canonical bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode
from flockchain_ml.aggregation import RULES, RoundInput
from flockchain_ml.defences import CLAIMED, DEFENCES, Claim, Defence, Reading, RoundView, Submission
from tests.kit.learning import build_adapter, build_update

pytestmark = pytest.mark.parametrize("defence", DEFENCES.values(), ids=DEFENCES)

SCORE = st.floats(0, 1)
SCORES = st.lists(SCORE, max_size=4).map(tuple)
CLAIM = st.builds(Claim, st.integers(0, 500), st.integers(1, 64), SCORES, st.none() | SCORES)


def build_tensors(seed: int) -> dict[str, np.ndarray]:
    return {"layers.0.q.lora_B": np.random.default_rng(seed).integers(-999, 1000, (6, 2)).astype(np.int16)}


SUBMISSION = st.builds(
    Submission,
    trainer=st.binary(min_size=1, max_size=2),
    claim=st.none() | CLAIM,
    upload_score=st.none() | SCORE,
    tensors=st.integers(0, 50).map(build_tensors),
    vote=st.integers(-100_000, 100_000),
)
VIEW = st.builds(
    RoundView,
    round=st.integers(0, 30),
    submissions=st.lists(SUBMISSION, max_size=6, unique_by=lambda one: one.trainer).map(tuple),
)
VIEWS = st.lists(VIEW, min_size=1, max_size=6)


def test_it_is_listed_under_its_own_name(defence: Defence[Any]) -> None:
    assert DEFENCES[defence.name] is defence


@given(views=VIEWS)
@settings(max_examples=60)
def test_it_gives_every_update_one_finite_weight_that_is_not_negative_and_repeats_itself(
    defence: Defence[Any], views: list[RoundView]
) -> None:
    state = defence.get_initial()
    for view in views:
        before = defence.codec.encode(state)
        weights, after = defence.weigh(view, state)
        assert len(weights) == len(view.submissions)
        assert all(math.isfinite(weight) and weight >= 0 for weight in weights)
        assert defence.weigh(view, defence.codec.decode(before)) == (weights, after)  # from bytes, as after a restart
        assert defence.codec.encode(state) == before
        assert defence.codec.decode(defence.codec.encode(after)) == after
        state = after


@given(views=VIEWS, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_the_order_of_updates_changes_nothing_but_the_order_of_weights(
    defence: Defence[Any], views: list[RoundView], seed: int
) -> None:
    rng, state, moved_state = np.random.default_rng(seed), defence.get_initial(), defence.get_initial()
    for view in views:
        order = [int(at) for at in rng.permutation(len(view.submissions))]
        moved = RoundView(view.round, tuple(view.submissions[at] for at in order))
        weights, state = defence.weigh(view, state)
        moved_weights, moved_state = defence.weigh(moved, moved_state)
        assert moved_weights == pytest.approx(tuple(weights[at] for at in order))
        assert moved_state == state


@given(view=VIEW)
@settings(max_examples=30)
def test_a_damaged_memory_is_refused_or_canonical(defence: Defence[Any], view: RoundView) -> None:
    data = defence.codec.encode(defence.weigh(view, defence.get_initial())[1])
    with pytest.raises(InvalidInput):
        defence.codec.decode(data + b"\0")
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x81]) + data[at + 1 :]
        try:
            found = defence.codec.decode(changed)
        except InvalidInput:
            continue
        assert defence.codec.encode(found) == changed


def test_an_honest_round_is_weighed_evenly(defence: Defence[Any]) -> None:
    claim = Claim(160, 16, (0.1,) * 10, (0.1,) * 10)
    tensors = build_tensors(1)
    submissions = tuple(Submission(bytes([at]), claim, 0.1, tensors, 500) for at in range(1, 6))
    weights, _ = defence.weigh(RoundView(0, submissions), defence.get_initial())
    assert weights == pytest.approx((weights[0],) * 5)
    assert weights[0] > 0


def test_samples_are_in_the_weights_of_those_that_say_so_and_of_no_other(defence: Defence[Any]) -> None:
    def weigh(samples: int) -> tuple[float, ...]:
        claims = [Claim(160, 16, (0.1,), (0.1,)), Claim(samples, 16, (0.1,), (0.1,))]
        submissions = tuple(Submission(bytes([1 + at]), claims[at], 0.1, build_tensors(1), 100) for at in range(2))
        return defence.weigh(RoundView(25, submissions), defence.get_initial())[0]

    small, large = weigh(160), weigh(320)
    assert small[1] == pytest.approx(small[0])
    assert large[1] == pytest.approx((2 if defence.weighs_samples else 1) * large[0])


def test_who_reads_no_claims_cannot_be_told_anything(defence: Defence[Any]) -> None:
    rng = np.random.default_rng(3)
    uploads = [build_tensors(int(seed)) for seed in rng.integers(0, 99, 4)]
    votes = [1000, -2000, 500, 0]

    def weigh(claims: list[Claim]) -> tuple[float, ...]:
        submissions = tuple(Submission(bytes([1 + at]), claims[at], 0.3, uploads[at], votes[at]) for at in range(4))
        return defence.weigh(RoundView(0, submissions), defence.get_initial())[0]

    plain = weigh([Claim(160, 16, (0.9,), (0.9,))] * 4)
    boastful = weigh([*[Claim(160, 16, (0.9,), (0.9,))] * 3, Claim(16_000, 16, (0.0,), (0.0,))])
    assert (plain == boastful) is not bool(defence.reads & CLAIMED)


@given(views=VIEWS)
@settings(max_examples=40)
def test_what_it_does_not_say_that_it_reads_moves_nothing(defence: Defence[Any], views: list[RoundView]) -> None:
    def strip(one: Submission) -> Submission:
        claim = None
        if one.claim is not None and defence.reads & CLAIMED:
            claim = Claim(
                one.claim.samples, one.claim.batch_rows,
                one.claim.step_scores if Reading.STEP_SCORES in defence.reads else (),
                one.claim.shadow_scores if Reading.SHADOW_SCORES in defence.reads else None,
            )  # fmt: skip
        return Submission(
            one.trainer, claim,
            one.upload_score if Reading.UPLOAD_SCORE in defence.reads else None,
            one.tensors if Reading.TENSORS in defence.reads else None,
            one.vote if Reading.VOTE in defence.reads else 0,
        )  # fmt: skip

    state = stripped_state = defence.get_initial()
    for view in views:
        stripped = RoundView(view.round, tuple(strip(one) for one in view.submissions))
        weights, state = defence.weigh(view, state)
        stripped_weights, stripped_state = defence.weigh(stripped, stripped_state)
        assert stripped_weights == weights
        assert stripped_state == state


@pytest.mark.parametrize("mode", AdapterMode)
def test_its_weights_are_what_aggregation_rules_take(defence: Defence[Any], mode: AdapterMode) -> None:
    spec = build_adapter(mode)
    updates = tuple(build_update(spec, seed) for seed in range(4))
    claims = [Claim(160, 16, (score,), (score,)) for score in (0.1, 0.2, 0.99, 0.1)]
    submissions = tuple(
        Submission(bytes([1 + at]), claims[at], claims[at].step_scores[0], build_tensors(at), 100) for at in range(4)
    )
    weights, _ = defence.weigh(RoundView(0, submissions), defence.get_initial())
    zeros = (0,) * 4
    outcome, _ = RULES["fedavg"].aggregate(RoundInput(spec, (), updates, zeros, zeros, weights=weights))
    assert outcome.aggregate is not None
