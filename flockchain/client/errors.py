"""What can go wrong between a client and a node, by the family that says what to do about it.

`InvalidInput`: the request, or an answer that does not verify. `Refused`: not allowed now, or not there.
`Fault`: no node answered. Knows gRPC's status codes; nothing else of the SDK does.
"""

from __future__ import annotations

import grpc

from flockchain.light.refusals import VerificationFailed
from flockchain.primitives.errors import Fault, FlockchainError, InvalidInput, Refused

__all__ = [
    "BrokenAnswer", "CallRefused", "DeadlineExceeded", "ExtrinsicFailed", "InvalidRequest", "NodeBusy", "NodeFailed",
    "NotFound", "Unreachable", "VerificationFailed", "build_error", "is_worth_retrying",
]  # fmt: skip


class InvalidRequest(InvalidInput):
    """The node found the request malformed; the sentence is the node's."""


class BrokenAnswer(InvalidInput):
    """A node's answer does not agree with itself or with what was asked."""


class CallRefused(Refused):
    """The chain or the node does not allow the request now; the sentence is the node's."""


class ExtrinsicFailed(Refused):
    """The extrinsic stands in a block, its fee is paid, and its call was refused."""


class NotFound(Refused):
    """The node knows no such thing."""


class NodeBusy(Refused):
    """A limit of the node is reached: streams, uploads, pool."""


class Unreachable(Fault):
    """No node answered."""


class NodeFailed(Fault):
    """The node made a mistake; its log says which."""


class DeadlineExceeded(Fault):
    """A node, or what was waited for, took longer than the time allowed."""


_BY_CODE: dict[grpc.StatusCode, type[FlockchainError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: CallRefused,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: NodeBusy,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: NodeFailed,
}
_RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})


def build_error(error: grpc.aio.AioRpcError, endpoint: str) -> FlockchainError:
    """The typed error of a failed call."""
    family = _BY_CODE.get(error.code(), Unreachable)
    sentence = error.details() or "the node gave no reason"
    if family is Unreachable:
        return Unreachable("the node did not answer", endpoint=endpoint, code=error.code().name, reason=sentence)
    return family(sentence)


def is_worth_retrying(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same idempotent call may well succeed a moment later."""
    return error.code() in _RETRIED
