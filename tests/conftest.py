"""How tests are shared out over processes: a file stays together, and real networks never run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

_E2E = Path(__file__).parent / "e2e"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put everything under tests/e2e into one group, first because it takes longest; every other file is its own."""
    items.sort(key=lambda item: not item.path.is_relative_to(_E2E))
    for item in items:
        group = "e2e" if item.path.is_relative_to(_E2E) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
