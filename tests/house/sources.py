"""The project's own Python files and documents, parsed once, for the house tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "Source", "iterate_documents", "load_sources"]

ROOT = Path(__file__).resolve().parents[2]
_GENERATED = ("flockchain/v1/",)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def module(self) -> str:
        """The dotted name under which it is imported."""
        parts = Path(self.path.removeprefix("ml/")).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def load_sources() -> tuple[Source, ...]:
    """Every hand-written Python file of the product, its tests and its tools."""
    return tuple(_iterate_sources())


def iterate_documents() -> Iterator[Path]:
    """Every Markdown file of the project."""
    yield from sorted(ROOT.glob("*.md"))
    for top in ("docs", "flockchain", "ml", "tests", "tools", "proto"):
        yield from sorted((ROOT / top).rglob("*.md"))


def _iterate_sources() -> Iterator[Source]:
    for top in ("flockchain", "ml/flockchain_ml", "tests", "tools"):
        for file in sorted((ROOT / top).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if not path.startswith(_GENERATED):
                text = file.read_text(encoding="utf-8")
                yield Source(path, text, ast.parse(text, filename=path))
