"""Headers below a certified one: each is the parent of the next, so one certificate proves them all.

A trail is everything that leads from what is trusted to such a header, so that anyone can verify it again offline.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from flockchain.crypto.hashing import compute_block_hash
from flockchain.light.client import LightClient
from flockchain.light.light_block import LIGHT_BLOCK, LightBlock
from flockchain.light.refusals import NotEnoughTrust, VerificationFailed
from flockchain.primitives.block import HEADER, Header
from flockchain.primitives.codec import ListOf, struct
from flockchain.primitives.limits import HEADERS_PER_PROOF_MAX, TRAIL_HOPS_MAX
from flockchain.primitives.numbers import TimestampMs

__all__ = [
    "HEADER_PROOF", "HEADER_TRAIL", "HeaderProof", "HeaderTrail", "require_header", "require_linked", "require_trail",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """`headers` lead from the wanted one up to the parent of `light_block`'s; none when that is the wanted one."""

    headers: tuple[Header, ...]
    light_block: LightBlock

    @property
    def header(self) -> Header:
        """The header that is proven."""
        return self.headers[0] if self.headers else self.light_block.header


@dataclass(frozen=True, slots=True)
class HeaderTrail:
    """From what is trusted to a header: the light blocks that a client verifies on the way, oldest first."""

    hops: tuple[LightBlock, ...]
    target: HeaderProof


HEADER_PROOF = struct(HeaderProof, headers=ListOf(HEADER, HEADERS_PER_PROOF_MAX), light_block=LIGHT_BLOCK)
HEADER_TRAIL = struct(HeaderTrail, hops=ListOf(LIGHT_BLOCK, TRAIL_HOPS_MAX), target=HEADER_PROOF)


def require_linked(proof: HeaderProof) -> Header:
    """The proven header, as final as the light block is. Raises `VerificationFailed`."""
    headers = (*proof.headers, proof.light_block.header)
    for parent, child in pairwise(headers):
        if child.parent != compute_block_hash(parent) or child.height != parent.height + 1:
            raise VerificationFailed("headers do not follow one another", height=child.height)
    return proof.header


def require_header(client: LightClient, proof: HeaderProof, now_ms: TimestampMs | int) -> Header:
    """The proven header; the client trusts its light block, too, from now on. Raises as `LightClient.verify` does."""
    header = require_linked(proof)
    client.verify(proof.light_block, now_ms)
    return header


def require_trail(client: LightClient, trail: HeaderTrail, now_ms: TimestampMs | int) -> Header:
    """The target header, which the client trusts from now on.

    Raises as `LightClient.verify` does, but a step that is left out is a `VerificationFailed`.
    """
    try:
        for hop in trail.hops:
            client.verify(hop, now_ms)
        return require_header(client, trail.target, now_ms)
    except NotEnoughTrust as error:
        raise VerificationFailed("a trail leaves out a step", height=trail.target.header.height) from error
