"""Validators that join, leave, unbond and are slashed, epoch after epoch; a rough network, crashes, often a traitor."""

from __future__ import annotations

import random
from typing import Final

from flockchain.sim.adversaries import ADVERSARIES
from flockchain.sim.faults import draw_clogs, draw_crashes, draw_junk, draw_partitions, draw_pauses
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles.profile import Profile, draw_network
from flockchain.sim.stakers import StakerPlan

__all__ = ["PROFILE"]

_GUESTS: Final = 2
_CONVICTS: Final = ("double_voter", "equivocating_leader")  # who are slashed and jailed, and may come back


def _draw(rng: random.Random, nodes: int) -> FaultPlan:
    faults_ms = rng.randint(4_000, 8_000)
    byzantine = rng.randrange(nodes) if rng.randrange(3) else None
    everybody = nodes + _GUESTS
    return FaultPlan(
        faults_ms,
        network=draw_network(rng, (0, 0, 20, 100), (10, 50)),
        restart_ms=rng.randint(100, 1_500),
        byzantine=byzantine,
        adversary=rng.choice(_CONVICTS if rng.randrange(2) else tuple(ADVERSARIES)),
        guests=_GUESTS,
        stakers=StakerPlan(rng.choice((200, 400, 800))),
        faults=(
            *draw_crashes(rng, faults_ms, everybody, 3),
            *draw_partitions(rng, faults_ms, everybody, 1),
            *draw_clogs(rng, faults_ms, everybody, 1),
            *draw_pauses(rng, faults_ms, everybody, 1),
            *draw_junk(rng, faults_ms, byzantine, 2),
        ),
    )


PROFILE = Profile(
    "validators join, leave, unbond and are slashed",
    _draw,
    nodes=5,
    marks=frozenset(
        {
            "bond", "bondextra", "chill", "core grew", "crash", "delegate", "epoch change", "evidence",
            "joined validator proposed", "journal replay", "leave", "nullification", "offence", "resume", "unbond",
            "undelegate", "validator gone", "validator joined", "withdraw",
        }
    ),
)  # fmt: skip
