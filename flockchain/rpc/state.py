"""StateService: finalized state by key, with proofs."""

from __future__ import annotations

from itertools import islice
from typing import Any

import grpc.aio

from flockchain.primitives.block import HEADER
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.limits import API_MESSAGE_BYTES_MAX, API_PAGE_MAX, PROVEN_KEYS_MAX, STATE_KEY_BYTES_MAX
from flockchain.rpc.backend import ChainBackend, StateProof
from flockchain.storage.ics23 import encode_commitment_proof
from flockchain.storage.proof import PROOF
from flockchain.v1 import state_pb2
from flockchain.v1.state_pb2_grpc import StateServiceServicer

__all__ = ["StateService"]

_PAGE_BYTES_MAX = API_MESSAGE_BYTES_MAX // 4
_SCANNED_MAX = 65_536

Context = grpc.aio.ServicerContext[Any, Any]


class StateService(StateServiceServicer):
    """Raw reads of the finalized head's state."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def GetState(  # noqa: N802
        self, request: state_pb2.GetStateRequest, context: Context
    ) -> state_pb2.GetStateResponse:
        _require_key(request.key)
        value = self._backend.chain.state.get(request.key)
        height = self._backend.get_status().height
        return state_pb2.GetStateResponse(found=value is not None, value=value or b"", height=height)

    async def ProveState(  # noqa: N802
        self, request: state_pb2.ProveStateRequest, context: Context
    ) -> state_pb2.ProveStateResponse:
        if not 0 < len(request.keys) <= PROVEN_KEYS_MAX:
            raise InvalidInput("so many keys are not proven at a time", most=PROVEN_KEYS_MAX, got=len(request.keys))
        for key in request.keys:
            _require_key(key)
        proofs = [(key, self._backend.prove(key)) for key in request.keys]
        height = proofs[0][1].height
        invariant(all(proof.height == height for _, proof in proofs), "nothing is finalized between two proofs")
        block = self._backend.chain.get_block(height)
        invariant(block is not None, "the finalized head is on disk", height=height)
        entries = [_build_entry(key, proof, with_ics23=request.with_ics23) for key, proof in proofs]
        header = HEADER.encode(block.header) if block else b""
        return state_pb2.ProveStateResponse(entries=entries, height=height, header_canonical=header)

    async def ListState(  # noqa: N802
        self, request: state_pb2.ListStateRequest, context: Context
    ) -> state_pb2.ListStateResponse:
        _require_key(request.prefix)
        limit = min(request.limit or API_PAGE_MAX, API_PAGE_MAX)
        entries: list[state_pb2.StateEntry] = []
        size_bytes, has_more = 0, False
        for key, value in islice(self._backend.chain.state.scan(request.prefix), _SCANNED_MAX):
            if key <= request.after:
                continue
            if len(entries) == limit or size_bytes > _PAGE_BYTES_MAX:
                has_more = True
                break
            entries.append(state_pb2.StateEntry(key=key, value=value))
            size_bytes += len(key) + len(value)
        height = self._backend.get_status().height
        return state_pb2.ListStateResponse(entries=entries, has_more=has_more, height=height)


def _build_entry(key: bytes, proof: StateProof, *, with_ics23: bool) -> state_pb2.ProvenEntry:
    return state_pb2.ProvenEntry(
        key=key, found=proof.value is not None, value=proof.value or b"", proof_bytes_canonical=proof.proof,
        ics23_commitment_proof=encode_commitment_proof(key, PROOF.decode(proof.proof)) if with_ics23 else b"",
    )  # fmt: skip


def _require_key(key: bytes) -> None:
    if not 0 < len(key) <= STATE_KEY_BYTES_MAX:
        raise InvalidInput("a state key has from one byte to the limit", got=len(key), most=STATE_KEY_BYTES_MAX)
