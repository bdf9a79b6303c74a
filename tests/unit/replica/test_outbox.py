"""Whom a certificate is passed on to: all peers when they are few, else as many as make sure that it gets around."""

from __future__ import annotations

from flockchain.gossip.messages import StatusMessage
from flockchain.gossip.relay import Relay
from flockchain.primitives.limits import PASSED_ON_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height, NodeId, View
from flockchain.replica.effects import SendMessage
from flockchain.replica.outbox import Outbox

NODES = 100


def get_id(index: int) -> NodeId:
    return NodeId(index.to_bytes(32, "big"))


def build_outbox(own: int, peers: int) -> Outbox:
    relay = Relay()
    for index in range(peers + 1):
        if index != own:
            relay.on_peer_connected(get_id(index))
    return Outbox(relay, get_id(own))


def build_message(height: int) -> StatusMessage:
    return StatusMessage(Height(height), Hash(bytes(32)), Epoch(0), View(1))


def pass_on(outbox: Outbox, height: int, *, is_to_all: bool = False) -> tuple[NodeId, ...]:
    outbox.pass_on(build_message(height), is_to_all=is_to_all)
    (effect,) = outbox.take()
    assert isinstance(effect, SendMessage)
    return effect.peers


def test_few_peers_all_get_it() -> None:
    outbox = build_outbox(0, PASSED_ON_MAX)
    assert len(pass_on(outbox, 1)) == PASSED_ON_MAX


def test_of_many_peers_some_get_it_and_all_when_it_is_said_again() -> None:
    outbox = build_outbox(0, NODES - 1)
    assert len(set(pass_on(outbox, 1))) == PASSED_ON_MAX
    assert len(set(pass_on(outbox, 1, is_to_all=True))) == NODES - 1


def test_when_all_nodes_pass_it_on_every_node_gets_it_and_choices_differ() -> None:
    outboxes = [build_outbox(own, NODES - 1) for own in range(NODES)]
    for height in range(50):
        choices = [pass_on(outbox, height) for outbox in outboxes]
        assert set().union(*choices) == {get_id(index) for index in range(NODES)}
        assert len(set(choices)) > NODES // 3
    assert pass_on(outboxes[0], 1) != pass_on(outboxes[0], 2)


def test_without_peers_nothing_is_sent() -> None:
    outbox = build_outbox(0, 0)
    outbox.pass_on(build_message(1), is_to_all=False)
    assert outbox.take() == []
