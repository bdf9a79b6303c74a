"""Tables from documents of cells: what is compared with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flockchain_ml.experiments.cell import Cell, write_cell
from flockchain_ml.experiments.cross_domain import compute_contest
from flockchain_ml.experiments.flock import FLOCK, build_reduction_table
from flockchain_ml.experiments.grid import EXPERIMENTS, QUICK
from flockchain_ml.experiments.tables import (
    NoCells,
    build_contest_table,
    compute_reductions,
    format_values,
    get_success,
    write_tables,
)


def make(
    rule: str, seed: int, ratio: int, success: float | None, accuracy: float = 0.8, attack: str = "backdoor"
) -> Any:
    return {
        "experiment": "flock", "rule": rule, "attack": attack if ratio else "none", "malicious_percent": ratio,
        "seed": seed, "accuracy": accuracy, "attack_success_rate": success, "honest_rejected": 0.0, "rounds": [],
        "seconds": 1.0, "settings_digest": "d", "version": "v",
    }  # fmt: skip


def test_the_reduction_is_paired_by_seed_and_leaves_out_attacks_that_did_not_take() -> None:
    ours = [make("ours", 1, 30, 0.1), make("ours", 2, 30, 0.0), make("ours", 3, 30, 0.05), make("ours", 4, 30, 0.0)]
    rival = [make("fedavg", 2, 30, 0.4), make("fedavg", 1, 30, 0.5), make("fedavg", 3, 30, 0.05)]
    reduction, left_out = compute_reductions(ours, rival, [*ours, *rival])
    assert reduction is not None
    assert (reduction.mean, reduction.count, left_out) == (pytest.approx((0.8 + 1.0) / 2), 2, 1)


def test_a_defence_under_which_the_attack_does_better_has_a_negative_reduction() -> None:
    ours, rival = [make("ours", 1, 30, 0.9)], [make("fedavg", 1, 30, 0.3)]
    assert "| 30 % | fedavg | -200.0 | 1 | 0 | no |" in build_reduction_table([*ours, *rival], "backdoor", 0.68)
    assert "| 30 % | fedavg | 100.0 | 1 | 0 | yes |" in build_reduction_table(
        [make("ours", 1, 30, 0.0), *rival], "backdoor", 0.68
    )


def test_where_no_seed_counts_the_table_says_so_instead_of_a_success() -> None:
    cells = [make("ours", 1, 10, 0.0), make("fedavg", 1, 10, 0.02)]
    table = build_reduction_table(cells, "backdoor", 0.68)
    assert table == "At 10 % no seed counts against fedavg.\n"


def test_an_attack_without_a_target_succeeds_by_the_accuracy_that_it_costs() -> None:
    attacked = make("median", 1, 30, None, accuracy=0.6, attack="noise")
    cells = [attacked, make("median", 1, 0, None, accuracy=0.8), make("median", 2, 0, None, accuracy=0.1)]
    assert get_success(attacked, cells) == pytest.approx(0.25)
    assert get_success(cells[1], cells) is None
    assert get_success(attacked, [attacked]) is None


def test_every_row_is_a_mean_over_its_own_seeds() -> None:
    cells = [make("ours", 1, 0, None), make("ours", 1, 30, 0.2), make("ours", 2, 30, 0.4), make("krum", 1, 30, 0.9)]
    lines = build_contest_table(cells, "backdoor").splitlines()[2:]
    assert lines == [
        "| 0 % | ours | 0.800 | – | 0.000 | 1 |",
        "| 30 % | ours | 0.800 ± 0.000 | 0.300 ± 1.271 | 0.000 ± 0.000 | 2 |",
        "| 30 % | krum | 0.800 | 0.900 | 0.000 | 1 |",
    ]
    assert format_values([None]) == "–"


def test_the_best_specialist_is_best_on_average_and_a_draw_wins_no_domain() -> None:
    shared = {"arithmetic": 0.9, "units": 0.9, "strings": 0.8, "sentiment": 0.8}
    alone = {
        "0": {"arithmetic": 1.0, "units": 0.7, "strings": 0.7, "sentiment": 0.7},
        "1": {"arithmetic": 0.9, "units": 0.9, "strings": 0.7, "sentiment": 0.7},
    }
    found = compute_contest(shared, alone)
    assert found["best_specialist"] == "1"
    assert found["lead"] == pytest.approx(0.85 - 0.8)
    assert found["domains_won"] == {"0": 3, "1": 2}
    assert found["domains_won_min"] == 2


def test_tables_and_plots_are_made_of_the_cells_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(NoCells):
        write_tables(tmp_path, EXPERIMENTS)
    for rule, success in (("ours", 0.01), ("fedavg", 0.5)):
        for seed in (1, 2):
            for ratio in (0, 30):
                cell = Cell("flock", rule, "backdoor" if ratio else "none", ratio, seed, QUICK)
                write_cell(cell.get_file(tmp_path), make(rule, seed, ratio, success if ratio else None))
    files = write_tables(tmp_path, EXPERIMENTS)
    text = files[0].read_text()
    assert FLOCK.sentence in text
    assert "| 30 % | fedavg | 98.0 ± 0.0 | 2 | 0 | yes |" in text
    assert text.index("| 0 % | fedavg |") < text.index("| 0 % | ours |")  # the experiment's order, not the alphabet's
    assert [file.name for file in files[1:]] == ["flock-backdoor-success.png", "flock-backdoor-accuracy.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files[1:])


def test_cells_of_several_versions_are_pointed_out(tmp_path: Path) -> None:
    for seed, version in ((1, "a"), (2, "b")):
        cell = Cell("flock", "ours", "none", 0, seed, QUICK)
        write_cell(cell.get_file(tmp_path), {**make("ours", seed, 0, None), "version": version})
    assert "Not all cells are of one version" in write_tables(tmp_path, EXPERIMENTS)[0].read_text()
