"""Evaluators that fail, stall, lie or die, trainers that keep their bytes back; a rougher network, crashes."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.evaluators import EvaluatorDeath, EvaluatorFaults
from flockchain.sim.faults import draw_crashes
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network
from flockchain.sim.trainers import TrainerFaults

__all__ = ["PROFILE"]

_ALWAYS_MS: Final = 10**9


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(6_000, 10_000)
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 0, 20, 100), (10, 50)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=rng.randrange(nodes) if rng.randrange(3) == 0 else None,
        adversary=rng.choice(tuple(ADVERSARIES)),
        faults=draw_crashes(rng, faults_ms, nodes, 4),
        tasks=rng.choice((1, 1, 2)),
        evaluators=EvaluatorFaults(
            fail_permille=rng.choice((0, 100, 500)),
            stall_permille=rng.choice((0, 0, 100, 300)),
            liar=rng.randrange(nodes) if rng.randrange(2) else None,
            deaths=_draw_deaths(rng, faults_ms, nodes),
        ),
        trainers=TrainerFaults(
            withheld_permille=rng.choice((0, 150)),
            partial_permille=rng.choice((0, 150)),
            malformed_permille=rng.choice((0, 100)),
            copied_permille=rng.choice((0, 100)),
        ),
    )


def _draw_deaths(rng: random.Random, faults_ms: int, nodes: int) -> tuple[EvaluatorDeath, ...]:
    if rng.randrange(4) == 0:  # all evaluators are dead, from some moment on
        at_ms = rng.randrange(faults_ms // 2)
        return tuple(EvaluatorDeath(at_ms, _ALWAYS_MS, node) for node in range(nodes))
    return tuple(
        EvaluatorDeath(rng.randrange(faults_ms), rng.randint(500, 6_000), rng.randrange(nodes))
        for _ in range(rng.randrange(5))
    )


PROFILE = Profile(
    "evaluators that fail, lie or die, and trainers that withhold",
    _draw,
    marks=frozenset(
        {
            "crash", "epoch change", "evaluator failed", "evaluator stalled", "journal replay", "offence", "restart",
            "round advanced", "round void", "update copied", "update malformed", "update shown to one",
            "update withheld",
        }
    ),
)  # fmt: skip
