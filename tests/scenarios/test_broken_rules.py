"""Disks that forget, and a node that trusts them all the same: the checkers see what it signs twice.

Rules of the protocol that are broken on purpose are in `tests/mutants`.
"""

from __future__ import annotations

import pytest

from flockchain.sim import sim_node
from tests.kit.crash_points import SPOILERS, list_writes, run_spoiled

HEEDLESS = {"is_heedless": True}


@pytest.mark.parametrize("fault", ["a lost sync", "an old copy", "a flipped bit in the last record"])
def test_votes_that_are_forgotten_without_quarantine_are_signed_anew_and_seen(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    assemble = sim_node.assemble_replica
    monkeypatch.setattr(sim_node, "assemble_replica", lambda *args, **fate: assemble(*args, **{**fate, **HEEDLESS}))
    spoil, _ = SPOILERS[fault]
    broken = (run_spoiled(1, effect, spoil).violations for effect in list_writes(1))
    assert any("one vote" in seen for violations in broken for seen in violations)
