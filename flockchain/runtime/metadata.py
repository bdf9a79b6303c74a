"""The runtime described as plain data: pallets, calls, arguments, events, constants. The API and the CLI serve it.

A type is the text of its codec (`primitives/schema.py`), and fields are in the order of their encoding: whoever can
read that language can encode any call.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from flockchain.primitives.codec import Struct
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.schema import describe_codec
from flockchain.runtime.flock import Runtime
from flockchain.runtime.frame import NO_EXTRINSIC, CallSpec, EncodedEvent, Pallet

__all__ = ["DecodedEvent", "EventUnknown", "decode_event", "describe_runtime"]

EVENT_HEAD_BYTES: Final = 6


class EventUnknown(InvalidInput):
    """Bytes that are no event of this runtime."""


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event for readers. `extrinsic` is the index in the block, or None for hooks and inherents."""

    extrinsic: int | None
    pallet: str
    name: str
    event: Any

    @property
    def fields(self) -> dict[str, Any]:
        """The event's fields by name, in their order."""
        return {field.name: getattr(self.event, field.name) for field in fields(self.event)}


def decode_event(runtime: Runtime, raw: EncodedEvent) -> DecodedEvent:
    """What an encoded event of a block says. Raises `InvalidInput`."""
    if len(raw) < EVENT_HEAD_BYTES:
        raise EventUnknown("an event has an origin, a pallet and an index", bytes=len(raw))
    origin, pallet_index, event_index = int.from_bytes(raw[:4], "big"), raw[4], raw[5]
    pallet = next((pallet for pallet in runtime.pallets if pallet.index == pallet_index), None)
    codec = pallet.events.get(event_index) if pallet is not None else None
    if pallet is None or codec is None:
        raise EventUnknown("there is no such event", pallet=pallet_index, event=event_index)
    event = codec.decode(raw[EVENT_HEAD_BYTES:])
    return DecodedEvent(None if origin == NO_EXTRINSIC else origin, pallet.name, type(event).__name__, event)


def describe_runtime(runtime: Runtime) -> dict[str, Any]:
    """Everything a client needs to build calls and read events, as JSON-ready data."""
    return {
        "chain": runtime.config.chain,
        "genesis_hash": runtime.genesis_hash.hex(),
        "spec_version": runtime.spec_version,
        "pallets": [_describe_pallet(pallet) for pallet in runtime.pallets],
    }


def _describe_pallet(pallet: Pallet) -> dict[str, Any]:
    return {
        "name": pallet.name,
        "index": pallet.index,
        "calls": [_describe_call(call) for call in pallet.calls],
        "events": [
            {"index": index, "name": codec.name, "fields": _describe_fields(codec)}
            for index, codec in sorted(pallet.events.items())
        ],
        "items": sorted(kind.__name__ for kind in pallet.items),
        "constants": dict(pallet.get_constants()),
    }


def _describe_call(call: CallSpec) -> dict[str, Any]:
    return {
        "index": call.index,
        "name": call.name,
        "weight": call.weight,
        "arguments": _describe_fields(call.arguments),
        "description": (call.handler.__doc__ or "").strip(),
    }


def _describe_fields(codec: Struct[Any]) -> list[dict[str, str]]:
    return [{"name": name, "type": describe_codec(part)} for name, part in codec.codecs.items()]
