"""Rewards, bonds and losses: who is paid, and never more than there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.learning import Phase, ReasonCode, UpdateRecord, UpdateStatus, Verdict
from flockchain.primitives.numbers import AccountId, Balance, Hash, MicroNats, Score
from flockchain.runtime.pallets.rewards import TIE_BAND, compute_contribution_weight, compute_trainer_rewards
from tests.kit.learning import LearningChain, build_update
from tests.kit.runtime_chain import FLOCK, get_account

OUT, BAD, PASS = UpdateStatus.UNAVAILABLE, UpdateStatus.MALFORMED, UpdateStatus.ABSTAIN
EVERYONE = range(4)


def get_payments(world: LearningChain, name: str, who: str) -> dict[bytes, int]:
    return {getattr(event, who): event.amount for event in world.chain.find_events(name)}


def advance_round(world: LearningChain, entries: Any) -> None:
    world.submit_all()
    world.judge(entries)
    world.advance(world.build_certificate(EVERYONE))


def build_case(scores: list[int], bond: int) -> tuple[list[UpdateRecord], list[Verdict]]:
    updates = [
        UpdateRecord(AccountId(bytes([n]) * 32), Hash(bytes([n]) * 32), 1, Hash(bytes(32)), Balance(bond))
        for n in range(len(scores))
    ]
    verdicts = [
        Verdict(update.trainer, update.blob, Score(score), MicroNats(0), ReasonCode.ACCEPTED)
        for update, score in zip(updates, scores, strict=True)
    ]
    return updates, verdicts


@pytest.mark.parametrize(
    ("score", "weight"),
    [(-(10**9), 0), (-1_001, 0), (-1_000, 1), (0, 1), (999, 1), (1_000, 2), (2_999, 2), (3_000, 3), (20_000, 11)],
)
def test_a_band_of_scores_has_one_weight(score: int, weight: int) -> None:
    assert compute_contribution_weight(Score(score)) == weight
    assert TIE_BAND == 2_000


def test_scores_inside_a_band_tie_and_more_bands_earn_more() -> None:
    updates, verdicts = build_case([0, 900, 1_000, 5_000, -5_000], 10**6)
    rewards = compute_trainer_rewards(Balance(800), updates, verdicts)
    assert rewards == (100, 100, 200, 400, 0)


def test_a_reward_is_capped_by_the_bond_and_rejected_updates_earn_nothing() -> None:
    updates, verdicts = build_case([0, 50_000], 60)
    assert compute_trainer_rewards(Balance(1_000), updates, verdicts) == (37, 60)
    low = [Verdict(v.trainer, v.blob, v.median_score, v.reputation, ReasonCode.LOW_REPUTATION) for v in verdicts]
    assert compute_trainer_rewards(Balance(1_000), updates, low) == (0, 0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20), st.integers(0, 10**24), st.integers(1, 10**24)
)
def test_rewards_never_exceed_the_budget_nor_a_bond(scores: list[int], budget: int, bond: int) -> None:
    rewards = compute_trainer_rewards(Balance(budget), *build_case(scores, bond))
    assert sum(rewards) <= budget
    assert all(0 <= reward <= bond for reward in rewards)


def test_a_round_pays_its_part_of_the_pool_to_members_and_trainers() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all((0, 0, 0))
    world.reveal_all((0, 0, 0))
    members = get_payments(world, "MemberPaid", "member")
    assert sorted(members.values()) == [300 * FLOCK * 3_000 // 10_000 // 4] * 4
    world.advance(world.build_certificate(EVERYONE))
    trainers = get_payments(world, "TrainerPaid", "trainer")
    assert sorted(trainers.values()) == [70 * FLOCK] * 3
    assert world.record.pool_left == 600 * FLOCK


def test_what_a_void_round_did_not_pay_is_there_for_the_rounds_that_follow() -> None:
    world = LearningChain.start(rounds=2)
    while world.record.round == 0:
        world.chain.advance()
    world.submit_all()
    world.commit_all((0, 0, 0))
    world.reveal_all((0, 0, 0))
    assert sum(get_payments(world, "MemberPaid", "member").values()) == 900 * FLOCK * 3 // 10


def test_members_are_paid_for_revealing_not_for_agreeing() -> None:
    """A member far from the median is paid as all others; one that abstains or is silent is not."""
    world = LearningChain.start()
    world.submit_all()
    votes = ((5, 5, 5), (5, 5, 5), (-900_000, 900_000, -900_000), (PASS, PASS, PASS))
    world.commit_all(*votes)
    committee = world.round.committee
    world.reveal_all(*votes)
    paid = get_payments(world, "MemberPaid", "member")
    assert set(paid) == {committee[0].account, committee[1].account, committee[2].account}
    assert len(set(paid.values())) == 1


def test_a_silent_members_part_stays_in_the_pool() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.commit_all((5, 5, 5), members=(0, 1, 2))
    world.reveal_all((5, 5, 5), members=(0, 1, 2))
    paid = get_payments(world, "MemberPaid", "member")
    assert sum(paid.values()) == 90 * FLOCK * 3 // 4
    assert world.record.pool_left == 900 * FLOCK - sum(paid.values())


def test_a_copied_update_earns_once_and_its_first_committer_has_it() -> None:
    world = LearningChain.start()
    data = build_update(world.spec.adapter, 1)
    for trainer in ("account-2", "account-0"):
        assert world.submit(trainer, data) == ""
    assert world.submit("account-1", build_update(world.spec.adapter, 2)) == ""
    world.judge((5_000, 5_000, 5_000))
    assert [verdict.reason for verdict in world.round.verdicts] == [
        ReasonCode.ACCEPTED, ReasonCode.DUPLICATE, ReasonCode.ACCEPTED
    ]  # fmt: skip
    world.advance(world.build_certificate(EVERYONE))
    trainers = get_payments(world, "TrainerPaid", "trainer")
    assert set(trainers) == {get_account("account-2"), get_account("account-1")}
    returned = {event.trainer: (event.returned, event.burned) for event in world.chain.find_events("BondReturned")}
    assert returned[get_account("account-0")] == (200 * FLOCK, 0)


def test_unavailable_bytes_cost_a_fee_and_malformed_ones_half_of_the_bond() -> None:
    world = LearningChain.start()
    issuance = world.chain.runtime.views.get_issuance
    world.submit_all()
    world.judge((OUT, BAD, 5))
    before = issuance(world.chain.store)
    world.advance(world.build_certificate(EVERYONE))
    bonds = [(event.returned, event.burned) for event in world.chain.find_events("BondReturned")]
    assert bonds == [(180 * FLOCK, 20 * FLOCK), (100 * FLOCK, 100 * FLOCK), (200 * FLOCK, 0)]
    minted = sum(event.amount for event in world.chain.find_events("Rewarded"))
    assert issuance(world.chain.store) == before - 120 * FLOCK + minted


def test_findings_cost_their_bond_even_if_nothing_is_accepted() -> None:
    world = LearningChain.start()
    world.submit_all()
    world.judge((BAD, BAD, BAD))
    assert world.get_round(0).phase is Phase.VOID
    assert [event.burned for event in world.chain.find_events("BondReturned")] == [100 * FLOCK] * 3


def test_the_last_round_may_pay_all_that_is_left_and_no_more() -> None:
    world = LearningChain.start(rounds=3, reward_pool=1_000, update_bond=10**9)
    for _ in range(3):
        advance_round(world, (0, 3_000, 20_000))
    assert world.record.pool_left == 0
    finished = world.chain.find_events("TaskFinished")[0]
    assert 0 <= finished.returned <= 10, "only what rounding left"


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_whatever_members_do_rounds_end_and_money_adds_up(data: st.DataObject) -> None:
    """The chain kit checks after every block that pots hold pools and bonds and that issuance is the sum of all."""
    entry = st.one_of(st.integers(-(10**5), 10**5), st.sampled_from(list(UpdateStatus)[1:]))
    world = LearningChain.start(rounds=2, submit_blocks=4, commit_blocks=2, reveal_blocks=2, aggregate_blocks=2)
    most_blocks = 2 * (4 + 1 + 2 + 1 + 2 + 2) + 1
    started = world.chain.height
    for _ in range(2):
        number = world.record.round
        submitted = data.draw(st.integers(0, 3))
        world.submit_all(submitted)
        votes = [data.draw(st.tuples(*[entry] * submitted)) for _ in EVERYONE]
        while world.record.round == number and world.record.status.name == "OPEN":
            record, items = world.round, []
            if not record.closed and record.phase is Phase.COMMIT:
                done = {commit.voter for commit in record.commits}
                waiting = [at for at in EVERYONE if record.committee[at].account not in done]
                chosen = data.draw(st.sets(st.sampled_from(waiting)))
                items = [world.build_commit(at, votes[at]) for at in sorted(chosen)]
            elif record.phase is Phase.REVEAL:
                done = {reveal.voter for reveal in record.reveals}
                committed = {commit.voter for commit in record.commits} - done
                waiting = [at for at in EVERYONE if record.committee[at].account in committed]
                chosen = data.draw(st.sets(st.sampled_from(waiting)))
                items = [world.build_reveal(at, votes[at]) for at in sorted(chosen)]
            elif record.phase is Phase.AGGREGATE and data.draw(st.booleans()):
                items = [world.build_certificate(EVERYONE)]
            world.advance(*items)
    assert world.chain.height - started <= most_blocks
    assert world.record.status.name == "FINISHED"
    assert world.chain.runtime.balances.get_pot(world.chain.store, "tasks") == 0
    assert world.chain.runtime.balances.get_pot(world.chain.store, "bonds") == 0
