"""ChainService: where the chain is, its blocks, its validators, its rules."""

from __future__ import annotations

from typing import Any

import grpc.aio

from flockchain.crypto.hashing import compute_block_hash
from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.primitives.block import BLOCK, HEADER, Block, Header
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import HEADERS_PER_PROOF_MAX
from flockchain.primitives.numbers import U64_MAX, Epoch, Hash, Height
from flockchain.primitives.schema import describe_codec
from flockchain.primitives.vote import CERTIFICATE
from flockchain.rpc.backend import ChainBackend
from flockchain.rpc.epoch_sets import get_epoch_set
from flockchain.rpc.failures import NotThere
from flockchain.rpc.messages import build_header, build_validators
from flockchain.runtime.flock import Runtime
from flockchain.runtime.frame import Pallet
from flockchain.v1 import chain_pb2
from flockchain.v1.chain_pb2_grpc import ChainServiceServicer

__all__ = ["ChainService", "build_metadata"]

Context = grpc.aio.ServicerContext[Any, Any]


class ChainService(ChainServiceServicer):
    """Reads of finalized blocks and of what the chain fixes."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend
        self._metadata = build_metadata(backend.runtime)

    async def GetStatus(  # noqa: N802
        self, request: chain_pb2.GetStatusRequest, context: Context
    ) -> chain_pb2.GetStatusResponse:
        status, identity = self._backend.get_status(), self._backend.identity
        header = self._require_block(status.height).header
        return chain_pb2.GetStatusResponse(
            height=status.height, finalized_hash=status.finalized_hash, view=status.view, epoch=status.epoch,
            peers=status.peers, syncing=status.is_syncing, genesis_hash=identity.genesis_hash,
            chain_name=identity.chain_name, spec_version=self._backend.runtime.spec_version,
            node_version=identity.node_version, timestamp_ms=header.timestamp_ms, state_root=header.state_root,
            pending_extrinsics=status.pending_extrinsics, signing=status.signing,
        )  # fmt: skip

    async def GetBlock(  # noqa: N802
        self, request: chain_pb2.GetBlockRequest, context: Context
    ) -> chain_pb2.GetBlockResponse:
        height = self._get_height(request)
        block = self._require_block(height)
        certificate = self._backend.chain.get_certificate(height)
        return chain_pb2.GetBlockResponse(
            block_hash=compute_block_hash(block.header), header=build_header(block.header),
            block_bytes_canonical=BLOCK.encode(block),
            certificate_bytes_canonical=CERTIFICATE.encode(certificate) if certificate else b"",
            extrinsics=len(block.extrinsics), learning_items=len(block.learning),
        )  # fmt: skip

    async def ProveHeader(  # noqa: N802
        self, request: chain_pb2.ProveHeaderRequest, context: Context
    ) -> chain_pb2.ProveHeaderResponse:
        height = self._get_proven_height(request)
        headers: list[Header] = []
        while (certificate := self._backend.chain.get_certificate(height)) is None:
            headers.append(self._require_header(height))
            height = Height(height + 1)
            if len(headers) > HEADERS_PER_PROOF_MAX:
                raise NotThere("the certificate that covers this header is too far above it", height=height)
        header = self._require_header(height)
        light_block = LightBlock(header, certificate, get_epoch_set(self._backend, header.epoch))
        return chain_pb2.ProveHeaderResponse(
            headers_canonical=[HEADER.encode(lower) for lower in headers],
            light_block_canonical=LIGHT_BLOCK.encode(light_block),
        )

    async def GetValidatorSet(  # noqa: N802
        self, request: chain_pb2.GetValidatorSetRequest, context: Context
    ) -> chain_pb2.GetValidatorSetResponse:
        return build_validators(get_epoch_set(self._backend, Epoch(request.epoch)))

    async def GetMetadata(  # noqa: N802
        self, request: chain_pb2.GetMetadataRequest, context: Context
    ) -> chain_pb2.GetMetadataResponse:
        return self._metadata

    async def GetGenesis(  # noqa: N802
        self, request: chain_pb2.GetGenesisRequest, context: Context
    ) -> chain_pb2.GetGenesisResponse:
        identity = self._backend.identity
        return chain_pb2.GetGenesisResponse(genesis_hash=identity.genesis_hash, genesis_toml=identity.genesis_toml)

    def _get_proven_height(self, request: chain_pb2.ProveHeaderRequest) -> Height:
        if request.HasField("last_of_epoch"):
            last = self._backend.runtime.views.get_last_height(Epoch(request.last_of_epoch))
            if last > U64_MAX:
                raise InvalidInput("there is no such epoch", epoch=request.last_of_epoch)
            return last
        return Height(request.height) if request.HasField("height") else self._backend.get_status().height

    def _get_height(self, request: chain_pb2.GetBlockRequest) -> Height:
        if request.HasField("height"):
            return Height(request.height)
        if not request.HasField("block_hash"):
            return self._backend.get_status().height
        height = self._backend.chain.get_height(Hash(request.block_hash))
        if height is None:
            raise NotThere("no finalized block has this hash", block=request.block_hash)
        return height

    def _require_header(self, height: Height) -> Header:
        header = self._backend.chain.get_header(height)
        if header is None:
            self._backend.chain.require_height(height)
            raise NotThere("no header of this height is here", height=height)
        return header

    def _require_block(self, height: Height) -> Block:
        self._backend.chain.require_height(height)
        block = self._backend.chain.get_block(height)
        if block is None:
            raise NotThere("no block is finalized at this height", height=height)
        return block


def build_metadata(runtime: Runtime) -> chain_pb2.GetMetadataResponse:
    """The runtime as clients need it: calls and events by name, with the types of their fields."""
    return chain_pb2.GetMetadataResponse(
        spec_version=runtime.spec_version, pallets=[_build_pallet(pallet) for pallet in runtime.pallets]
    )


def _build_pallet(pallet: Pallet) -> chain_pb2.PalletMetadata:
    calls = [
        chain_pb2.CallMetadata(
            index=call.index, name=call.name, arguments=_build_fields(call.arguments.codecs), weight=call.weight,
            description=(call.handler.__doc__ or "").strip(),
        )
        for call in pallet.calls
    ]  # fmt: skip
    events = [
        chain_pb2.EventMetadata(index=index, name=codec.name, fields=_build_fields(codec.codecs))
        for index, codec in pallet.events.items()
    ]
    constants = {name: str(value) for name, value in pallet.get_constants().items()}
    return chain_pb2.PalletMetadata(
        index=pallet.index, name=pallet.name, calls=calls, events=events, constants=constants
    )


def _build_fields(codecs: dict[str, Any]) -> list[chain_pb2.FieldMetadata]:
    return [chain_pb2.FieldMetadata(name=name, type=describe_codec(codec)) for name, codec in codecs.items()]
