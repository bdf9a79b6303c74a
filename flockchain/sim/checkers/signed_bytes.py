"""What a consensus signature is over, written here once more, in the document's own words.

"FLOCKCHAIN/" ‖ kind ‖ "/v1" ‖ genesis hash ‖ u64 epoch ‖ u64 view ‖ block hash (zero for NULLIFY).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.vote import Certificate, Vote, VoteKind

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["compute_signed_bytes", "is_signed", "read_vote"]

_NAMES: Final = {VoteKind.NOTARIZE: b"notarize", VoteKind.NULLIFY: b"nullify", VoteKind.FINALIZE: b"finalize"}


def compute_signed_bytes(genesis_hash: bytes, word: Vote | Certificate) -> bytes:
    """The message behind a vote or a certificate."""
    place = word.epoch.to_bytes(8, "big") + word.view.to_bytes(8, "big")
    return b"FLOCKCHAIN/" + _NAMES[word.kind] + b"/v1" + genesis_hash + place + word.block_hash


def is_signed(node: SimNode, vote: Vote, key: bytes) -> bool:
    """Whether the owner of `key` signed the vote on the node's chain."""
    return node.world.bls.verify(key, compute_signed_bytes(node.genesis_hash, vote), vote.signature)


@lru_cache(maxsize=512)
def read_vote(payload: bytes) -> Vote:
    """The vote in a message that is one or is a proposal, which carries its leader's NOTARIZE."""
    message = wire.decode_message(payload)
    if isinstance(message, wire.VoteMessage):
        return message.vote
    proposal = message.proposal  # type: ignore[union-attr]
    header = proposal.block.header
    return Vote(VoteKind.NOTARIZE, header.epoch, proposal.view, compute_block_hash(header), 0, proposal.signature)
