"""A validator that makes certificates without votes, and votes in the names of others.

Its certificates name every member as a signer and carry one signature, its own; so do the certificates with which it
answers those who are behind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flockchain.crypto.hashing import sha256
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Certificate, VoteKind, encode_bitmap
from flockchain.replica.effects import ReplicaEffect, SendMessage, ViewEntered
from flockchain.sim.adversaries.adversary import forge_vote, read_own_vote

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Forger"]


class Forger:
    """Forges in every view; in some of them it votes like those whom it forges, and keeps its true votes back."""

    def __init__(self) -> None:
        self._joined: set[tuple[Epoch, View]] = set()

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        done: list[ReplicaEffect] = []
        for effect in effects:
            vote = read_own_vote(node, effect)
            if vote is None or (vote.epoch, vote.view) not in self._joined:
                done.append(self._falsify(node, effect))
            if isinstance(effect, ViewEntered):
                done += self._forge(node, effect.epoch, effect.view)
        return done

    def _falsify(self, node: SimNode, effect: ReplicaEffect) -> ReplicaEffect:
        """A reply with blocks gets a certificate of our own making, and ends a block early."""
        if not isinstance(effect, SendMessage) or effect.payload[0] != wire.MessageKind.BLOCKS_REPLY:
            return effect
        reply = wire.decode_message(effect.payload)
        if not isinstance(reply, wire.BlocksReply) or len(reply.blocks) < 2:
            return effect
        blocks = reply.blocks[:-1]
        last = blocks[-1].header
        certificate = _forge_certificate(node, VoteKind.FINALIZE, last.epoch, last.view, reply.blocks[-1].header.parent)
        node.world.mark("forged sync")
        return SendMessage(effect.peers, wire.encode_message(replace(reply, blocks=blocks, certificate=certificate)))

    def _forge(self, node: SimNode, epoch: Epoch, view: View) -> list[ReplicaEffect]:
        replica, seat = node.replica, node.find_seat()
        if replica is None or seat is None or not replica.relay.peers:
            return []
        node.world.mark("forgery")
        made_up = sha256(b"a block of nobody" + view.to_bytes(8, "big"))
        kind, block_hash = node.world.rng.choice(
            ((VoteKind.NULLIFY, ZERO_HASH), (VoteKind.NOTARIZE, made_up), (VoteKind.FINALIZE, made_up))
        )
        signers = set(range(len(replica.core.validators.validators)))
        if view % 2 and replica.core.get_leader(view) != seat:
            self._joined.add((epoch, view))
        else:
            signers.discard(seat)
        words: list[wire.PeerMessage] = [
            wire.VoteMessage(forge_vote(node, kind, epoch, view, block_hash, signer)) for signer in sorted(signers)
        ]
        words.append(wire.CertificateMessage(_forge_certificate(node, kind, epoch, view, block_hash)))
        return [SendMessage(replica.relay.peers, wire.encode_message(word)) for word in words]


def _forge_certificate(node: SimNode, kind: VoteKind, epoch: Epoch, view: View, block_hash: Hash) -> Certificate:
    members = len(node.replica.core.validators.validators) if node.replica is not None else 1
    signature = forge_vote(node, kind, epoch, view, block_hash, 0).signature
    return Certificate(kind, epoch, view, block_hash, encode_bitmap(set(range(members))), signature)
