"""Safe-FedLLM's levels: every formula by hand, and their memories as state machines."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flockchain_ml.defences import (
    Claim,
    RoundView,
    SafeClient,
    SafeEvidence,
    SafeShadow,
    SafeStep,
    Source,
    Submission,
    ViewInvalid,
)
from flockchain_ml.defences.safe_client import compute_suspicion
from flockchain_ml.defences.safe_evidence import Standing
from flockchain_ml.defences.weighing import compute_harm, compute_shadow_trust, compute_weights

GOOD, BAD = 0.1, 0.95
HONEST = Submission(b"honest", Claim(160, 16, (GOOD,) * 10, (GOOD,) * 10))


def build_claim(bad_steps: int, steps: int = 10, *, bad_shadow: int | None = None, samples: int = 160) -> Claim:
    """A claim whose last steps are the bad ones."""
    shadow = None if bad_shadow is None else (GOOD,) * (steps - bad_shadow) + (BAD,) * bad_shadow
    return Claim(samples, 16, (GOOD,) * (steps - bad_steps) + (BAD,) * bad_steps, shadow)


def get_trust(weights: tuple[float, ...], samples: int = 160) -> float:
    """w of the second of two clients with as many samples, from a round in which the first is `HONEST` with w = 1."""
    assert samples == HONEST.samples
    return weights[1] / weights[0]


def view(round: int, *submissions: Submission) -> RoundView:
    return RoundView(round, submissions)


# Harm, weights and the gate


def test_harm_is_the_samples_behind_the_harmful_steps_and_never_more_than_there_are() -> None:
    assert compute_harm(build_claim(3), build_claim(3).step_scores) == 3 * 16
    assert compute_harm(Claim(40, 16), (0.8, 0.8, 0.8)) == 40  # 0.8 itself is harm; 48 samples are more than 40
    assert compute_harm(Claim(40, 16), (0.7999,) * 3) == 0
    assert compute_harm(None, ()) == 0


def test_weights_are_samples_times_trust_normalised() -> None:
    one, other = replace(HONEST, claim=Claim(100, 1)), Submission(b"other", Claim(300, 1))
    assert compute_weights(view(0, one, other), (0.9, 0.1)) == pytest.approx((90 / 120, 30 / 120))
    assert compute_weights(view(0, one, Submission(b"silent")), (1.0, 1.0)) == (1.0, 0.0)


def test_a_round_whose_mean_trust_is_under_the_gate_is_dropped() -> None:
    round = view(0, HONEST, Submission(b"other", Claim(160, 16)))
    assert compute_weights(round, (0.39, 0.0)) == (0.0, 0.0)
    assert sum(compute_weights(round, (0.4, 0.0))) == pytest.approx(1.0)  # exactly 0.2 passes
    assert compute_weights(view(0), ()) == ()


def test_all_clients_malicious_stall_the_training() -> None:
    submissions = [Submission(bytes([at]), build_claim(0, bad_shadow=10)) for at in range(1, 5)]
    assert SafeShadow().weigh(view(0, *submissions), SafeShadow().get_initial())[0] == (0.0,) * 4


def test_a_view_and_a_claim_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ViewInvalid):
        view(0, HONEST, HONEST)
    with pytest.raises(ViewInvalid):
        view(-1)
    for wrong in ({"samples": -1}, {"batch_rows": 0}, {"step_scores": (1.5,)}, {"shadow_scores": (math.nan,)}):
        with pytest.raises(ViewInvalid):
            replace(Claim(1, 1), **wrong)


# Step level


def test_a_step_reputation_is_the_faded_count_of_benign_and_harmful_samples() -> None:
    defence = SafeStep()
    attacker = Submission(b"other", build_claim(6))
    weights, state = defence.weigh(view(0, attacker), defence.get_initial())
    (record,) = state.records
    assert (record.alpha, record.beta) == (0.95 + 64, 0.95 + 96)
    assert weights == (1.0,)  # alone
    _, state = defence.weigh(view(1, replace(attacker, claim=build_claim(0))), state)
    (record,) = state.records
    assert record.alpha == pytest.approx(0.95 * 64.95 + 160)
    assert record.beta == pytest.approx(0.95 * 96.95)
    assert record.trust == pytest.approx(221.7025 / (221.7025 + 92.1025))


def test_the_step_level_is_frozen_after_twenty_rounds_and_late_comers_have_one_half() -> None:
    defence, state = SafeStep(), SafeStep().get_initial()
    for round in range(20):
        weights, state = defence.weigh(view(round, HONEST, Submission(b"sleeper", build_claim(0))), state)
    assert weights[1] == weights[0]
    frozen = state
    late = Submission(b"late", build_claim(0))
    weights, state = defence.weigh(view(20, HONEST, Submission(b"sleeper", build_claim(10)), late), state)
    assert state == frozen
    assert weights[1] == weights[0]  # what LEARNING calls a sleeper: bad rounds cost nothing any more
    trust = frozen.get_by_trainer()[b"honest"].trust
    assert weights[2] / weights[0] == pytest.approx(0.5 / trust)


# Client level


def test_suspicion_is_two_sigmoids_that_meet_at_the_threshold() -> None:
    assert compute_suspicion(0.4) == pytest.approx(0.25)
    assert compute_suspicion(0.0) == pytest.approx(0.5 / (1 + math.exp(5)))
    assert compute_suspicion(0.8) == pytest.approx(0.5 / (1 + math.exp(-5)))
    assert compute_suspicion(0.9) == pytest.approx(0.75)
    assert compute_suspicion(1.0) == pytest.approx(0.5 + 0.5 / (1 + math.exp(-5)))
    assert compute_suspicion(0.8 + 1e-9) == pytest.approx(0.5 + 0.5 / (1 + math.exp(5)), abs=1e-6)


@pytest.mark.parametrize("source", Source)
def test_client_trust_is_the_running_mean_over_the_last_steps(source: Source) -> None:
    defence = SafeClient(source)
    scores = (0.4, 0.9, 1.0)
    state = defence.get_initial()
    for round, score in enumerate(scores):
        claim = Claim(160, 16, (0.0, score)) if source is Source.CLAIM else Claim(160, 16, (0.0, 0.0))
        upload = score if source is Source.UPLOAD else 0.0
        _, state = defence.weigh(view(round, Submission(b"one", claim, upload)), state)
    (record,) = state.records
    assert record.rounds == 3
    assert record.mean == pytest.approx(sum(1 - compute_suspicion(score) for score in scores) / 3)


@pytest.mark.parametrize("source", Source)
def test_a_missing_last_step_counts_as_one(source: Source) -> None:
    defence = SafeClient(source)
    _, state = defence.weigh(view(0, Submission(b"one", Claim(160, 16))), defence.get_initial())
    assert state.records[0].mean == pytest.approx(1 - compute_suspicion(1.0))


def test_who_claims_a_clean_last_step_deceives_the_claim_and_not_the_upload() -> None:
    liar = Submission(b"liar", Claim(160, 16, (0.0,)), upload_score=0.99)
    honest = Submission(b"honest", Claim(160, 16, (0.0,)), upload_score=0.0)
    believed, _ = SafeClient().weigh(view(0, honest, liar), SafeClient().get_initial())
    checked, _ = SafeClient(Source.UPLOAD).weigh(view(0, honest, liar), SafeClient().get_initial())
    assert believed[1] == believed[0]
    assert checked[1] < 0.05 * checked[0]


def test_the_client_level_is_frozen_after_twenty_rounds_and_late_comers_have_one() -> None:
    defence, state = SafeClient(), SafeClient().get_initial()
    for round in range(20):
        _, state = defence.weigh(view(round, Submission(b"one", Claim(160, 16, (0.9,)))), state)
    late = Submission(b"late", Claim(160, 16, (1.0,)))
    weights, after = defence.weigh(view(20, Submission(b"one", Claim(160, 16, (0.0,))), late), state)
    assert after == state
    assert weights == pytest.approx((0.25 / 1.25, 1 / 1.25))


# Shadow level


@pytest.mark.parametrize(("bad", "trust"), [(0, 1.0), (5, 0.5**7), (1, 0.9**7), (10, 0.0)])
def test_shadow_trust_is_the_seventh_power_of_the_harmless_share(bad: int, trust: float) -> None:
    assert compute_shadow_trust(build_claim(0, bad_shadow=bad)) == pytest.approx(trust)
    weights, _ = SafeShadow().weigh(
        view(30, HONEST, Submission(b"x", build_claim(0, bad_shadow=bad))), SafeShadow().get_initial()
    )
    assert get_trust(weights) == pytest.approx(trust)


def test_a_shadow_that_was_not_sent_is_not_harmful() -> None:
    assert compute_shadow_trust(build_claim(10)) == 1.0
    assert compute_shadow_trust(None) == 1.0


# Evidence level


def run_evidence(shadows: list[int | None]) -> tuple[list[float], list[Standing], SafeEvidence]:
    """The trusts and standings of one client, round by round, beside an honest one."""
    defence = SafeEvidence()
    state, trusts, standings = defence.get_initial(), [], []
    for round, bad in enumerate(shadows):
        subject = Submission(b"x", build_claim(0, bad_shadow=bad))
        weights, state = defence.weigh(view(round, HONEST, subject), state)
        trusts.append(get_trust(weights))
        standings.append(state.get_by_trainer()[b"x"].standing)
    return trusts, standings, defence


def test_three_malicious_shadows_are_for_ever() -> None:
    trusts, standings, _ = run_evidence([4, 4, 4, 0, 0, 0, 0, 0, 0, 0])
    assert trusts[:2] == pytest.approx([0.6**7, 0.6**7])
    assert trusts[2:] == [0.0] * 8
    assert standings[2:] == [Standing.MALICIOUS] * 8


def test_three_benign_shadows_freeze_their_mean() -> None:
    defence, state = SafeEvidence(), SafeEvidence().get_initial()
    claims = [Claim(160, 16, (), (BAD,) * bad + (GOOD,) * (10 - bad)) for bad in (0, 1, 2)]  # the last step is good
    for round, claim in enumerate(claims):
        weights, state = defence.weigh(view(round, HONEST, Submission(b"x", claim)), state)
    assert get_trust(weights) == pytest.approx((1 + 0.9**7 + 0.8**7) / 3)
    weights, state = defence.weigh(view(3, HONEST, Submission(b"x", build_claim(0, bad_shadow=10))), state)
    assert get_trust(weights) == pytest.approx((1 + 0.9**7 + 0.8**7) / 3)  # not an audit: nobody looks


def test_mixed_evidence_starts_again_from_nothing() -> None:
    _, standings, _ = run_evidence([4, 0, 0, 0, 0, 0])
    assert standings == [Standing.OPEN] * 5 + [Standing.BENIGN]


def test_a_missing_shadow_counts_as_benign() -> None:
    trusts, standings, _ = run_evidence([None, None, None])
    assert trusts == [1.0] * 3
    assert standings[-1] is Standing.BENIGN


def test_every_fifth_participation_of_the_frozen_is_an_audit_and_a_failed_one_starts_evidence_again() -> None:
    trusts, standings, _ = run_evidence([0, 0, 0, 10, 10, 10, 10, 0, 10, 10, 10, 10, 10, 10])
    assert trusts[3:12] == [1.0] * 9  # bad between the audits, clean at the first of them
    assert trusts[12] == 0.0  # the second audit
    assert standings[7] is Standing.BENIGN
    assert standings[12:] == [Standing.OPEN] * 2
    assert trusts[13] == 0.0  # (1 − 1)⁷: evidence is collected again


class EvidenceMachine(RuleBasedStateMachine):
    """One client at the evidence level beside a plain account of what ought to be known about it."""

    @initialize()
    def start(self) -> None:
        self.defence = SafeEvidence()
        self.state = self.defence.get_initial()
        self.round = 0
        self.open: list[bool] = []
        self.settled: bool | None = None
        self.waited = 0

    @rule(is_bad=st.booleans(), is_absent=st.booleans())
    def participate(self, is_bad: bool, is_absent: bool) -> None:
        due = self.defence.is_shadow_due(self.state, b"x")
        assert due is (self.settled is None or (self.settled is False and self.waited == 4))
        claim = build_claim(0, bad_shadow=None if is_absent else 10 * is_bad)
        weights, self.state = self.defence.weigh(view(self.round, HONEST, Submission(b"x", claim)), self.state)
        self.round += 1
        assert get_trust(weights) == pytest.approx(self._expect(is_bad and not is_absent))

    @rule()
    def stay_away(self) -> None:
        _, self.state = self.defence.weigh(view(self.round, HONEST), self.state)
        self.round += 1

    @invariant()
    def the_memory_survives_its_bytes(self) -> None:
        if hasattr(self, "state"):
            codec = self.defence.codec
            assert codec.decode(codec.encode(self.state)) == self.state

    def _expect(self, is_bad: bool) -> float:
        if self.settled is True:
            return 0.0
        if self.settled is False:
            self.waited += 1
            if self.waited < 5:
                return 1.0
            self.waited = 0
            if is_bad:
                self.settled, self.open = None, []
                return 0.0
            return 1.0
        self.open.append(is_bad)
        if len(self.open) == 3:
            if len(set(self.open)) == 1:
                self.settled, self.waited = is_bad, 0
            self.open = []
        return 0.0 if is_bad else 1.0


TestEvidenceMachine = EvidenceMachine.TestCase
TestEvidenceMachine.settings = settings(max_examples=60, stateful_step_count=40)


@pytest.mark.parametrize("defence", [SafeStep(), SafeClient(), SafeClient(Source.UPLOAD)], ids=lambda d: d.name)
@given(data=st.data())
@settings(max_examples=30)
def test_no_round_from_the_twentieth_on_changes_what_is_remembered(
    defence: SafeStep | SafeClient, data: st.DataObject
) -> None:
    rounds = data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10), st.booleans()), max_size=12))
    state = defence.get_initial()
    for round, bad, is_known in sorted(rounds):
        name = b"x" if is_known else bytes([1 + round])
        _, after = defence.weigh(view(round, HONEST, Submission(name, build_claim(bad), bad / 10)), state)
        assert (after == state) is (round >= 20)
        state = after
