"""A validator that says of a view both that nothing came of it and that its block is final, to different peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import ZERO_HASH
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.adversaries.adversary import forge_vote, read_own_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["NullifyFinalizer"]


class NullifyFinalizer:
    """Half of its peers get FINALIZE, the other half NULLIFY; in every other view all of them get both."""

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            vote = read_own_vote(node, effect)
            if vote is None or vote.kind is not VoteKind.FINALIZE or not isinstance(effect, SendMessage):
                done.append(effect)
                continue
            node.world.mark("nullify and finalize")
            nullify = forge_vote(node, VoteKind.NULLIFY, vote.epoch, vote.view, ZERO_HASH, vote.signer)
            half = len(effect.peers) // 2 if vote.view % 2 else 0
            done.append(SendMessage(effect.peers[half:], effect.payload))
            others = effect.peers[:half] or effect.peers
            done.append(SendMessage(others, wire.encode_message(wire.VoteMessage(nullify))))
        return done
