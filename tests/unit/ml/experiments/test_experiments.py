"""Each experiment end to end at tiny settings, and the parts that decide what its table says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain.runtime import tally
from flockchain_ml.experiments import validators
from flockchain_ml.experiments.__main__ import main
from flockchain_ml.experiments.cost import compute_agreement, compute_chain_bytes, describe_devnet_rounds
from flockchain_ml.experiments.determinism import NO_DEVICE, compute_spread
from flockchain_ml.experiments.devnet import build_task
from flockchain_ml.experiments.grid import EXPERIMENTS, QUICK
from flockchain_ml.experiments.validators import BEHAVIOURS, COMMITTEE, run_trial
from flockchain_ml.models import LoadedModel

ROOT = Path(__file__).parents[4]
DEVNET_REPORT = ROOT / "docs/results/devnet/report.json"


# What is asked of each, so that a run takes seconds. Of others: one rule, one attack, the largest share of attackers.
ASKED = {
    "flock": ["--seeds", "2", "--rules", "fedavg,fedadam,ours", "--ratios", "0,50", "--attacks", "backdoor"],
    "cross-domain": ["--seeds", "1"],
    "aggregation": ["--seeds", "1"],
    "cost": ["--seeds", "1", "--devnet-report", str(DEVNET_REPORT)],
    "determinism": ["--seeds", "1"],
    "validators": ["--seeds", "1", "--ratios", "30"],
}


@dataclass
class QuickRuns:
    """Every experiment's tiny run, done when a test first asks for it."""

    folder: Path
    done: set[str] = field(default_factory=set)

    def get(self, name: str) -> tuple[list[dict[str, Any]], str]:
        """Its cells and its tables."""
        out = self.folder / name
        if name not in self.done:
            assert main(self.get_command(name)) == 0
            self.done.add(name)
        files = sorted((out / "cells").iterdir())
        return [json.loads(file.read_bytes()) for file in files], (out / "tables.md").read_text()

    def get_command(self, name: str) -> list[str]:
        one = EXPERIMENTS[name]
        fewest = [
            "--seeds",
            "1",
            "--rules",
            one.rules[-1],
            "--attacks",
            one.attacks[0],
            "--ratios",
            str(one.ratios[-1]),
        ]
        return ["run", name, "--quick", "--out", str(self.folder / name), *ASKED.get(name, fewest)]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> QuickRuns:
    return QuickRuns(tmp_path_factory.mktemp("quick"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_gives_cells_tables_and_plots_and_does_nothing_twice(
    name: str, quick: QuickRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, text = quick.get(name)
    assert cells
    assert f"## {name}\n\n{EXPERIMENTS[name].sentence}" in text
    capsys.readouterr()
    assert main([*quick.get_command(name), "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["skipped"], told["failed"]) == (0, len(cells), 0)
    assert quick.get(name) == (cells, text)
    plots = [Path(file) for file in told["files"][1:]]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in plots)


def test_flock_runs_every_rule_with_and_without_attackers(quick: QuickRuns) -> None:
    cells, text = quick.get("flock")
    assert len(cells) == 12
    assert {cell["attack_success_rate"] is None for cell in cells if not cell["malicious_percent"]} == {True}
    assert {cell["attack_success_rate"] is None for cell in cells if cell["malicious_percent"]} == {False}
    assert all(0 <= cell["accuracy"] <= 1 and cell["honest_rejected"] == 0 for cell in cells)
    assert len(cells[0]["rounds"]) == 1
    assert "| 50 % | fedadam |" in text
    assert (quick.folder / "flock" / "flock-backdoor-success.png").exists()


def test_cross_domain_sets_the_shared_model_against_each_trainer(quick: QuickRuns) -> None:
    (cell,), text = quick.get("cross-domain")
    assert len(cell["alone_by_domain"]) == QUICK.trainers
    assert cell["main_domains"]["5"] == "units"
    assert cell["lead"] == pytest.approx(cell["shared_average"] - cell["best_specialist_average"])
    assert "| alone, strings |" in text


def test_aggregation_finds_the_exact_ways_exact_and_the_wrong_one_wrong(quick: QuickRuns) -> None:
    cells, text = quick.get("aggregation")
    errors = {cell["rule"]: cell["relative_errors"][0] for cell in cells}
    assert errors["stacking"] < 1e-5
    assert errors["ffa"] < 0.05  # only the rounding of tiny updates
    assert errors["stacking"] < errors["product-svd"] < errors["separate-means"]
    sizes = {cell["rule"]: cell["aggregate_bytes"] for cell in cells}
    assert sizes["stacking"] > 5 * sizes["product-svd"]
    assert "separate-means" in text


def test_cost_measures_each_part_at_two_sizes(quick: QuickRuns) -> None:
    (cell,), text = quick.get("cost")
    small, large = cell["sizes"]
    assert (small["updates"], large["updates"]) == (10, 100)
    assert all(seconds >= 0 for size in cell["sizes"] for seconds in size["seconds"].values())
    assert large["cost_ratio"] > small["cost_ratio"] > 1
    assert small["pearson"] > 0.9
    assert large["bytes"]["download_of_one_validator"] == 10 * small["bytes"]["download_of_one_validator"]
    assert "rounds that advanced | 5 of 5" in text


def test_determinism_moves_nothing_by_repeating_and_more_by_bf16(quick: QuickRuns) -> None:
    (cell,), text = quick.get("determinism")
    spreads = cell["spreads"]
    assert spreads["the same again"] == {"scores": 0, "losses": 0}
    assert spreads["2 threads"]["losses"] <= 10
    assert spreads["f64 (reference)"]["losses"] < 20 < spreads["bf16"]["losses"]
    assert (spreads["CUDA"] == NO_DEVICE) is not torch.cuda.is_available()
    assert torch.get_num_threads() == 1
    assert "| updates in another order |" in text


def test_validators_judges_real_rounds_under_both_draws_of_prompts(quick: QuickRuns) -> None:
    cells, text = quick.get("validators")
    assert [cell["rule"] for cell in cells] == ["common-prompts", "private-prompts"]
    third = [trial for trial in cells[0]["trials"] if trial["dishonest"] == 3]
    assert len(third) == len(BEHAVIOURS)
    assert {trial["changed"] for trial in third} == {0.0}
    assert any(trial["changed"] for trial in cells[0]["trials"] if trial["dishonest"] == 5)
    assert "5 of 9" in text


# The parts


def test_the_verdicts_of_the_experiment_are_the_chains_own() -> None:
    assert validators.compute_verdicts is tally.compute_verdicts


def test_a_third_of_the_stake_moves_no_verdict_and_a_majority_does(tiny: LoadedModel) -> None:
    task = build_task(QUICK, tiny, 1, COMMITTEE)
    honest = [60_000, 50_000, 40_000, -60_000, -70_000, -80_000]  # each half is over the task's threshold
    rounds = [[honest] * COMMITTEE] * 2
    malicious = (3, 4, 5)
    for name, behave in BEHAVIOURS.items():
        assert run_trial(task, rounds, malicious, 3, behave, 1).changed == 0, name
    inverted = run_trial(task, rounds, malicious, 5, BEHAVIOURS["inverting"], 1)
    assert (inverted.judged, inverted.honest_lost, inverted.malicious_won) == (12, 6, 6)
    assert inverted.changed == inverted.honest_lost + inverted.malicious_won
    promoted = run_trial(task, rounds, malicious, 5, BEHAVIOURS["colluding for the attackers"], 1)
    assert (promoted.honest_lost, promoted.malicious_won) == (0, 6)
    demoted = run_trial(task, rounds, malicious, 5, BEHAVIOURS["colluding against one trainer"], 1)
    assert (demoted.honest_lost, demoted.malicious_won) == (2, 0)


def test_where_honest_voters_differ_a_third_can_move_a_verdict(tiny: LoadedModel) -> None:
    """With scores of their own honest voters are spread, and a third moves the median to their lowest."""
    task = build_task(QUICK, tiny, 1, COMMITTEE)
    by_member = [[place * 10_000 - 45_000, -150_000] for place in range(COMMITTEE)]
    one_sided = run_trial(task, [by_member], (1,), 3, lambda scene: [-SCORE_ABS_MAX, scene.honest[1]], 1)
    assert (one_sided.changed, one_sided.honest_lost) == (0, 0)  # the first three are the lowest already
    turned = list(reversed(by_member))
    assert run_trial(task, [turned], (1,), 3, lambda scene: [-SCORE_ABS_MAX, scene.honest[1]], 1).honest_lost == 1


def test_agreement_is_pearsons_and_of_signs() -> None:
    assert compute_agreement([1, 2, 3], [2, 4, 6])["pearson"] == pytest.approx(1)
    assert compute_agreement([1, 2, 3], [-1, -2, -3]) == {"pearson": pytest.approx(-1), "same_sign": 0}
    assert compute_agreement([1, -2], [5, 5]) == {"pearson": None, "same_sign": 0.5}


def test_a_rounds_bytes_on_the_chain_grow_with_updates_and_voters() -> None:
    one, more = compute_chain_bytes(1, 8, 4, range(8)), compute_chain_bytes(11, 8, 4, range(8))
    assert more["update_records"] == 11 * one["update_records"]
    assert more["reveals"] - one["reveals"] == 4 * 10 * 9  # a status and a score for each update
    assert compute_chain_bytes(1, 8, 8, range(8))["commits"] == 2 * one["commits"]


def test_a_spread_is_the_largest_distance() -> None:
    spread = compute_spread({"scores": [1, 5], "losses": [0.5]}, {"scores": [2, -3], "losses": [0.25]})
    assert (spread.scores, spread.losses) == (8, 0.25)


def test_a_report_without_a_finished_round_says_so() -> None:
    report = {"chain": {"blocks_per_s": 3.0}, "rounds": [{"advanced": False, "heights": {"opened": 1, "ended": 9}}]}
    assert "no round that advanced" in describe_devnet_rounds(report)
