"""`client.chain`: where the chain is, its blocks, its validators, its rules."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.client.errors import BrokenAnswer
from flockchain.client.metadata import Metadata
from flockchain.client.records import BlockRecord, StatusRecord
from flockchain.client.transport import Link, Transport
from flockchain.crypto.hashing import compute_block_hash
from flockchain.light.header_proof import HeaderProof
from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.primitives.block import HEADER
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.limits import HEADERS_PER_PROOF_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.v1 import chain_pb2
from flockchain.v1.chain_pb2_grpc import ChainServiceStub

__all__ = ["Chain", "Genesis"]


@dataclass(frozen=True, slots=True)
class Genesis:
    """The chain's genesis file and the hash that names the chain."""

    genesis_hash: Hash
    toml: bytes


class Chain:
    """Reads of finalized blocks and of what the chain fixes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._metadata: Metadata | None = None

    async def get_status(self, link: Link | None = None) -> StatusRecord:
        """Height, view, epoch, finalized hash, peers and more of the node in use."""
        message = await self._transport.call(
            lambda used: used.get(ChainServiceStub).GetStatus, chain_pb2.GetStatusRequest(), link=link
        )
        return StatusRecord.from_message(message)

    async def get_block(self, at: Height | int | Hash | bytes | None = None) -> BlockRecord:
        """The finalized block at a height or with a hash; the last one by default. Raises `NotFound`."""
        request = chain_pb2.GetBlockRequest()
        if isinstance(at, bytes):
            request.block_hash = at
        elif at is not None:
            request.height = at
        message = await self._transport.call(lambda used: used.get(ChainServiceStub).GetBlock, request)
        record = BlockRecord.from_message(message)
        asked = record.block_hash if isinstance(at, bytes) else record.header.height
        if at is not None and asked != at:
            raise BrokenAnswer("the node gave another block than asked for", wanted=at, got=asked)
        return record

    async def get_header_proof(self, height: Height | int | None = None, *, link: Link | None = None) -> HeaderProof:
        """The header at `height`, or the last finalized one, and what finalizes it, for `flockchain.light`."""
        request = chain_pb2.ProveHeaderRequest()
        if height is not None:
            request.height = height
        proof = await self._get_header_proof(request, link)
        if height is not None and proof.header.height != height:
            raise BrokenAnswer("the node proved another header than asked for", wanted=height, got=proof.header.height)
        return proof

    async def get_light_block(self, epoch: Epoch | int) -> LightBlock:
        """The last header of an epoch, which names the next epoch's validators, with its certificate."""
        proof = await self._get_header_proof(chain_pb2.ProveHeaderRequest(last_of_epoch=epoch), None)
        if proof.headers or proof.light_block.header.epoch != epoch:
            raise BrokenAnswer("the node proved a header of another epoch", wanted=epoch, got=proof.header.epoch)
        return proof.light_block

    async def _get_header_proof(self, request: chain_pb2.ProveHeaderRequest, link: Link | None) -> HeaderProof:
        message = await self._transport.call(lambda used: used.get(ChainServiceStub).ProveHeader, request, link=link)
        if len(message.headers_canonical) > HEADERS_PER_PROOF_MAX:
            raise BrokenAnswer("the node proved a header by too many others", got=len(message.headers_canonical))
        try:
            headers = tuple(HEADER.decode(raw) for raw in message.headers_canonical)
            return HeaderProof(headers, LIGHT_BLOCK.decode(message.light_block_canonical))
        except DecodeError as error:
            raise BrokenAnswer("the node's proof of a header cannot be read", cause=error) from error

    async def get_validator_set(self, epoch: Epoch | int) -> ValidatorSet:
        """Members, keys and stakes of an epoch. The node keeps the recent epochs and the next one."""
        message = await self._transport.call(
            lambda used: used.get(ChainServiceStub).GetValidatorSet, chain_pb2.GetValidatorSetRequest(epoch=epoch)
        )
        return VALIDATOR_SET.decode(message.set_bytes_canonical)

    async def get_metadata(self, spec_version: int | None = None) -> Metadata:
        """Pallets, calls and events; kept until another `spec_version` is asked for."""
        if self._metadata is None or (spec_version is not None and spec_version != self._metadata.spec_version):
            message = await self._transport.call(
                lambda used: used.get(ChainServiceStub).GetMetadata, chain_pb2.GetMetadataRequest()
            )
            self._metadata = Metadata.from_message(message)
        return self._metadata

    async def get_genesis(self) -> Genesis:
        """What a node needs to join. The hash is the node's word: compare it with one that you trust."""
        message = await self._transport.call(
            lambda used: used.get(ChainServiceStub).GetGenesis, chain_pb2.GetGenesisRequest()
        )
        return Genesis(Hash(message.genesis_hash), message.genesis_toml)

    async def get_block_hash(self, height: Height | int) -> Hash:
        """The hash of the finalized block at `height`."""
        return compute_block_hash((await self.get_block(height)).header)
