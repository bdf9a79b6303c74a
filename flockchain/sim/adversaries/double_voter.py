"""A validator that votes for two blocks in a view: two NOTARIZE, two FINALIZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.adversaries.adversary import forge_vote, read_own_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["DoubleVoter"]


class DoubleVoter:
    """Follows each of its votes with the one for another block."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            done.append(effect)
            vote = read_own_vote(node, effect)
            if vote is None or vote.kind is VoteKind.NULLIFY or not isinstance(effect, SendMessage):
                continue
            other = sha256(b"another block" + vote.block_hash)
            contrary = forge_vote(node, vote.kind, vote.epoch, vote.view, other, vote.signer)
            done.append(SendMessage(effect.peers, wire.encode_message(wire.VoteMessage(contrary))))
        return done
