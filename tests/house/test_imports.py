"""What a light import may bring with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.sources import ROOT

HEAVY = ("torch", "transformers", "peft", "grpc", "py_ecc", "numpy", "plyvel", "nacl", "cryptography")
NO_TORCH = ("torch", "transformers", "peft")


def _list_imported(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit:\n    pass\n"
    code += f"sys.stderr.write(','.join(name for name in {names!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [name for name in run.stderr.strip().split(",") if name]


@pytest.mark.parametrize("arguments", [["--help"], ["task", "--help"], ["devnet", "up", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert _list_imported(f"from flockchain.cli.app import run; run({arguments!r})", HEAVY) == []


@pytest.mark.parametrize("module", ["flockchain.client", "flockchain.cli.app", "flockchain.devnet", "flockchain.exact"])
def test_the_light_installation_needs_no_torch(module: str) -> None:
    assert _list_imported(f"import {module}", NO_TORCH) == []


@pytest.mark.parametrize("module", ["flockchain.crypto", "flockchain.primitives", "flockchain.storage"])
def test_the_doors_of_low_floors_do_not_import_the_slow_reference(module: str) -> None:
    assert _list_imported(f"import {module}", ("py_ecc", "grpc", "torch")) == []
