"""What a door of the system is to a mutation test: valid bytes, how they are read, and when they count as accepted.

A target is a name and a function that builds its subject once; the table of targets is `tests.fuzz.targets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flockchain.primitives.errors import InvalidInput

__all__ = ["NotCanonicalError", "Subject", "Target", "Verdict", "judge"]


class Verdict(Enum):
    """What became of some bytes."""

    MALFORMED = "malformed"  # refused where they are decoded
    REFUSED = "refused"  # decoded, and refused by what verifies them
    ACCEPTED = "accepted"


class NotCanonicalError(AssertionError):
    """A decoder took bytes that are not the encoding of what it read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One door. `decode` and `accepts` may raise `refusals` and nothing else.

    `is_verifier`: `accepts` is a verification which the samples pass, so that a test can see that it can pass.

    `accepts` says whether a decoded value takes effect as something else than the original samples do, or passes a
    verification that only they may pass. `encode` is None for formats that have more than one encoding of a value.
    """

    samples: tuple[bytes, ...]
    decode: Callable[[bytes], Any]
    accepts: Callable[[Any], bool]
    encode: Callable[[Any], bytes] | None = None
    refusals: tuple[type[Exception], ...] = (InvalidInput,)
    is_verifier: bool = False
    finish: Callable[[], None] = field(default=lambda: None)  # after all mutations: the originals are accepted still


@dataclass(frozen=True, slots=True)
class Target:
    """A name and how to get its subject."""

    name: str
    build: Callable[[], Subject]


def judge(subject: Subject, data: bytes) -> Verdict:
    """What a subject does with bytes. Whatever else it raises goes through."""
    try:
        value = subject.decode(data)
    except subject.refusals:
        return Verdict.MALFORMED
    if subject.encode is not None and (encoded := subject.encode(value)) != data:
        raise NotCanonicalError(f"decoded {len(data)} bytes, encoded {len(encoded)} others")
    try:
        is_accepted = subject.accepts(value)
    except subject.refusals:
        return Verdict.REFUSED
    return Verdict.ACCEPTED if is_accepted else Verdict.REFUSED
