"""What the checker of votes holds against a node, and the one thing that it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flockchain.consensus.guard import GUARD_RECORD, VoteRecord
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Hash, View
from flockchain.primitives.vote import Vote, VoteKind
from flockchain.replica.effects import SendMessage
from flockchain.sim.checkers.one_vote import FORGOTTEN_BY_ALL, OneVote
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import build_world
from tests.kit.sim_worlds import GENESIS

EPOCH, VIEW = Epoch(9), View(3)
ONE, TWO = Hash(b"\1" * 32), Hash(b"\2" * 32)


class Trial:
    """One node that votes, three that may hear it, and the checker alone."""

    def __init__(self) -> None:
        self.world = build_world(1, GENESIS, build_calm_plan(1_000), nodes=4)
        self.world.start()
        self.node, self.peer = self.world.nodes[:2]
        self.checker = OneVote()

    def say(self, kind: VoteKind, block_hash: Hash) -> bytes:
        """A vote leaves the node; what the checker finds is in `found`."""
        node = self.node
        message = compute_vote_bytes(node.genesis_hash, kind, EPOCH, VIEW, block_hash)
        signature = node.bls.sign(node.secrets.consensus_secret, message)
        payload = wire.encode_message(wire.VoteMessage(Vote(kind, EPOCH, VIEW, block_hash, 0, signature)))
        self.found = [str(it) for it in self.checker.on_effect(node, SendMessage((self.peer.node_id,), payload))]
        return payload

    def lose_sync(self) -> None:
        self.node.folder.disk.lost_syncs += 1

    def hear(self, node: SimNode, payload: bytes) -> None:
        self.checker.on_heard(node, payload)

    @property
    def is_excused(self) -> bool:
        return not self.found and self.world.marks.get(FORGOTTEN_BY_ALL, 0) == 1


PAIRS = [
    ((VoteKind.NOTARIZE, ONE), (VoteKind.NOTARIZE, TWO)),
    ((VoteKind.NULLIFY, ZERO_HASH), (VoteKind.FINALIZE, ONE)),
    ((VoteKind.FINALIZE, ONE), (VoteKind.NULLIFY, ZERO_HASH)),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_votes_that_exclude_each_other_are_found(
    first: tuple[VoteKind, Hash], second: tuple[VoteKind, Hash]
) -> None:
    trial = Trial()
    trial.say(*first)
    assert not trial.found
    trial.say(*second)
    assert len(trial.found) == 1
    assert FORGOTTEN_BY_ALL not in trial.world.marks


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_vote_that_its_disk_lost_and_nobody_heard_counts_as_never_said(
    first: tuple[VoteKind, Hash], second: tuple[VoteKind, Hash]
) -> None:
    trial = Trial()
    trial.say(*first)
    trial.lose_sync()
    trial.say(*second)
    assert trial.is_excused
    trial.say(*first)
    assert trial.found


def restart(trial: Trial) -> None:
    trial.peer.crash()
    trial.peer.boot()


def stop(trial: Trial) -> None:
    trial.peer.crash()


@pytest.mark.parametrize(("act", "is_excused"), [(restart, True), (stop, True), (lambda _: None, False)])
def test_who_heard_it_and_is_up_ever_since_could_have_told(act: Callable[[Trial], None], is_excused: bool) -> None:
    trial = Trial()
    trial.hear(trial.peer, trial.say(VoteKind.NULLIFY, ZERO_HASH))
    trial.lose_sync()
    act(trial)
    trial.say(VoteKind.FINALIZE, ONE)
    assert trial.is_excused is is_excused


def test_what_was_lost_before_the_vote_or_is_in_the_journal_still_is_no_excuse() -> None:
    trial = Trial()
    trial.lose_sync()
    trial.say(VoteKind.NULLIFY, ZERO_HASH)
    trial.say(VoteKind.FINALIZE, ONE)
    assert trial.found
    trial = Trial()
    trial.say(VoteKind.NULLIFY, ZERO_HASH)
    trial.lose_sync()
    held = VoteRecord(EPOCH, VoteKind.NULLIFY, VIEW, ZERO_HASH, View(0), None, None)
    trial.node.folder.require_journals().append_vote(GUARD_RECORD.encode(held))
    trial.say(VoteKind.FINALIZE, ONE)
    assert trial.found


def test_the_world_tells_the_checker_what_arrives() -> None:
    """Votes that went round in a running network are known to those who got them."""
    world = build_world(1, GENESIS, build_calm_plan(1_000), nodes=4)
    heard: list[tuple[SimNode, bytes]] = []
    checker = OneVote()
    checker.on_heard = lambda node, payload: heard.append((node, payload))  # type: ignore[method-assign]
    world.checkers.append(checker)
    world.start()
    world.advance(1_000)
    assert {node.node_id for node, payload in heard if payload[0] == wire.MessageKind.VOTE} == {
        node.node_id for node in world.nodes
    }
