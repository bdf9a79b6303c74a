"""What a Byzantine validator is: a production replica whose effects pass through somebody else's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flockchain.crypto.signing import compute_vote_bytes
from flockchain.primitives.numbers import Epoch, Hash, View
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Adversary", "forge_vote"]


class Adversary(Protocol):
    """Turns what an honest replica would do into what this one does."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]: ...


def forge_vote(node: SimNode, kind: VoteKind, epoch: Epoch, view: View, block_hash: Hash, signer: int) -> Vote:
    """A vote with the node's true signature, which no honest node would give."""
    replica = node.replica
    genesis_hash = replica.participant.genesis_hash if replica is not None else Hash(b"")
    message = compute_vote_bytes(genesis_hash, kind, epoch, view, block_hash)
    signature = node.world.bls.sign(node.secrets.consensus_secret, message)
    return Vote(kind, epoch, view, block_hash, signer, signature)
