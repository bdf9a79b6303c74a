"""Mutants die in the worlds that are known to kill them, and the unbroken code lives through the same worlds.

Those that take long are left to `make mutants`, which hunts all of them from seed 0 on, in up to 300 worlds each. The
worlds of a lone adversary are lived through in `tests/scenarios/test_worlds.py`.
"""

from __future__ import annotations

import pytest

from flockchain.sim.adversaries import ADVERSARIES
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant, build_mutant_world, find_kill, hunt

QUICK = [mutant for mutant in MUTANTS if not mutant.is_slow]
WORLDS = sorted({(mutant.profile, mutant.seed) for mutant in QUICK if mutant.profile not in ADVERSARIES})


def test_names_are_used_once_and_there_are_enough_of_them() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 26


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant) -> None:
    kill, _ = hunt(mutant, [mutant.seed])
    assert kill is not None, f"python -m tests.mutants --only {mutant.name}"
    assert kill.promise in mutant.promises


@pytest.mark.parametrize(("profile", "seed"), WORLDS)
def test_the_same_world_breaks_no_promise_when_no_rule_is_broken(profile: str, seed: int) -> None:
    assert build_mutant_world(profile, seed).run().violations == ()


def test_a_mutant_that_changes_nothing_survives() -> None:
    harmless = Mutant("harmless", "none", lambda _: None, "swarm", ("quorum",), 0)
    assert find_kill(harmless, harmless.seed) is None
