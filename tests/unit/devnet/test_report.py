"""The report has the fields that readers rely on, with figures that follow from what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.devnet.report import (
    MODEL_FIELDS,
    BlockSeen,
    build_chain_report,
    build_report,
    compute_percentile,
    write_report,
)
from flockchain.primitives.errors import InvalidInput

# Two epochs of three blocks; view 2 of the first and views 1 and 2 of the second brought nothing.
BLOCKS = [
    BlockSeen(1, 0, 1, 1_000, 1_040),
    BlockSeen(2, 0, 3, 1_500, 1_560),
    BlockSeen(3, 0, 4, 2_000, 2_030),
    BlockSeen(4, 1, 3, 2_500, 2_900),
    BlockSeen(5, 1, 4, 3_000, 3_050),
    BlockSeen(6, 1, 5, 3_500, 3_520),
]
MODEL = dict.fromkeys(MODEL_FIELDS, 0.5)


def test_views_without_a_block_are_counted_epoch_by_epoch() -> None:
    chain = build_chain_report(BLOCKS, 4, state_roots_equal=True)
    assert (chain["height"], chain["views"], chain["nullified_views"]) == (6, 9, 3)


def test_finality_and_pace_follow_from_the_times() -> None:
    chain = build_chain_report(list(reversed(BLOCKS)), 4, state_roots_equal=True)
    assert chain["finality_ms"] == {"p50": 40, "p99": 400}
    assert chain["blocks_per_s"] == 2.0


def test_a_chain_without_blocks_has_a_report_too() -> None:
    chain = build_chain_report([], 4, state_roots_equal=False)
    assert (chain["height"], chain["blocks_per_s"], chain["state_roots_equal"]) == (0, None, False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10_000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values: list[int], percent: int) -> None:
    found = compute_percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_a_report_without_the_models_figures_is_refused() -> None:
    with pytest.raises(InvalidInput, match="attack_success_rate_undefended"):
        build_report(chain={}, rounds=[], model={"accuracy": 1}, participants=[], seed=7, versions={})


def test_a_written_report_is_whole_json_and_replaces_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "report.json"
    for seed in (1, 2):
        report = build_report(
            chain={}, rounds=[], model=MODEL, participants=[], seed=seed, versions={"flockchain": "0"}
        )
        write_report(file, report)
    assert json.loads(file.read_text())["seed"] == 2
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]
