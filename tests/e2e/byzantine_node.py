"""A validator that breaks V2, on the real host: `python -m tests.e2e.byzantine_node HOME`.

It is an ordinary node but for one thing: the learning root of every block that it proposes is not the root of the
block's learning section. The forged block is signed with the validator's true key. It prints the hash of each.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.crypto.voting import sign_vote
from flockchain.gossip import messages as wire
from flockchain.node.app import run_node
from flockchain.primitives.vote import Proposal, VoteKind
from flockchain.replica import assembly
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.replica.events import ReplicaEvent
from flockchain.replica.replica import Replica

__all__ = ["FORGED", "RootForger"]

FORGED = "forged "  # begins a line of the log; the block's hash follows


class RootForger(Replica):
    """What an honest replica would propose, with another learning root."""

    def on_event(self, event: ReplicaEvent, now_ms: int) -> list[ReplicaEffect]:
        effects = super().on_event(event, now_ms)
        return [self._spoil(effect) if isinstance(effect, SendMessage) else effect for effect in effects]

    def _spoil(self, effect: SendMessage) -> SendMessage:
        message = wire.decode_message(effect.payload)
        if not isinstance(message, wire.ProposalMessage):
            return effect
        if message.proposal.block.header.proposer != self.participant.identity.account:
            return effect  # we only pass it on
        return SendMessage(effect.peers, wire.encode_message(wire.ProposalMessage(self._forge(message.proposal))))

    def _forge(self, proposal: Proposal) -> Proposal:
        header = proposal.block.header
        header = replace(header, learning_root=sha256(header.learning_root))
        block_hash = compute_block_hash(header)
        keys = self.participant.identity.keys
        if keys is None:
            raise RuntimeError("a validator has keys")
        signature = sign_vote(
            self.participant.bls, self.participant.genesis_hash, keys.secret_key, VoteKind.NOTARIZE, header.epoch,
            proposal.view, block_hash,
        )  # fmt: skip
        print(f"{FORGED}{block_hash.hex()}", flush=True)
        return replace(proposal, block=replace(proposal.block, header=header), signature=signature)


if __name__ == "__main__":
    assembly.Replica = RootForger  # type: ignore[attr-defined]
    sys.exit(run_node(Path(sys.argv[1])))
