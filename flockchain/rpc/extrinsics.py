"""ExtrinsicService: how signed extrinsics get in, and what became of them."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.limits import API_EXTRINSICS_PER_CALL_MAX
from flockchain.primitives.numbers import HASH_BYTES, AccountId, Hash, Height
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.failures import NotThere
from flockchain.rpc.outcomes import Outcomes
from flockchain.v1 import extrinsics_pb2
from flockchain.v1.extrinsics_pb2_grpc import ExtrinsicServiceServicer

__all__ = ["ExtrinsicService"]

Context = grpc.aio.ServicerContext[Any, Any]


class ExtrinsicService(ExtrinsicServiceServicer):
    """The way of calls into the chain."""

    def __init__(self, backend: ChainBackend, outcomes: Outcomes) -> None:
        self._backend = backend
        self._outcomes = outcomes

    async def SubmitExtrinsic(  # noqa: N802
        self, request: extrinsics_pb2.SubmitExtrinsicRequest, context: Context
    ) -> extrinsics_pb2.SubmitExtrinsicResponse:
        extrinsic_hash = await self._backend.pool.submit_extrinsic(request.extrinsic)
        return extrinsics_pb2.SubmitExtrinsicResponse(extrinsic_hash=extrinsic_hash)

    async def SubmitExtrinsics(  # noqa: N802
        self, request: extrinsics_pb2.SubmitExtrinsicsRequest, context: Context
    ) -> extrinsics_pb2.SubmitExtrinsicsResponse:
        count, most = len(request.extrinsics), API_EXTRINSICS_PER_CALL_MAX
        if count > most:
            raise InvalidInput("too many extrinsics in one call", most=most, got=count)
        return extrinsics_pb2.SubmitExtrinsicsResponse(outcomes=[await self._submit(raw) for raw in request.extrinsics])

    async def GetExtrinsic(  # noqa: N802
        self, request: extrinsics_pb2.GetExtrinsicRequest, context: Context
    ) -> extrinsics_pb2.GetExtrinsicResponse:
        extrinsic_hash = Hash(request.extrinsic_hash)
        place = self._backend.chain.find_extrinsic(extrinsic_hash)
        if place is not None:
            return self._build_included(*place)
        if self._backend.pool.is_pending(extrinsic_hash):
            return extrinsics_pb2.GetExtrinsicResponse(status=extrinsics_pb2.EXTRINSIC_STATUS_PENDING)
        raise NotThere("the node knows no such extrinsic", extrinsic=extrinsic_hash)

    async def GetAccount(  # noqa: N802
        self, request: extrinsics_pb2.GetAccountRequest, context: Context
    ) -> extrinsics_pb2.GetAccountResponse:
        if len(request.account) != HASH_BYTES:
            raise InvalidInput("an account has 32 bytes", got=len(request.account))
        account, views, state = AccountId(request.account), self._backend.runtime.views, self._backend.chain.state
        return extrinsics_pb2.GetAccountResponse(
            nonce=views.get_nonce(state, account), next_nonce=self._backend.pool.get_next_nonce(account),
            balance=str(views.get_balance(state, account)),
        )  # fmt: skip

    async def _submit(self, raw: bytes) -> extrinsics_pb2.SubmitOutcome:
        try:
            return extrinsics_pb2.SubmitOutcome(extrinsic_hash=await self._backend.pool.submit_extrinsic(raw))
        except (InvalidInput, Refused) as error:
            return extrinsics_pb2.SubmitOutcome(refusal=str(error), invalid=isinstance(error, InvalidInput))

    def _build_included(self, height: Height, index: int) -> extrinsics_pb2.GetExtrinsicResponse:
        block = self._backend.chain.get_block(height)
        invariant(block is not None, "an indexed block is there", height=height)
        receipt = self._outcomes.get_receipt(height, index)
        return extrinsics_pb2.GetExtrinsicResponse(
            status=extrinsics_pb2.EXTRINSIC_STATUS_INCLUDED, height=height, index=index,
            block_hash=compute_block_hash(block.header) if block else b"", succeeded=receipt.is_success,
            refusal=receipt.refusal, fee=str(receipt.fee),
            events=[
                event
                for event in self._outcomes.get_events(height)
                if event.HasField("extrinsic_index") and event.extrinsic_index == index
            ],
        )  # fmt: skip
