"""What the host tells a replica. Time comes with the call, never from a clock here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flockchain.primitives.numbers import NodeId
from flockchain.runtime.extrinsics import CheckedExtrinsic

__all__ = [
    "ExtrinsicsSubmitted", "MessageReceived", "PeerConnected", "PeerGone", "ReplicaEvent", "Started", "TimerFired",
    "WorkDone",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Started:
    """The host is ready to perform effects."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A peer finished its handshake: its identity is known and frames can be sent to it."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The connection to a peer ended."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One frame from a peer, not decoded yet: adversarial bytes."""

    peer: NodeId
    payload: bytes


@dataclass(frozen=True, slots=True)
class ExtrinsicsSubmitted:
    """Extrinsics that our own API admitted (`Replica.require_admissible`)."""

    extrinsics: tuple[CheckedExtrinsic, ...]


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that `SetTimer` asked for; `timer` is what it was given."""

    timer: Any


@dataclass(frozen=True, slots=True)
class WorkDone:
    """The result of a work order (`flockchain.duties`)."""

    result: Any


ReplicaEvent = (
    Started | PeerConnected | PeerGone | MessageReceived | ExtrinsicsSubmitted | TimerFired | WorkDone
)  # fmt: skip
