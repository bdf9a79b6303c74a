"""The servers' rates: runs that are there are read, and the best mean wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flockchain_ml.experiments import tuning
from flockchain_ml.experiments.contenders import CONTENDERS, SERVER_RATES
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.experiments.tuning import RATES, TUNING_SEEDS, choose_rates, tune_rates
from flockchain_ml.models import LoadedModel
from flockchain_ml.trainer import TrainSettings

TINY = replace(
    DEMO, trainers=4, malicious=0, rounds=1, rows_per_trainer=16, prompts_per_round=24, suite_rows=48, test_rows=16,
    rank=4, alpha=8, targets=("q_proj",), training=TrainSettings(steps=2, batch_rows=4, learning_rate=6e-3),
)  # fmt: skip


def test_a_run_that_is_there_is_not_repeated(
    tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = {"fedadam": (0.01, 0.1)}
    runs = tune_rates(tiny, TINY, (61,), tmp_path, tried)
    assert [(run["rate"], len(run["accuracies"])) for run in runs] == [(0.01, 1), (0.1, 1)]
    monkeypatch.setattr(tuning.Rehearsal, "run_contender", lambda *_: pytest.fail("it was run again"))
    assert tune_rates(tiny, TINY, (61,), tmp_path, tried) == runs


def test_the_rate_with_the_best_mean_is_chosen_and_of_equal_ones_the_smallest() -> None:
    runs = [
        {"rule": "fedadam", "rate": rate, "seed": seed, "accuracies": [0.1, accuracy]}
        for rate, seed, accuracy in ((0.01, 1, 0.5), (0.01, 2, 0.9), (0.1, 1, 0.8), (0.1, 2, 0.8), (0.3, 1, 0.8))
    ]
    assert choose_rates(runs) == {"fedadam": 0.1}


def test_contenders_have_rates_that_were_tried_on_other_seeds_than_the_tables() -> None:
    assert set(RATES) == set(SERVER_RATES)
    assert all(SERVER_RATES[name] in tried for name, tried in RATES.items())
    assert all(CONTENDERS[name].rule.server_rate == rate for name, rate in SERVER_RATES.items())
    assert max(TUNING_SEEDS) < 101
