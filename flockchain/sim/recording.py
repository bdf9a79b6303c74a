"""What went over the wires of a world: a sample from all of its history, for those who play it again later.

Knows bytes, in the order in which they were sent. Does not know what they mean.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.numbers import TimestampMs
from flockchain.runtime.genesis_config import GenesisConfig

__all__ = ["Recording", "record_another_chain"]

_KEPT_MAX: Final = 512
_OTHER_BIRTH_MS: Final = 1  # no world's own chain begins that early
_OTHER_MS: Final = 1_500
_OTHER_CHAINS_MAX: Final = 8


class Recording:
    """At most 512 frames: every n-th, with n doubled whenever there are too many."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._every = 1
        self._heard = 0

    @property
    def frames(self) -> Sequence[bytes]:
        return self._frames

    def hear(self, payload: bytes) -> None:
        """A frame was sent."""
        if self._heard % self._every == 0:
            self._frames.append(payload)
            if len(self._frames) > _KEPT_MAX:
                self._frames = self._frames[::2]
                self._every *= 2
        self._heard += 1


def record_another_chain(genesis: GenesisConfig, bls: BlsBackend) -> Sequence[bytes]:
    """What the same validators, with the same keys, say on a chain with another genesis."""
    stake = genesis.validators[0].stake
    validators = tuple(replace(member, stake=stake) for member in genesis.validators)
    other = replace(genesis, timestamp_ms=TimestampMs(_OTHER_BIRTH_MS), validators=validators)
    if other not in _OTHERS:
        if len(_OTHERS) == _OTHER_CHAINS_MAX:
            _OTHERS.clear()
        _OTHERS[other] = _record(other, bls)
    return _OTHERS[other]


_OTHERS: Final[dict[GenesisConfig, Sequence[bytes]]] = {}  # the same whichever world asks first


def _record(genesis: GenesisConfig, bls: BlsBackend) -> Sequence[bytes]:
    from flockchain.sim.plan import build_calm_plan  # a plan is made of faults, and some of those play recordings
    from flockchain.sim.world import assemble_world

    world = assemble_world(0, genesis, build_calm_plan(_OTHER_MS), bls, random.Random(0))
    world.start()
    world.advance(_OTHER_MS)
    return tuple(world.recording.frames)
