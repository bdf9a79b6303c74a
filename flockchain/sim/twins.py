"""One validator key on two nodes: both run honest code, each with its own disk, and so they contradict one another.

A twin changes nothing of what its replica does. It makes its node count as faulty, for its key is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Hash
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.dev_keys import ValidatorSecrets, derive_dev_keys
from flockchain.sim.checkers.signed_bytes import is_signed, read_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Twin", "derive_twin"]

_VOTES: Final = (wire.MessageKind.PROPOSAL, wire.MessageKind.VOTE)


@dataclass
class Twin:
    """Both nodes share one of these, which only listens to what the key is used for."""

    _said: dict[tuple[VoteKind, int, int], Hash] = field(default_factory=dict)

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        for effect in effects:
            if isinstance(effect, SendMessage) and effect.payload[0] in _VOTES:
                vote = read_vote(effect.payload)
                if is_signed(node, vote, node.consensus_key):
                    self._hear(node, vote)
        return effects

    def _hear(self, node: SimNode, vote: Vote) -> None:
        if self._said.setdefault((vote.kind, vote.epoch, vote.view), vote.block_hash) != vote.block_hash:
            node.world.mark("twin voted twice")
        other = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(vote.kind)
        if other is not None and (other, vote.epoch, vote.view) in self._said:
            node.world.mark("twin voted twice")


def derive_twin(secrets: ValidatorSecrets, name: str) -> ValidatorSecrets:
    """The same validator on another machine: with another node identity."""
    return replace(secrets, node_seed=derive_dev_keys(name).node_seed)
