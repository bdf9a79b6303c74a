"""What dishonest validators can move: verdicts changed against an all-honest committee, by how they misbehave.

The scores are those of a real run's rounds; votes become verdicts by the chain's own tally (`runtime/tally.py`). With
`common-prompts` every honest voter has the same scores, as on the chain; with `private-prompts` each has scored
the round on prompts of its own, the design that the chain does not use. The updates of a round stay those of the real
run; reputations follow from the verdicts. Over a half of the stake is the control: there verdicts must change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from flockchain.primitives.learning import (
    ReasonCode,
    ScoreVote,
    TaskSpec,
    UpdateRecord,
    UpdateScore,
    UpdateStatus,
    Verdict,
)
from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Balance, Hash, MicroNats, Score, Stake
from flockchain.runtime.tally import Ballot, compute_verdicts
from flockchain_ml.aggregation import RoundInput
from flockchain_ml.data import compute_seed
from flockchain_ml.evaluation import EvaluateOrder, evaluate_updates
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.devnet import build_task
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import Watched, compute_figures
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.tables import build_markdown, format_values, get_axis, select
from flockchain_ml.models import LoadedModel
from flockchain_ml.rows import Row

__all__ = ["BEHAVIOURS", "COMMITTEE", "COMMON", "PRIVATE", "VALIDATORS", "Scene", "Trial", "run_trial"]

COMMON: Final = "common-prompts"
PRIVATE: Final = "private-prompts"
COMMITTEE: Final = 9  # of equal stake
_DISHONEST: Final = (3, 5)  # a third; a majority, the control
_STAKE: Final = Stake(10**9)

Scores = Sequence[int]  # one an update


@dataclass(frozen=True, slots=True)
class Scene:
    """What a dishonest voter knows: the honest scores, the last round's public medians, and who attacks."""

    honest: Scores
    last: Scores
    malicious: tuple[int, ...]
    rng: Random


@dataclass(frozen=True, slots=True)
class Trial:
    """Verdicts that differ from the all-honest committee's, over all rounds, and in which direction."""

    judged: int
    changed: int
    honest_lost: int  # honest updates that only the dishonest committee refuses
    malicious_won: int  # malicious ones that only it accepts


def _lie(scene: Scene) -> Scores:
    """Any number, each voter its own."""
    largest = 10 * max(1, *(abs(score) for score in scene.honest))
    return [scene.rng.randint(-largest, largest) for _ in scene.honest]


def _copy(scene: Scene) -> Scores:
    """The last round's medians: what is public before a reveal."""
    return scene.last


def _guess(scene: Scene) -> Scores:
    """No work done: the last round's medians, shuffled, so that they look like scores."""
    return scene.rng.sample(list(scene.last), len(scene.last))


def _invert(scene: Scene) -> Scores:
    return [-score for score in scene.honest]


def _promote(scene: Scene) -> Scores:
    """Together for the attackers: theirs are the best of all, else honest."""
    return [SCORE_ABS_MAX if at in scene.malicious else score for at, score in enumerate(scene.honest)]


def _demote(scene: Scene) -> Scores:
    """Together against one honest trainer, the first."""
    return [-SCORE_ABS_MAX if at == 0 else score for at, score in enumerate(scene.honest)]


BEHAVIOURS: Final[Mapping[str, Callable[[Scene], Scores]]] = {
    "lying": _lie,
    "copying": _copy,
    "guessing": _guess,
    "inverting": _invert,
    "colluding for the attackers": _promote,
    "colluding against one trainer": _demote,
}


