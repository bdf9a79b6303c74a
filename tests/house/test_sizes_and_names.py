"""Modules and functions stay small, and every module is named after one noun."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.sources import load_sources

MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
FORBIDDEN_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "managers"})
# A word in a compound name (`peer_manager.py`) says as little as alone.


def test_no_module_is_longer_than_600_lines() -> None:
    long = {source.path: source.text.count("\n") for source in load_sources()}
    assert {path: lines for path, lines in long.items() if lines > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = {}
    for source in load_sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long[f"{source.path}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [
        source.path
        for source in load_sources()
        if FORBIDDEN_NAMES & {word for part in Path(source.path).with_suffix("").parts for word in part.split("_")}
    ]
    assert vague == []


def test_every_product_module_says_what_it_is() -> None:
    silent = [s.path for s in load_sources() if not s.is_test and s.text.strip() and not ast.get_docstring(s.tree)]
    assert silent == []
