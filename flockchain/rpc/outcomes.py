"""What executing a finalized block gave, as the archive keeps it: events and receipts, decoded and by name."""

from __future__ import annotations

from functools import lru_cache

from flockchain.primitives.errors import invariant
from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import Height, Round, TaskId
from flockchain.rpc.backend import FinalizedChain
from flockchain.rpc.messages import build_event
from flockchain.runtime.execution import BLOCK_OUTCOME, BlockOutcome, Receipt
from flockchain.runtime.flock import Runtime
from flockchain.runtime.metadata import decode_event
from flockchain.runtime.pallets.models import ModelAdvanced, Models
from flockchain.runtime.pallets.validation import PhaseStarted, RoundVoided, Validation
from flockchain.v1 import events_pb2, extrinsics_pb2

__all__ = ["Outcomes"]

_EVENT_HEAD_BYTES = 6  # origin, pallet, event
_OUTCOMES_CACHED = 16
_PALLETS_OF_ROUNDS = (Validation.index, Models.index)


class Outcomes:
    """Reads of receipts and events; the last few blocks are kept decoded, because every subscriber asks for them."""

    def __init__(self, chain: FinalizedChain, runtime: Runtime) -> None:
        self._chain = chain
        self._runtime = runtime
        self.get = lru_cache(maxsize=_OUTCOMES_CACHED)(self._read)
        self.get_events = lru_cache(maxsize=_OUTCOMES_CACHED)(self._build_events)

    def get_receipt(self, height: Height, index: int) -> Receipt:
        """The receipt of a finalized extrinsic."""
        outcome = self.get(height)
        invariant(outcome is not None and index < len(outcome.receipts), "an extrinsic has a receipt", height=height)
        return outcome.receipts[index]  # type: ignore[union-attr]

    def get_round_changes(self, height: Height) -> list[events_pb2.RoundChanged]:
        """The rounds that a block opened, moved to another phase or ended."""
        outcome = self.get(height)
        changes: list[events_pb2.RoundChanged] = []
        for raw in outcome.events if outcome else ():
            if raw[4] not in _PALLETS_OF_ROUNDS:
                continue
            event = decode_event(self._runtime, raw).event
            if isinstance(event, PhaseStarted):
                changes.append(_build_change(event.task, event.round, event.phase, height))
            elif isinstance(event, RoundVoided):
                changes.append(_build_change(event.task, event.round, Phase.VOID, height))
            elif isinstance(event, ModelAdvanced):
                changes.append(_build_change(event.task, event.round, Phase.ADVANCED, height))
        return changes

    def _read(self, height: Height) -> BlockOutcome | None:
        """None for genesis, which was not executed."""
        raw = self._chain.get_receipts(height)
        return BLOCK_OUTCOME.decode(raw) if raw else None

    def _build_events(self, height: Height) -> tuple[extrinsics_pb2.RuntimeEvent, ...]:
        outcome = self.get(height)
        return tuple(
            build_event(decode_event(self._runtime, raw), (raw[4], raw[5]), raw[_EVENT_HEAD_BYTES:])
            for raw in (outcome.events if outcome else ())
        )


def _build_change(task: TaskId, round: Round, phase: Phase, height: Height) -> events_pb2.RoundChanged:
    number = events_pb2.RoundChanged(task=task, round=round, height=height)
    number.phase = int(phase) + 1  # type: ignore[assignment]
    return number
