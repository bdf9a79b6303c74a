"""A cell of a grid: one experiment, rule, attack, share of attackers and seed; and the JSON file of what came out.

A file is either whole or not there: it is written beside its place and moved. It carries the digest of the settings
that made it, so that a grid never mixes figures of different settings. Knows no model and no table.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import flockchain
import flockchain_ml
from flockchain.cli.output import to_plain
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain_ml.experiments.scenario import Scenario

__all__ = [
    "NO_ATTACK", "Cell", "CellFileBroken", "Document", "SettingsDiffer", "build_document", "compute_settings_digest",
    "compute_version", "read_cell", "write_cell",
]  # fmt: skip

NO_ATTACK: Final = "none"
Document = Mapping[str, Any]  # what a cell's file holds
_FIGURES: Final = ("accuracy", "attack_success_rate", "honest_rejected", "rounds")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class CellFileBroken(InvalidInput):
    """A cell's file is no whole document of that cell."""


class SettingsDiffer(Refused):
    """A cell's file was made under other settings. `hint` says what to do."""

    hint = "another --out keeps both; --recompute replaces it"


@dataclass(frozen=True, slots=True)
class Cell:
    """`malicious_percent` of the scenario's trainers attack; at 0 the attack is usually "none"."""

    experiment: str
    rule: str
    attack: str
    malicious_percent: int
    seed: int
    scenario: Scenario

    @property
    def name(self) -> str:
        return f"{self.experiment}-{self.rule}-{self.attack}-{self.malicious_percent}-{self.seed}"

    def get_file(self, folder: Path) -> Path:
        """Where the cell lies in a folder of results."""
        return folder / "cells" / f"{self.name}.json"


def compute_settings_digest(cell: Cell, base: bytes, settings: object) -> str:
    """Of everything that was chosen: the cell, its scenario, the base model's digest, and the rule's own settings."""
    described = {
        "cell": cell.name,
        "scenario": to_plain(cell.scenario),
        "base": base.hex(),
        "settings": _ADDRESS.sub("", repr(settings)),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


@cache
def compute_version() -> str:
    """The package's version and a digest of the sources that an experiment may run."""
    digest = hashlib.sha256()
    for package in (flockchain, flockchain_ml):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{version('flockchain')}+{digest.hexdigest()[:8]}"


def build_document(cell: Cell, figures: Mapping[str, Any], seconds: float, digest: str) -> dict[str, Any]:
    """The cell's file: who it is, what came out, and how it was made."""
    missing = [name for name in _FIGURES if name not in figures]
    invariant(not missing, "an experiment gives every figure of a cell", cell=cell.name, missing=missing)
    return {
        "experiment": cell.experiment,
        "rule": cell.rule,
        "attack": cell.attack,
        "malicious_percent": cell.malicious_percent,
        "seed": cell.seed,
        **figures,
        "seconds": round(seconds, 2),
        "settings_digest": digest,
        "version": compute_version(),
    }


def write_cell(file: Path, document: Document) -> None:
    """Readers find the old file, none, or the whole new one, whatever is killed when."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    with draft.open("w", encoding="utf-8") as out:
        json.dump(document, out, indent=1)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def read_cell(file: Path) -> dict[str, Any]:
    """A cell's document. Raises `CellFileBroken` for a file that was cut or is something else."""
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise CellFileBroken("a cell's file is not JSON", file=file.name) from error
    wanted = ("experiment", "rule", "attack", "malicious_percent", "seed", "settings_digest", "version", *_FIGURES)
    if not isinstance(document, dict) or any(name not in document for name in wanted):
        raise CellFileBroken("a cell's file lacks fields", file=file.name)
    return document
