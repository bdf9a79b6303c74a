"""What an experiment is: a record of its axes, how one cell of it is computed, and how its tables are made.

A new experiment is a file that builds one of these, and a line in `grid.EXPERIMENTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.models import LoadedModel

__all__ = ["Experiment"]


def _name_only(rule: str) -> object:
    return rule


def _draw_nothing(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """`rules`, `attacks`, `ratios` (percent malicious) and `rounds` are what runs unless somebody asks for less.

    `known`: all rules that may be asked for. `get_settings`: whatever else a rule's figures depend on; its repr is part
    of a cell's settings digest. `run_cell` gives at least accuracy, attack_success_rate (None where none was measured),
    honest_rejected and rounds. `build_tables` makes Markdown of all cells of this experiment, `draw` plots.
    `describe_devnet`: what a devnet's report adds to the tables.
    """

    name: str
    sentence: str
    rules: tuple[str, ...]
    run_cell: Callable[[LoadedModel, Cell], dict[str, Any]]
    build_tables: Callable[[Sequence[Document]], str]
    attacks: tuple[str, ...] = ("backdoor",)
    ratios: tuple[int, ...] = (0,)
    rounds: int = 5
    known: tuple[str, ...] = ()
    get_settings: Callable[[str], object] = _name_only
    draw: Callable[[Sequence[Document], Path], tuple[Path, ...]] = _draw_nothing
    describe_devnet: Callable[[Mapping[str, Any]], str] | None = None

    def get_known(self) -> tuple[str, ...]:
        """The rules that may be asked for."""
        return self.known or self.rules
