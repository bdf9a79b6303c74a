"""What a Byzantine validator is: a production replica whose effects pass through somebody else's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flockchain.crypto.signing import compute_vote_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Epoch, Hash, View
from flockchain.primitives.vote import Proposal, Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["Adversary", "forge_vote", "read_heard_votes", "read_own_vote", "read_proposal"]


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


def read_own_vote(node: SimNode, effect: ReplicaEffect) -> Vote | None:
    """The vote that an effect sends in the node's own name, if it is one."""
    if not isinstance(effect, SendMessage) or effect.payload[0] != wire.MessageKind.VOTE:
        return None
    message = wire.decode_message(effect.payload)
    is_own = isinstance(message, wire.VoteMessage) and message.vote.signer == node.find_seat()
    return message.vote if isinstance(message, wire.VoteMessage) and is_own else None


def read_heard_votes(replica: Replica, view: View) -> list[Vote]:
    """The votes of a view that this machine holds: an adversary reads its own memory as it likes."""
    held = replica.core._votes._views.get(view)
    return [each.vote for each in held.held.values()] if held is not None else []


def read_proposal(replica: Replica, view: View) -> Proposal | None:
    """The first proposal of a view that this machine was shown."""
    state = replica.core._views._states.get(view)
    return None if state is None else state.proposal
