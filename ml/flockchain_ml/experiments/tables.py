"""Tables of cells: means over seeds with intervals, comparisons paired by seed, and the file that holds them all.

Knows documents of cells, not how they came to be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flockchain.primitives.errors import InvalidInput
from flockchain_ml.experiments.cell import Document, read_cell
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.intervals import Interval, compute_interval

__all__ = [
    "ASR_FLOOR", "DEVNET_FILE", "NOTHING", "Column", "NoCells", "build_contest_table", "build_markdown", "collect",
    "compute_reductions", "format_values", "get_axis", "get_success", "load_cells", "select", "write_tables",
]  # fmt: skip

NOTHING: Final = "–"
ASR_FLOOR: Final = 0.1  # under it the rival's attack hardly took, so that there is nothing to reduce
DEVNET_FILE: Final = "devnet-report.json"
Column = tuple[str, Callable[[Sequence[Document]], str]]


class NoCells(InvalidInput):
    """A folder of results without results."""


def build_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def format_values(values: Sequence[float | None], digits: int = 3, factor: float = 1.0) -> str:
    """mean ± half of an interval; a dash if nothing was measured."""
    known = [value for value in values if value is not None]
    return compute_interval(known).format(digits, factor) if known else NOTHING


def select(cells: Sequence[Document], **fields: object) -> tuple[Document, ...]:
    """The cells with these fields."""
    return tuple(cell for cell in cells if all(cell[name] == value for name, value in fields.items()))


def get_axis(cells: Sequence[Document], field: str) -> tuple[Any, ...]:
    """The values of a field: numbers ascending, names in the order they are met."""
    found = list(dict.fromkeys(cell[field] for cell in cells))
    return tuple(sorted(found)) if all(isinstance(value, int) for value in found) else tuple(found)


def collect(cells: Sequence[Document], field: str) -> list[Any]:
    """One value a cell, in the order of seeds."""
    return [cell.get(field) for cell in sorted(cells, key=lambda cell: int(cell["seed"]))]


def get_success(cell: Document, cells: Sequence[Document]) -> float | None:
    """How far the attack got. Where it has no probe rows: the accuracy lost against the rule's unattacked run."""
    if cell["attack_success_rate"] is not None or not cell["malicious_percent"]:
        return None if cell["attack_success_rate"] is None else float(cell["attack_success_rate"])
    clean = select(cells, rule=cell["rule"], seed=cell["seed"], malicious_percent=0)
    own = select(clean, attack=cell["attack"]) or select(clean, attack="none")
    if not own or not own[0]["accuracy"]:
        return None
    return 1 - float(cell["accuracy"]) / float(own[0]["accuracy"])


def compute_reductions(
    ours: Sequence[Document], theirs: Sequence[Document], cells: Sequence[Document]
) -> tuple[Interval | None, int]:
    """1 - our success / theirs over the seeds of both, and how many seeds were left out since theirs was no success."""
    found, left_out = [], 0
    rivals = {cell["seed"]: cell for cell in theirs}
    for cell in ours:
        if cell["seed"] not in rivals:
            continue
        mine, other = get_success(cell, cells), get_success(rivals[cell["seed"]], cells)
        if mine is None or other is None or other < ASR_FLOOR:
            left_out += 1
        else:
            found.append(1 - mine / other)
    return (compute_interval(found) if found else None), left_out


def build_contest_table(cells: Sequence[Document], attack: str) -> str:
    """Every rule by share of attackers: clean accuracy, the attack's success, honest updates rejected."""
    rows = []
    for ratio in get_axis(cells, "malicious_percent"):
        for rule in get_axis(cells, "rule"):
            at = select(cells, malicious_percent=ratio, rule=rule)
            own = select(at, attack=attack) or (select(at, attack="none") if not ratio else ())
            if own:
                successes = [get_success(cell, cells) for cell in own]
                rows.append(
                    [
                        f"{ratio} %", rule, format_values(collect(own, "accuracy")), format_values(successes),
                        format_values(collect(own, "honest_rejected")), str(len(own)),
                    ]
                )  # fmt: skip
    return build_markdown(["malicious", "rule", "clean accuracy", "attack success", "honest rejected", "seeds"], rows)


def load_cells(folder: Path) -> tuple[dict[str, Any], ...]:
    """Every cell of a folder of results. Raises `NoCells`, `CellFileBroken`."""
    files = sorted((folder / "cells").glob("[!.]*.json"))
    if not files:
        raise NoCells("there are no cells in this folder", folder=folder)
    return tuple(read_cell(file) for file in files)


def write_tables(folder: Path, experiments: Mapping[str, Experiment]) -> tuple[Path, ...]:
    """tables.md and the plots of every cell in the folder; returns the files."""
    cells = load_cells(folder)
    report = folder / DEVNET_FILE
    devnet = json.loads(report.read_bytes()) if report.exists() else None
    parts = ["# Tables\n\nMean ± half of the 95 % interval over seeds (Student's t); – where nothing was measured.\n"]
    plots: list[Path] = []
    unknown = [name for name in get_axis(cells, "experiment") if name not in experiments]
    if unknown:
        raise NoCells("there are cells of no known experiment", names=", ".join(unknown))
    for name, experiment in experiments.items():
        own = _sort(experiment, select(cells, experiment=name))
        if not own:
            continue
        parts.append(f"## {name}\n\n{experiment.sentence}\n\n{_describe_origin(own)}\n")
        parts.append(experiment.build_tables(own))
        if devnet is not None and experiment.describe_devnet is not None:
            parts.append(experiment.describe_devnet(devnet))
        plots += experiment.draw(own, folder)
    file = folder / "tables.md"
    draft = file.with_name(".tables.md.part")
    draft.write_text("\n".join(parts), encoding="utf-8")
    draft.replace(file)
    return (file, *plots)


def _sort(experiment: Experiment, cells: Sequence[Document]) -> tuple[Document, ...]:
    """In the order of the experiment's own axes, then of seeds."""

    def find(names: Sequence[str], name: str) -> int:
        return names.index(name) if name in names else len(names)

    rules = (*experiment.rules, *experiment.get_known())
    return tuple(
        sorted(
            cells,
            key=lambda cell: (
                find(rules, cell["rule"]), find(experiment.attacks, cell["attack"]), cell["malicious_percent"],
                cell["seed"],
            ),
        )
    )  # fmt: skip


def _describe_origin(cells: Sequence[Document]) -> str:
    seeds = ", ".join(str(seed) for seed in get_axis(cells, "seed"))
    seconds = sum(cell.get("seconds", 0) for cell in cells)
    versions = sorted(set(collect(cells, "version")))
    mixed = " **Not all cells are of one version of the code.**" if len(versions) > 1 else ""
    return f"Seeds {seeds}; {len(cells)} cells, {seconds:.0f} s of work; version {', '.join(versions)}.{mixed}"
