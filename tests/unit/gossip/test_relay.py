"""A message reaches everyone, and nobody is sent what they have."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.gossip.relay import Relay, RelayConfig


def node(number):
    return bytes([number]) * 32


def test_a_message_is_passed_on_once_and_not_to_its_sender():
    relay = _build_relay(1, 2, 3)
    assert relay.on_received(node(1), b"digest", 0) == (node(2), node(3))
    assert relay.on_received(node(2), b"digest", 1) is None


def test_what_the_sender_reaches_itself_is_left_to_it():
    relay = _build_relay(1, 2, 3)
    relay.on_neighbours(node(1), [node(2)])
    assert relay.on_received(node(1), b"digest", 0) == (node(3),)


def test_neighbours_of_a_stranger_are_not_believed():
    relay = _build_relay(1, 2)
    relay.on_neighbours(node(9), [node(2)])
    assert relay.on_received(node(9), b"digest", 0) == (node(1), node(2))


def test_an_echo_of_our_own_message_is_not_news():
    relay = _build_relay(1, 2)
    relay.on_sent(b"digest", 0)
    assert relay.on_received(node(1), b"digest", 10) is None


def test_a_message_that_its_author_repeats_later_travels_again():
    relay = _build_relay(1, 2, config=RelayConfig(seen_ms=100))
    assert relay.on_received(node(1), b"digest", 0) == (node(2),)
    assert relay.on_received(node(1), b"digest", 99) is None
    assert relay.on_received(node(1), b"digest", 100) == (node(2),)


def test_marks_are_bounded_and_the_oldest_goes_first():
    relay = _build_relay(1, config=RelayConfig(seen_max=2))
    for digest in (b"a", b"b", b"c"):
        relay.on_received(node(1), digest, 0)
    assert [relay.has_seen(digest, 0) for digest in (b"a", b"b", b"c")] == [False, True, True]


def test_a_peer_that_left_is_sent_nothing():
    relay = _build_relay(1, 2, 3)
    relay.on_peer_gone(node(3))
    assert relay.on_received(node(1), b"digest", 0) == (node(2),)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.data())
def test_in_any_connected_network_a_message_reaches_every_node_and_in_a_full_mesh_nothing_is_sent_twice(count, data):
    edges = {(data.draw(st.integers(0, at - 1)), at) for at in range(1, count)}  # a spanning tree
    edges |= {
        pair
        for pair in [(low, high) for high in range(count) for low in range(high)]
        if pair not in edges and data.draw(st.booleans())
    }
    reach = {at: {a if b == at else b for a, b in edges if at in (a, b)} for at in range(count)}
    relays = {at: _build_relay(*reach[at]) for at in range(count)}
    for at in range(count):
        for peer in reach[at]:
            relays[at].on_neighbours(node(peer), [node(other) for other in reach[peer]])
    relays[0].on_sent(b"digest", 0)
    queue = deque((0, peer) for peer in sorted(reach[0]))
    received = dict.fromkeys(range(count), 0)
    while queue:
        sender, receiver = queue.popleft()
        received[receiver] += 1
        for target in relays[receiver].on_received(node(sender), b"digest", 1) or ():
            queue.append((receiver, target[0]))
    assert all(received[at] for at in range(1, count))
    if len(edges) == count * (count - 1) // 2:
        assert received == {0: 0, **dict.fromkeys(range(1, count), 1)}


def _build_relay(*peers, config=None):
    relay = Relay(config)
    for peer in peers:
        relay.on_peer_connected(node(peer))
    return relay
