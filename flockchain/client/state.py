"""`client.state`: finalized state by key, with proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from flockchain.client.errors import BrokenAnswer, VerificationFailed
from flockchain.client.transport import Transport
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.numbers import Hash
from flockchain.storage.proof import PROOF, Proof, verify_proof
from flockchain.v1 import state_pb2
from flockchain.v1.state_pb2_grpc import StateServiceStub

__all__ = ["ProvenValue", "State"]


@dataclass(frozen=True, slots=True)
class ProvenValue:
    """A value, or its absence, that is proven against the state root of `header`.

    Whether `header` itself is the chain's is for `flockchain.client.verification` to say.
    """

    key: bytes
    value: bytes | None
    proof: Proof
    header: Header

    @property
    def block_hash(self) -> Hash:
        return compute_block_hash(self.header)


class State:
    """Raw reads. The nouns above it give the same values decoded."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, key: bytes) -> bytes | None:
        """The finalized value of a key, on the node's word."""
        message = await self._transport.call(
            lambda used: used.get(StateServiceStub).GetState, state_pb2.GetStateRequest(key=key)
        )
        return message.value if message.found else None

    async def prove(self, *keys: bytes) -> tuple[ProvenValue, ...]:
        """Values with proofs, all verified against the one header that comes with them. Raises `VerificationFailed`."""
        message = await self._transport.call(
            lambda used: used.get(StateServiceStub).ProveState, state_pb2.ProveStateRequest(keys=keys)
        )
        header = HEADER.decode(message.header_canonical)
        if header.height != message.height or [entry.key for entry in message.entries] != list(keys):
            raise BrokenAnswer("the node proved other keys than asked for", wanted=len(keys), got=len(message.entries))
        proven: list[ProvenValue] = []
        for entry in message.entries:
            value = entry.value if entry.found else None
            proof = PROOF.decode(entry.proof_bytes_canonical)
            if not verify_proof(header.state_root, entry.key, value, proof):
                raise VerificationFailed("a state proof does not hold", key=entry.key, height=header.height)
            proven.append(ProvenValue(entry.key, value, proof, header))
        return tuple(proven)

    async def scan(self, prefix: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
        """Keys and values under a prefix, ascending, page by page. A block may be finalized between two pages."""
        after, has_more = b"", True
        while has_more:
            message = await self._transport.call(
                lambda used: used.get(StateServiceStub).ListState,
                state_pb2.ListStateRequest(prefix=prefix, after=after),
            )
            for entry in message.entries:
                yield entry.key, entry.value
            has_more = message.has_more and len(message.entries) > 0
            after = message.entries[-1].key if message.entries else after
