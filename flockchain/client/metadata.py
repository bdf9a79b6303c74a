"""What the runtime can be asked to do, as the node describes it: calls by name, with the codecs of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.extrinsic import Call
from flockchain.primitives.schema import Schema, parse_schema
from flockchain.v1 import chain_pb2

__all__ = ["CallRequest", "Metadata", "UnknownCall"]


class UnknownCall(InvalidInput):
    """No pallet of this chain has a call of that name."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call by name, e.g. `CallRequest("balances.transfer", {"to": account, "amount": 5})`."""

    name: str
    arguments: Mapping[str, Any] | object


@dataclass(frozen=True, slots=True)
class CallShape:
    """Where a call is, and how its arguments are encoded."""

    pallet: int
    call: int
    arguments: Schema
    weight: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """The calls of one spec version, by "<pallet>.<call>"."""

    spec_version: int
    calls: Mapping[str, CallShape]

    def encode_call(self, request: CallRequest) -> Call:
        """The call as it goes into an extrinsic. Raises `UnknownCall`, or `EncodeError` for arguments that do not fit.

        Arguments are a mapping or an object with those attributes; bytes may be hex, members of enumerations names.
        """
        shape = self.calls.get(request.name)
        if shape is None:
            raise UnknownCall("the chain has no such call", call=request.name, spec_version=self.spec_version)
        return Call(shape.pallet, shape.call, shape.arguments.encode(request.arguments))

    @classmethod
    def from_message(cls, message: chain_pb2.GetMetadataResponse) -> Metadata:
        calls: dict[str, CallShape] = {}
        for pallet in message.pallets:
            for call in pallet.calls:
                fields = ", ".join(f"{field.name}: {field.type}" for field in call.arguments)
                schema = parse_schema(f"struct {call.name}{{{fields}}}")
                calls[f"{pallet.name}.{call.name}"] = CallShape(pallet.index, call.index, schema, call.weight)
        return cls(message.spec_version, calls)
