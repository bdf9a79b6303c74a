"""What the code imports is what the package declares, and what is pinned can be installed anywhere."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator

import pytest

from tests.house.sources import ROOT, load_sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = frozenset({"flockchain", "flockchain_ml", "tests", "tools"})
# Import names that differ from the distribution's.
DISTRIBUTIONS = {
    "google": "protobuf", "grpc": "grpcio", "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection", "grpc_tools": "grpcio-tools", "nacl": "pynacl", "xdist": "pytest-xdist",
}  # fmt: skip
ALWAYS_WITH = {"tokenizers": "transformers", "huggingface_hub": "transformers"}  # comes with, by its own declaration


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared(*extras: str) -> set[str]:
    named = [*PROJECT["dependencies"]]
    for extra in extras:
        named += PROJECT["optional-dependencies"][extra]
    return {_normalise(re.split(r"[<>=~! ;\[]", entry)[0]) for entry in named}


def _imports(prefix: str) -> Iterator[tuple[str, str]]:
    """(distribution, where) of everything third-party that is imported under `prefix`."""
    for source in load_sources():
        if not source.path.startswith(prefix):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            for name in {name.split(".")[0] for name in names} - OWN - sys.stdlib_module_names:
                yield _normalise(DISTRIBUTIONS.get(name, ALWAYS_WITH.get(name, name))), f"{source.path}:{node.lineno}"


@pytest.mark.parametrize(
    ("prefix", "extras"),
    [("flockchain/", ()), ("ml/", ("ml",)), ("tests/", ("ml", "dev")), ("tools/", ("ml", "dev", "fuzz"))],
)
def test_everything_that_is_imported_is_declared(prefix: str, extras: tuple[str, ...]) -> None:
    declared = _declared(*extras)
    assert {where: name for name, where in _imports(prefix) if name not in declared} == {}


def test_every_declared_dependency_of_the_core_is_imported() -> None:
    used = {name for name, _ in _imports("flockchain/")} | {"protobuf"}  # the generated stubs import that one
    assert _declared() - used == set()


def test_pins_name_versions_and_nothing_of_a_machine() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_every_declared_dependency_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {_normalise(line.split("==")[0]) for line in text.splitlines() if "==" in line}
    assert _declared("ml", "dev") - pinned == set()
