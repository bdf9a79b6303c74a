"""A leader that has others punished without cause: by votes that they never signed, and twice for one offence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flockchain.crypto.hashing import compute_inherents_root, sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.block import Block
from flockchain.primitives.codec import U64
from flockchain.primitives.evidence import EVIDENCE, VoteEvidence
from flockchain.primitives.numbers import Epoch, View
from flockchain.primitives.vote import VOTE, Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage, ViewEntered
from flockchain.sim.adversaries.adversary import forge_vote
from flockchain.sim.adversaries.bad_proposal import spoil_proposals
from flockchain.storage.overlay import StateReader

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["FalseAccuser"]


_FRESH_BLOCKS: Final = 8  # evidence has an age, after which it is refused for that


class FalseAccuser:
    """Puts evidence into its blocks that no block may hold, and passes it on."""

    def __init__(self) -> None:
        self._own: VoteEvidence | None = None  # of an offence of ours, which we pass on once
        self._since = 0

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        peers = node.replica.relay.peers if node.replica is not None else ()
        done = spoil_proposals(node, effects, "false accusation", self._accuse)
        if peers and any(isinstance(effect, ViewEntered) for effect in effects):
            done += [SendMessage(peers, wire.encode_message(word)) for word in self._pass_on(node)]
        return done

    def _pass_on(self, node: SimNode) -> Iterator[wire.EvidenceMessage]:
        """In every view forged evidence of somebody; now and then true evidence of ourselves."""
        seat, height = node.find_seat(), node.get_height()
        if seat is None or node.replica is None:
            return
        epoch, view = node.replica.core.epoch, node.replica.view
        victim = (seat + 1) % len(node.replica.core.validators.validators)
        yield wire.EvidenceMessage(EVIDENCE.encode(_build(node, epoch, view, victim)))
        if self._own is None or height > self._since + _FRESH_BLOCKS:
            self._own, self._since = _build(node, epoch, view, seat), height
            yield wire.EvidenceMessage(EVIDENCE.encode(self._own))

    def _accuse(self, node: SimNode, block: Block, state: StateReader) -> Block | None:
        """One block blames another for what we signed; the next one ourselves, for what we were punished for."""
        seat, header = node.find_seat(), block.header
        if seat is None or node.replica is None:
            return None
        if header.height % 2:
            victim = (seat + 1) % len(node.replica.core.validators.validators)
            evidence = _build(node, header.epoch, header.view, victim)
        elif self._own is not None and _is_punished(state, self._own.first):
            evidence = self._own
        else:
            return None
        everything = (*block.evidence, EVIDENCE.encode(evidence))
        inherents_root = compute_inherents_root(block.reveal, everything)
        return replace(block, header=replace(header, inherents_root=inherents_root), evidence=everything)


def _is_punished(state: StateReader, vote: Vote) -> bool:
    """Whether the state holds an offence of that view."""
    prefix = b"offences/reported/" + U64.encode(vote.epoch) + U64.encode(vote.view)
    return next(iter(state.scan(prefix)), None) is not None


def _build(node: SimNode, epoch: Epoch, view: View, signer: int) -> VoteEvidence:
    """Two votes of a view with our own signatures, in the name of `signer`."""
    votes = [forge_vote(node, VoteKind.NOTARIZE, epoch, view, sha256(bytes([side])), signer) for side in (1, 2)]
    low, high = sorted(votes, key=VOTE.encode)
    return VoteEvidence(low, high)
