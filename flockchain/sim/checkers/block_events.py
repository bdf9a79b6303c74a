"""Events of a block as bytes: which pallet, which event, and the encoded fields. Nothing of the runtime is used.

u32 index of the extrinsic ‖ u8 pallet ‖ u8 event ‖ fields
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flockchain.primitives.codec import Reader
from flockchain.runtime.ledger import ExecutedBlock

__all__ = [
    "BOND_RETURNED", "BURNED", "COMMITTEE_DRAWN", "FEES_SHARED", "MEMBER_ABSENT", "MODEL_ADVANCED", "OFFENCE_REPORTED",
    "PROPOSER_REWARDED", "ROUND_VOIDED", "SLASHED", "UNBONDING", "UPDATE_JUDGED", "UPDATE_SUBMITTED", "WITHDRAWN",
    "EventKind", "iterate_events",
]  # fmt: skip

EventKind = tuple[int, int]  # pallet, event: append-only numbers of the protocol

FEES_SHARED: Final[EventKind] = (1, 1)
BURNED: Final[EventKind] = (1, 2)
UNBONDING: Final[EventKind] = (2, 2)
WITHDRAWN: Final[EventKind] = (2, 3)
SLASHED: Final[EventKind] = (2, 6)
PROPOSER_REWARDED: Final[EventKind] = (2, 7)
OFFENCE_REPORTED: Final[EventKind] = (3, 0)
UPDATE_SUBMITTED: Final[EventKind] = (5, 0)
COMMITTEE_DRAWN: Final[EventKind] = (6, 1)
UPDATE_JUDGED: Final[EventKind] = (6, 4)
ROUND_VOIDED: Final[EventKind] = (6, 6)
MODEL_ADVANCED: Final[EventKind] = (7, 0)
MEMBER_ABSENT: Final[EventKind] = (8, 1)
BOND_RETURNED: Final[EventKind] = (8, 3)

_ORIGIN_BYTES: Final = 4


def iterate_events(executed: ExecutedBlock, *kinds: EventKind) -> Iterator[tuple[EventKind, Reader]]:
    """The block's events of these kinds, in order, each with a reader of its fields."""
    for event in executed.outcome.events if executed.outcome is not None else ():
        kind = (event[_ORIGIN_BYTES], event[_ORIGIN_BYTES + 1])
        if kind in kinds:
            reader = Reader(event)
            reader.take(_ORIGIN_BYTES + 2)
            yield kind, reader
