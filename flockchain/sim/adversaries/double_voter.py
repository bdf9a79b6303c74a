"""A validator that says yes to everything: two NOTARIZE in a view, and NULLIFY beside FINALIZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import ZERO_HASH
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.adversaries.adversary import forge_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["DoubleVoter"]


class DoubleVoter:
    """Follows each of its votes with the one that contradicts it."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            done.append(effect)
            if isinstance(effect, SendMessage):
                message = wire.decode_message(effect.payload)
                if isinstance(message, wire.VoteMessage) and message.vote.signer == node.find_seat():
                    contrary = wire.VoteMessage(self._contradict(node, message.vote))
                    done.append(SendMessage(effect.peers, wire.encode_message(contrary)))
        return done

    def _contradict(self, node: SimNode, vote: Vote) -> Vote:
        if vote.kind is VoteKind.NOTARIZE:
            other = sha256(b"another block" + vote.block_hash)
            return forge_vote(node, VoteKind.NOTARIZE, vote.epoch, vote.view, other, vote.signer)
        if vote.kind is VoteKind.FINALIZE:
            return forge_vote(node, VoteKind.NULLIFY, vote.epoch, vote.view, ZERO_HASH, vote.signer)
        other = sha256(b"a block of nobody")
        return forge_vote(node, VoteKind.FINALIZE, vote.epoch, vote.view, other, vote.signer)
