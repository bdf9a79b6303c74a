"""How tests are shared out over processes: a file stays together, and real networks never run side by side.

py_ecc comes in by our module before any test imports it: on import it lifts the recursion limit to where nested input
ends the process, and our module takes that back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flockchain.crypto.bls_py_ecc  # noqa: F401

_E2E = "tests/e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/e2e comes first, because it takes longest."""
    folder = Path(__file__).parent / "e2e"
    items.sort(key=lambda item: not item.path.is_relative_to(folder))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One group for everything under tests/e2e, one for every other file, in the order of collection."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _E2E if nodeid.startswith(f"{_E2E}/") else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return FileScheduling(config, log)
