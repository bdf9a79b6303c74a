"""Files of cells: whole or not there, and never taken for those of other settings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.primitives.errors import InvariantBroken
from flockchain_ml.experiments.cell import (
    Cell,
    CellFileBroken,
    build_document,
    compute_settings_digest,
    read_cell,
    write_cell,
)
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.grid import QUICK

CELL = Cell("flock", "fedavg", "backdoor", 30, 101, QUICK)
FIGURES = {"accuracy": 0.5, "attack_success_rate": None, "honest_rejected": 0.0, "rounds": []}


def test_a_cell_is_read_as_it_was_written(tmp_path: Path) -> None:
    document = build_document(CELL, FIGURES, 1.5, "d" * 16)
    file = CELL.get_file(tmp_path)
    write_cell(file, document)
    assert file.name == "flock-fedavg-backdoor-30-101.json"
    assert read_cell(file) == document
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # no draft is left


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = CELL.get_file(tmp_path)
    write_cell(file, build_document(CELL, FIGURES, 1.5, "d" * 16))
    before = file.read_bytes()
    with pytest.raises(TypeError):
        write_cell(file, {**FIGURES, "rounds": object()})
    assert file.read_bytes() == before


def test_an_experiment_that_leaves_a_figure_out_is_our_mistake() -> None:
    with pytest.raises(InvariantBroken):
        build_document(CELL, {"accuracy": 0.5}, 1.0, "d" * 16)


def test_a_cut_or_foreign_file_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "cell.json"
    whole = json.dumps(build_document(CELL, FIGURES, 1.5, "d" * 16))
    for text in (whole[: len(whole) // 2], "", "[]", json.dumps({"accuracy": 1})):
        file.write_text(text)
        with pytest.raises(CellFileBroken):
            read_cell(file)


def test_the_digest_follows_from_everything_that_was_chosen_and_from_nothing_else() -> None:
    def compute(cell: Cell = CELL, base: bytes = b"base", settings: object = CONTENDERS["fedadam"]) -> str:
        return compute_settings_digest(cell, base, settings)

    others = [
        compute(replace(CELL, seed=102)),
        compute(replace(CELL, scenario=replace(QUICK, rounds=QUICK.rounds + 1))),
        compute(replace(CELL, scenario=replace(QUICK, training=replace(QUICK.training, steps=3)))),
        compute(base=b"other"),
        compute(settings=replace(CONTENDERS["fedadam"], rule=replace(CONTENDERS["fedadam"].rule, server_rate=0.5))),
    ]  # fmt: skip
    assert len({compute(), *others}) == 6
    assert compute(settings=object()) == compute(settings=object())  # an address is no setting
