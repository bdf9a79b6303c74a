"""`client.chain`: where the chain is, its blocks, its validators, its rules."""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.client.errors import BrokenAnswer
from flockchain.client.metadata import Metadata
from flockchain.client.records import BlockRecord, StatusRecord
from flockchain.client.transport import Link, Transport
from flockchain.client.verification import HeaderProof
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import HEADER
from flockchain.primitives.numbers import Epoch, Hash, Height
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.primitives.vote import CERTIFICATE
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

    async def get_header_proof(self, height: Height | int) -> HeaderProof:
        """The header at `height` and what finalizes it, for `flockchain.client.verification`."""
        proof = await self._get_header_proof(chain_pb2.ProveHeaderRequest(height=height))
        if proof.headers[0].height != height:
            raise BrokenAnswer("the node proved another header than asked for", wanted=height)
        return proof

    async def get_epoch_proof(self, epoch: Epoch | int) -> HeaderProof:
        """The last header of an epoch, which names the next epoch's validators, and what finalizes it."""
        proof = await self._get_header_proof(chain_pb2.ProveHeaderRequest(last_of_epoch=epoch))
        if proof.headers[0].epoch != epoch:
            raise BrokenAnswer("the node proved a header of another epoch", wanted=epoch, got=proof.headers[0].epoch)
        return proof

    async def _get_header_proof(self, request: chain_pb2.ProveHeaderRequest) -> HeaderProof:
        message = await self._transport.call(lambda used: used.get(ChainServiceStub).ProveHeader, request)
        headers = tuple(HEADER.decode(raw) for raw in message.headers_canonical)
        if not headers:
            raise BrokenAnswer("the node proved no header")
        raw = message.certificate_bytes_canonical
        return HeaderProof(headers, CERTIFICATE.decode(raw) if raw else None)

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
