"""What is said once: lists of neighbours gather, and an echo is not looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from flockchain.crypto.hashing import sha256 as compute_digest
from flockchain.gossip import messages as wire
from flockchain.primitives.limits import PROPOSALS_AHEAD_MAX
from flockchain.primitives.numbers import ZERO_HASH, Epoch, View
from flockchain.primitives.vote import BLS_SIGNATURE_BYTES, Proposal, Vote, VoteKind
from flockchain.replica import events
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.sim.checkers import Checker, Violation
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS

NODES = 12


class NeighbourCount(Checker):
    def __init__(self) -> None:
        self.lists: dict[bytes, list[int]] = {}

    def on_effect(self, node: SimNode, effect: ReplicaEffect) -> Iterable[Violation]:
        if isinstance(effect, SendMessage) and effect.payload[0] == wire.MessageKind.NEIGHBOURS:
            message = wire.decode_message(effect.payload)
            assert isinstance(message, wire.NeighboursMessage)
            self.lists.setdefault(node.node_id, []).append(len(message.neighbours))
        return ()


def start() -> tuple[World, NeighbourCount]:
    world = build_world(1, GENESIS, build_calm_plan(1_000), nodes=NODES)
    count = NeighbourCount()
    world.checkers.append(count)
    world.start()
    world.advance(400)
    return world, count


def test_whoever_meets_a_whole_network_at_once_says_so_once() -> None:
    _, count = start()
    assert count.lists == {node_id: [NODES - 1] for node_id in count.lists}
    assert len(count.lists) == NODES


def test_when_a_neighbour_goes_the_others_are_told_soon() -> None:
    world, count = start()
    world.nodes[0].crash()
    world.advance(150)
    gone = world.nodes[0].node_id
    assert all(lists[-1] == NODES - 2 for node_id, lists in count.lists.items() if node_id != gone)


def test_in_a_full_mesh_nothing_is_relayed() -> None:
    world, _ = start()
    for node in world.nodes:
        assert node.replica is not None
        relay = node.replica.relay
        assert len(relay.peers) == NODES - 1
        for sender in relay.peers:
            assert relay.on_received(sender, compute_digest(sender), world.now_ms) == ()


def test_blocks_of_the_next_epoch_wait_in_small_number_and_votes_beside_them() -> None:
    world, _ = start()
    node, peer = world.nodes[0], world.nodes[1].node_id
    assert node.replica is not None
    head = node.replica.ledger.finalized.block
    block = replace(head, header=replace(head.header, epoch=Epoch(node.replica.core.epoch + 1)))
    vote = Vote(VoteKind.NULLIFY, block.header.epoch, View(1), ZERO_HASH, 0, bytes(BLS_SIGNATURE_BYTES))
    messages: list[wire.PeerMessage] = [wire.VoteMessage(vote)]
    messages += [wire.ProposalMessage(Proposal(View(view), View(0), block, vote.signature)) for view in range(1, 300)]
    messages += [wire.BlockReply(block)]
    for message in messages:
        node.replica.on_event(events.MessageReceived(peer, wire.encode_message(message)), world.now_ms)
    assert node.replica.conversation.early_count == 1 + PROPOSALS_AHEAD_MAX