def run_trial(
    task: TaskSpec,
    rounds: Sequence[Sequence[Scores]],
    malicious: tuple[int, ...],
    dishonest: int,
    behave: Callable[[Scene], Scores],
    seed: int,
) -> Trial:
    """`rounds`: of each round the honest scores of every member. The first `dishonest` members of them misbehave."""
    trainers = len(rounds[0][0])
    honest_before = before = (MicroNats(0),) * trainers
    last: Scores = (0,) * trainers
    judged = changed = honest_lost = malicious_won = 0
    for number, by_member in enumerate(rounds):
        updates = _build_records(number, trainers)
        expected = compute_verdicts(task, updates, honest_before, _build_ballots(by_member), _get_total(by_member))
        votes = [
            behave(Scene(own, last, malicious, Random(compute_seed(seed, "voter", number, member))))
            if member < dishonest else own
            for member, own in enumerate(by_member)
        ]  # fmt: skip
        found = compute_verdicts(task, updates, before, _build_ballots(votes), _get_total(votes))
        for at, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            is_malicious, is_in, was_in = at in malicious, _is_accepted(got), _is_accepted(wanted)
            judged += 1
            changed += got.reason is not wanted.reason
            honest_lost += was_in and not is_in and not is_malicious
            malicious_won += is_in and not was_in and is_malicious
        honest_before = tuple(verdict.reputation for verdict in expected)
        before = tuple(verdict.reputation for verdict in found)
        last = [verdict.median_score for verdict in found]
    return Trial(judged, changed, honest_lost, malicious_won)


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    scenario, contender = cell.scenario, CONTENDERS["ours"]
    watched = Watched(contender.rule)
    rounds = Rehearsal(loaded, scenario, cell.seed).run_contender(replace(contender, rule=watched))
    task = build_task(scenario, loaded, cell.seed, COMMITTEE)
    suite = scenario.build_suite(cell.seed)
    by_round = [
        [closed.scores] * COMMITTEE if cell.rule == COMMON else _score_privately(loaded, cell, suite, closed)
        for closed, _ in watched.seen
    ]
    malicious = tuple(trainer for trainer in range(scenario.trainers) if scenario.is_malicious(trainer))
    trials = [
        _describe(
            name, dishonest, run_trial(task, by_round, malicious, dishonest, behave, cell.seed), scenario.malicious
        )
        for dishonest in _DISHONEST
        for name, behave in BEHAVIOURS.items()
    ]
    return {**compute_figures(scenario, rounds), "committee": COMMITTEE, "trials": trials}


def _describe(behaviour: str, dishonest: int, trial: Trial, malicious: int) -> dict[str, Any]:
    return {
        "behaviour": behaviour, "dishonest": dishonest, "judged": trial.judged,
        "changed": trial.changed / trial.judged, "honest_lost": trial.honest_lost,
        "malicious_won": trial.malicious_won if malicious else None,
    }  # fmt: skip


def _score_privately(loaded: LoadedModel, cell: Cell, suite: Sequence[Row], closed: RoundInput) -> list[Scores]:
    """Every member's scores on as many prompts of its own as the common ones are."""
    found: list[Scores] = []
    for member in range(COMMITTEE):
        rng = Random(compute_seed(cell.seed, "private", closed.number, member))
        rows = tuple(rng.sample(list(suite), cell.scenario.prompts_per_round))
        order = EvaluateOrder(closed.spec, closed.lineage, closed.updates, rows, **CONTENDERS["ours"].evaluation)
        found.append(evaluate_updates(loaded, order).scores)
    return found


def _build_records(round: int, trainers: int) -> tuple[UpdateRecord, ...]:
    """The closed set as the tally sees it: who, and that no blob is another's."""
    return tuple(
        UpdateRecord(AccountId(_hash("trainer", at)), _hash("blob", round, at), 0, ZERO_HASH, Balance(0))
        for at in range(trainers)
    )


def _build_ballots(by_member: Sequence[Scores]) -> list[Ballot]:
    return [
        Ballot(_STAKE, ScoreVote(tuple(UpdateScore(UpdateStatus.SCORED, Score(score)) for score in own), ZERO_HASH))
        for own in by_member
    ]


def _get_total(by_member: Sequence[Scores]) -> Stake:
    return Stake(_STAKE * len(by_member))


def _is_accepted(verdict: Verdict) -> bool:
    return verdict.reason is ReasonCode.ACCEPTED


def _hash(*parts: object) -> Hash:
    return Hash(hashlib.sha256(repr(parts).encode()).digest())


def _build_tables(cells: Sequence[Document]) -> str:
    parts = []
    for rule in get_axis(cells, "rule"):
        for ratio in get_axis(select(cells, rule=rule), "malicious_percent"):
            own = select(cells, rule=rule, malicious_percent=ratio)
            rows = []
            for at, trial in enumerate(own[0]["trials"]):
                same = [cell["trials"][at] for cell in own]
                shares = [format_values([one[field] for one in same], 2) for field in ("honest_lost", "malicious_won")]
                changed = format_values([one["changed"] for one in same], 1, 100)
                held = f"{trial['dishonest']} of {own[0]['committee']}"
                rows.append([held, trial["behaviour"], changed, *shares])
            head = ["stake", "behaviour", "verdicts changed, %", "honest updates lost a run", "malicious let in a run"]
            parts.append(f"### {rule}, {ratio} % malicious trainers\n\n{build_markdown(head, rows)}")
    return "\n".join(parts) + (
        "\nAgainst the verdicts of the same committee, all honest. The rows with a majority are the control: whoever "
        "holds half of the stake decides.\n"
    )


VALIDATORS: Final = Experiment(
    name="validators",
    sentence="Verdicts that a third of the stake can change by lying, copying, guessing, inverting or colluding.",
    rules=(COMMON, PRIVATE),
    ratios=(0, 30),
    get_settings=lambda rule: (rule, CONTENDERS["ours"]),
    run_cell=_run_cell,
    build_tables=_build_tables,
)
