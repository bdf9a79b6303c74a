"""A machine may stop between any two effects and in any write, and its disk may spoil any write: nothing is lost.

Every place of a run of four nodes and eight views is tried; each is a world of its own. Without FLOCKCHAIN_ALL_CRASHES
in the environment the boundaries and tears are every third one; `make sim-crashes` tries all of them.
"""

from __future__ import annotations

import os

import pytest

from tests.kit.crash_points import NODES, SPOILERS, list_places, list_writes, run_crash, run_spoiled

STRIDE = 1 if os.environ.get("FLOCKCHAIN_ALL_CRASHES") else 3


@pytest.mark.parametrize("node", range(NODES))
def test_every_crash_point_is_survived(node: int) -> None:
    places = list(list_places(node))[node % STRIDE :: STRIDE]
    broken = {place: report.violations for place in places if (report := run_crash(place)).violations}
    print(f"node {node}: {len(places)} crash points, {len(broken)} not survived")
    assert broken == {}


@pytest.mark.parametrize("fault", list(SPOILERS))
def test_every_spoiled_write_ends_in_recovery_or_a_clear_stop(fault: str) -> None:
    spoil, mark = SPOILERS[fault]
    writes = list_writes(1)
    broken: dict[int, object] = {}
    seen = 0
    for effect in writes:
        report = run_spoiled(1, effect, spoil)
        seen += mark in report.marks
        if report.violations:
            broken[effect] = report.violations
    print(f"{fault}: {len(writes)} writes, {seen} with the mark '{mark}', {len(broken)} not survived")
    assert broken == {}
    assert seen >= len(writes) - 1  # the last write of the run may be followed by none
