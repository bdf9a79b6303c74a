"""The guide's trainer is short, and what the guide shows is the file that runs."""

from __future__ import annotations

from tests.house.sources import ROOT

GUIDE = ROOT / "docs" / "guide"


def test_a_trainer_of_ones_own_has_under_40_lines() -> None:
    assert len((GUIDE / "own_trainer.py").read_text().splitlines()) < 40


def test_the_guide_shows_the_trainer_as_it_is() -> None:
    shown = (GUIDE / "trainer.md").read_text().split("```python\n")[1].split("```")[0]
    assert shown == (GUIDE / "own_trainer.py").read_text()
