"""`client.state`: finalized state by key, with proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from flockchain.client.errors import BrokenAnswer, VerificationFailed
from flockchain.client.transport import Transport
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.codec import DecodeError, OptionOf, VarBytes, struct
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import Hash
from flockchain.storage.ics23 import encode_commitment_proof
from flockchain.storage.proof import PROOF, Proof, verify_proof
from flockchain.v1 import state_pb2
from flockchain.v1.state_pb2_grpc import StateServiceStub

__all__ = ["PROVEN_VALUE", "ProvenValue", "State"]


@dataclass(frozen=True, slots=True)
class ProvenValue:
    """A value, or its absence, that is proven against the state root of `header`.

    Whether `header` itself is the chain's is for `client.light` to say.
    """

    key: bytes
    value: bytes | None
    proof: Proof
    header: Header

    @property
    def block_hash(self) -> Hash:
        return compute_block_hash(self.header)

    def to_ics23(self) -> bytes:
        """The proof as a serialised ICS23 `CommitmentProof`, for verifiers that know `SmtSpec` and not this chain."""
        return encode_commitment_proof(self.key, self.proof)


PROVEN_VALUE = struct(
    ProvenValue, key=VarBytes(STATE_KEY_BYTES_MAX), value=OptionOf(VarBytes(STATE_VALUE_BYTES_MAX)), proof=PROOF,
    header=HEADER,
)  # fmt: skip


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
        try:
            header = HEADER.decode(message.header_canonical)
            proofs = [PROOF.decode(entry.proof_bytes_canonical) for entry in message.entries]
        except DecodeError as error:
            raise BrokenAnswer("the node's state proof cannot be read", cause=error) from error
        if header.height != message.height or [entry.key for entry in message.entries] != list(keys):
            raise BrokenAnswer("the node proved other keys than asked for", wanted=len(keys), got=len(message.entries))
        proven: list[ProvenValue] = []
        for entry, proof in zip(message.entries, proofs, strict=True):
            value = entry.value if entry.found else None
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
                if entry.key <= after or not entry.key.startswith(prefix):
                    raise BrokenAnswer("the node's keys do not ascend under the prefix", prefix=prefix, got=entry.key)
                after = entry.key
                yield entry.key, entry.value
            has_more = message.has_more and len(message.entries) > 0
