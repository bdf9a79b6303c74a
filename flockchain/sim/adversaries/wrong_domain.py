"""A validator that passes one kind's signatures off as another's: its own, and those of members that it heard.

NOTARIZE signatures as FINALIZE and NULLIFY; votes for the same view on another chain; the randomness reveal, or the
proof of possession of a key, as a vote; and a bond with the keys and proofs of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_reveal_bytes, compute_vote_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Height, NodeId, Nonce, Stake, View
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import ReplicaEffect, SendMessage, ViewEntered
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.runtime.extrinsics import sign_extrinsic
from flockchain.runtime.pallets.staking import BOND, Bond
from flockchain.sim.adversaries.adversary import read_heard_votes
from flockchain.sim.adversaries.flooder import FLOODER_ACCOUNT

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode

__all__ = ["WrongDomain"]

_STOLEN_BOND: Final = (2, 0)


class WrongDomain:
    """Sends everything of the view that it leaves under other names."""

    def __init__(self) -> None:
        self._has_bonded = False

    def apply(self, node: SimNode, effects: list[ReplicaEffect]) -> list[ReplicaEffect]:
        replica, seat = node.replica, node.find_seat()
        entered = next((effect for effect in effects if isinstance(effect, ViewEntered)), None)
        if replica is None or seat is None or entered is None or not replica.relay.peers:
            return effects
        node.world.mark("wrong domain")
        votes = [*_relabel(replica, entered), *_sign_elsewhere(node, seat, entered.epoch, entered.view)]
        words: list[wire.PeerMessage] = [wire.VoteMessage(vote) for vote in votes]
        if not self._has_bonded:
            self._has_bonded = True
            words.append(wire.ExtrinsicsMessage((_bond_with_stolen_keys(node),)))
        return [*effects, *(SendMessage(replica.relay.peers, wire.encode_message(word)) for word in words)]


def _relabel(replica: Replica, entered: ViewEntered) -> Iterator[Vote]:
    """What members said of the view before, as if they had said something else."""
    for vote in read_heard_votes(replica, View(entered.view - 1)):
        if vote.kind is VoteKind.NOTARIZE:
            yield replace(vote, kind=VoteKind.FINALIZE)
            yield replace(vote, kind=VoteKind.NULLIFY, block_hash=ZERO_HASH)
            yield replace(vote, view=entered.view)


def _sign_elsewhere(node: SimNode, seat: int, epoch: Epoch, view: View) -> Iterator[Vote]:
    """Good signatures of our own, over what is no vote of this chain."""
    bls, secret = node.world.bls, node.secrets.consensus_secret
    another_chain = sha256(node.genesis_hash)
    block_hash = sha256(b"a block of another chain")
    messages = compute_vote_bytes(another_chain, VoteKind.NOTARIZE, epoch, view, block_hash)
    yield Vote(VoteKind.NOTARIZE, epoch, view, block_hash, seat, bls.sign(secret, messages))
    reveal = bls.sign(secret, compute_reveal_bytes(node.genesis_hash, epoch, view))
    yield Vote(VoteKind.NULLIFY, epoch, view, ZERO_HASH, seat, reveal)
    yield Vote(VoteKind.FINALIZE, epoch, view, block_hash, seat, bls.prove_possession(secret))


def _bond_with_stolen_keys(node: SimNode) -> bytes:
    """A bond of an account of our own, with the BLS keys of another validator and proofs that are ours."""
    victim = next(each for each in node.world.nodes if each is not node)
    seed = derive_dev_account(FLOODER_ACCOUNT)
    proof = node.world.bls.prove_possession(node.secrets.consensus_secret)
    bond = Bond(
        Stake(node.world.genesis.staking.min_stake), 0, NodeId(sha256(b"no node")), sha256(b"no key"),
        victim.consensus_key,
        proof, node.world.bls.get_public_key(sha256(b"another")), proof,
    )  # fmt: skip
    payload = ExtrinsicPayload(
        sender=AccountId(ed25519.get_public_key(seed)), nonce=Nonce(0), tip=0, birth=Height(node.get_height()),
        lifetime_blocks=64, spec_version=1, call=Call(*_STOLEN_BOND, BOND.encode(bond)),
    )  # fmt: skip
    return sign_extrinsic(seed, node.genesis_hash, payload)
