"""Grids that are killed, cut, failed and resumed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flockchain.cli.exit_codes import ExitCode
from flockchain_ml.experiments import grid
from flockchain_ml.experiments.__main__ import main
from flockchain_ml.experiments.cell import Cell, SettingsDiffer
from flockchain_ml.experiments.grid import EXPERIMENTS, Choice, build_cells, find_experiment
from flockchain_ml.experiments.runner import Plan, format_left, run_cells
from flockchain_ml.models import LoadedModel, get_tiny_folder

FFA = ["run", "aggregation", "--rules", "ffa", "--quick"]
SECONDS_MAX = 240


def build_quick_cells(*seeds: int) -> tuple[Cell, ...]:
    choice = Choice(seeds=seeds, rules=("ffa",), is_quick=True)
    return build_cells(find_experiment("aggregation"), choice)


def get_stamps(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (folder / "cells").glob("[!.]*.json")}


def test_a_killed_run_goes_on_from_its_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*FFA, "--seeds", "6", "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "flockchain_ml.experiments", *command],
                               env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stderr is not None
    said = list(iter_until(process.stderr, "2 of 6 cells"))
    process.send_signal(signal.SIGKILL)
    assert process.wait(SECONDS_MAX) == -signal.SIGKILL
    process.stderr.close()
    assert said[0].startswith("seeds 101, 102, 103, 104, 105, 106;")
    before = get_stamps(tmp_path)
    assert 2 <= len(before) < 6
    assert not (tmp_path / "tables.md").exists()

    assert main([*command, "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    after = get_stamps(tmp_path)
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    assert (told["skipped"], told["done"]) == (len(before), 6 - len(before))
    assert (tmp_path / "tables.md").exists()


def iter_until(lines: Any, wanted: str) -> Any:
    for line in lines:
        yield line
        if line.startswith(wanted):
            return
    pytest.fail(f"the run ended without a line that starts with {wanted!r}")


def test_processes_that_die_and_cells_that_fail_stop_no_other_cell(tmp_path: Path) -> None:
    first, second, third = build_quick_cells(1, 2, 3)
    broken = replace(second, rule="no-such-way")
    killer = threading.Thread(target=_kill_one_child)
    killer.start()
    said: list[str] = []
    outcome = run_cells((first, broken, third), Plan(tmp_path, get_tiny_folder(), jobs=2), said.append)
    killer.join()
    assert set(outcome.failed) == {first.name, broken.name}
    assert outcome.failed[first.name] == f"its process died (exit code {-signal.SIGKILL})"
    assert "no-such-way" in outcome.failed[broken.name]
    assert outcome.done == [third.name]
    assert list(get_stamps(tmp_path)) == [f"{third.name}.json"]
    assert said[-1].startswith("3 of 3 cells, 0 s left")
    assert multiprocessing.active_children() == []


def _kill_one_child() -> None:
    """Kill the first process that the runner starts; it is at the first cell."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        children = multiprocessing.active_children()  # in no order
        if children:
            min(children, key=lambda child: child.pid or 0).kill()
            return


def test_a_failing_cell_ends_the_command_with_a_fault_after_the_others_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = EXPERIMENTS["aggregation"]

    def run(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
        if cell.seed == 1:
            raise ArithmeticError("no number\nsecond line")
        return usual.run_cell(loaded, cell)

    monkeypatch.setitem(grid.EXPERIMENTS, "aggregation", replace(usual, run_cell=run))  # type: ignore[arg-type]
    assert main([*FFA, "--seed-list", "1,2", "--out", str(tmp_path)]) == ExitCode.FAULT
    assert list(get_stamps(tmp_path)) == ["aggregation-ffa-none-0-2.json"]
    errors = capsys.readouterr().err.splitlines()
    assert "error: cells failed (failed=1, cells=aggregation-ffa-none-0-1)" in errors
    assert any(line.endswith("aggregation-ffa-none-0-1 failed: ArithmeticError: no number") for line in errors)


def test_a_cut_cell_is_computed_again_and_others_are_not(tmp_path: Path) -> None:
    cells, plan = build_quick_cells(1, 2), Plan(tmp_path, get_tiny_folder())
    run_cells(cells, plan, lambda line: None)
    files = [cell.get_file(tmp_path) for cell in cells]
    whole, before = json.loads(files[0].read_bytes()), get_stamps(tmp_path)
    files[0].write_bytes(files[0].read_bytes()[:100])
    said: list[str] = []
    outcome = run_cells(cells, plan, said.append)
    assert (outcome.done, outcome.skipped) == ([cells[0].name], [cells[1].name])
    assert "is computed again" in said[0]
    again = json.loads(files[0].read_bytes())
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}  # a seed gives one result
    assert get_stamps(tmp_path)[files[1].name] == before[files[1].name]


def test_cells_of_other_settings_are_refused_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells, plan = build_quick_cells(1), Plan(tmp_path, get_tiny_folder())
    run_cells(cells, plan, lambda line: None)
    before = get_stamps(tmp_path)
    other = [replace(cell, scenario=replace(cell.scenario, rows_per_trainer=20)) for cell in cells]
    with pytest.raises(SettingsDiffer):
        run_cells(other, plan, lambda line: None)
    assert main([*FFA, "--seed-list", "1", "--rounds", "2", "--out", str(tmp_path)]) == ExitCode.REFUSED
    assert get_stamps(tmp_path) == before
    error = capsys.readouterr().err.splitlines()
    assert error[-2].startswith("error: a cell is there that was made under other settings (cell=aggregation-ffa-none")
    assert error[-1].endswith("--recompute replaces it")
    assert run_cells(other, replace(plan, is_recomputing=True), lambda line: None).done == [cells[0].name]
    assert get_stamps(tmp_path) != before


@pytest.mark.parametrize(
    "wrong",
    [
        ["no-such-experiment"],
        ["flock", "--rules", "nobody"],
        ["flock", "--ratios", "x"],
        ["flock", "--ratios", "15"],
        ["flock", "--seeds", "0"],
        ["flock", "--base", "no-such-folder"],
        ["cost", "--devnet-report", "REPORT"],
    ],
)
def test_a_command_line_that_makes_no_grid_is_one_line_of_error(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")
    named = [str(report) if word == "REPORT" else word for word in wrong]
    assert main(["run", *named, "--out", str(tmp_path / "out")]) in (ExitCode.INVALID, ExitCode.FAULT)
    assert "Traceback" not in (told := capsys.readouterr()).err
    assert told.out == ""
    assert not (tmp_path / "out" / "cells").exists()


def test_list_names_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--output", "json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(EXPERIMENTS)


def test_time_left_is_for_people() -> None:
    assert [format_left(seconds) for seconds in (0.4, 99, 720, 11_100)] == ["0 s", "99 s", "12 min", "3 h 05 min"]
