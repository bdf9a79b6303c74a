"""From a choice to cells."""

from __future__ import annotations

import pytest

from flockchain_ml.attacks import ATTACKS
from flockchain_ml.experiments.cell import NO_ATTACK
from flockchain_ml.experiments.grid import (
    EXPERIMENTS,
    FULL,
    AxisUnknown,
    Choice,
    build_cells,
    build_scenario,
    find_experiment,
)

FLOCK = EXPERIMENTS["flock"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_an_experiment_runs_by_itself_is_known(name: str) -> None:
    experiment = find_experiment(name)
    cells = build_cells(experiment, Choice(seeds=(1,)))
    assert experiment.name == name
    assert {cell.rule for cell in cells} == set(experiment.rules)
    assert {cell.attack for cell in cells} <= {*ATTACKS, NO_ATTACK}
    assert all(cell.scenario.rounds == experiment.rounds for cell in cells)
    assert len({cell.name for cell in cells}) == len(cells)


def test_a_run_without_attackers_is_shared_by_all_attacks() -> None:
    choice = Choice(seeds=(1, 2), rules=("fedavg", "ours"), attacks=("backdoor", "label-flip"), ratios=(0, 30))
    cells = build_cells(FLOCK, choice)
    assert [cell.seed for cell in cells] == [1] * 6 + [2] * 6
    assert sorted({cell.attack for cell in cells if not cell.malicious_percent}) == [NO_ATTACK]
    assert all(cell.scenario.malicious == cell.malicious_percent // 10 for cell in cells)


def test_an_attack_that_changes_the_task_keeps_a_run_without_attackers_of_its_own() -> None:
    cells = build_cells(FLOCK, Choice(seeds=(1,), rules=("fedavg",), attacks=("harmful-answers",), ratios=(0,)))
    assert [cell.attack for cell in cells] == ["harmful-answers"]


def test_up_to_nine_of_ten_trainers_attack() -> None:
    assert build_scenario("backdoor", 70, 5).malicious == 7
    assert build_scenario("backdoor", 90, 5).malicious == 9
    assert build_scenario("backdoor", 30, 40).suite_rows == 40 * FULL.prompts_per_round


@pytest.mark.parametrize(
    "choice",
    [
        Choice(seeds=(1,), rules=("no-such-rule",)),
        Choice(seeds=(1,), attacks=("no-such-attack",)),
        Choice(seeds=(1,), ratios=(15,)),
        Choice(seeds=(1,), ratios=(100,)),
    ],
)
def test_an_unknown_axis_is_refused(choice: Choice) -> None:
    with pytest.raises(AxisUnknown):
        build_cells(FLOCK, choice)
    with pytest.raises(AxisUnknown):
        find_experiment("no-such-experiment")
