"""Who gets a connection, and whose an address is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.node.address_groups import compute_group, compute_host, is_private_host, parse_stream_peer
from flockchain.node.slots import Seat, SlotConfig, find_obstacle

CONFIG = SlotConfig(peers_max=10, reserved=3, inbound_per_group_max=3, inbound_per_host_max=2)


def guests(*hosts):
    return [Seat(host, is_chosen=False) for host in hosts]


def test_guests_do_not_take_the_slots_that_are_kept_for_chosen_peers():
    taken = guests(*(f"{number}.1.1.1" for number in range(20, 27)))
    assert find_obstacle(CONFIG, taken, Seat("9.9.9.9", is_chosen=False)) == "too many incoming peers"
    for number in range(3):
        assert find_obstacle(CONFIG, taken, Seat("9.9.9.9", is_chosen=True)) is None
        taken.append(Seat(f"9.9.9.{number}", is_chosen=True))
    assert find_obstacle(CONFIG, taken, Seat("9.9.9.9", is_chosen=True)) == "too many peers"


def test_one_host_and_one_network_get_only_so_many_slots():
    assert find_obstacle(CONFIG, guests("8.8.1.1", "8.8.1.1"), *guests("8.8.1.1")) == "too many peers from one host"
    one_network = guests("8.8.1.1", "8.8.2.1", "8.8.3.1")
    assert find_obstacle(CONFIG, one_network, *guests("8.8.4.1")) == "too many peers from one network"
    assert find_obstacle(CONFIG, one_network, *guests("8.9.4.1")) is None
    assert find_obstacle(CONFIG, one_network, Seat("8.8.4.1", is_chosen=True)) is None


def test_private_addresses_count_only_where_wanted():
    taken = guests(*["127.0.0.1"] * 5)
    assert find_obstacle(CONFIG, taken, *guests("127.0.0.1")) is None
    strict = SlotConfig(10, 3, 3, 2, has_private_bounds=True)
    assert find_obstacle(strict, taken, *guests("127.0.0.1")) == "too many peers from one host"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=40))
def test_whoever_comes_no_bound_is_ever_passed(comers):
    taken: list[Seat] = []
    for group, host, is_chosen in comers:
        seat = Seat(f"5.{group}.0.{host}", is_chosen)
        if find_obstacle(CONFIG, taken, seat) is None:
            taken.append(seat)
    strangers = [seat for seat in taken if not seat.is_chosen]
    assert len(taken) <= CONFIG.peers_max
    assert len(strangers) <= CONFIG.peers_max - CONFIG.reserved
    assert all(sum(other.host == seat.host for other in strangers) <= 2 for seat in strangers)


@pytest.mark.parametrize(
    ("host", "alone", "group"),
    [
        ("1.2.3.4", "1.2.3.4/32", "1.2.0.0/16"),
        ("::ffff:1.2.3.4", "1.2.3.4/32", "1.2.0.0/16"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8::/32"),
        ("[2001:db8::1]", "2001:db8::/64", "2001:db8::/32"),
        ("Node.Example", "node.example", "node.example"),
    ],
)
def test_an_address_has_a_host_and_a_group(host, alone, group):
    assert compute_host(host) == alone
    assert compute_group(host) == group


def test_private_addresses_are_known():
    assert all(map(is_private_host, ("127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1", "::ffff:10.0.0.1")))
    assert not any(map(is_private_host, ("8.8.8.8", "2a00::1", "node.example")))


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("ipv4:1.2.3.4:567", "1.2.3.4"),
        ("ipv6:%5B::1%5D:567", "::1"),
        ("ipv6:[fe80::2]:1", "fe80::2"),
        ("unix:", "unix:"),
    ],
)
def test_the_other_end_of_a_stream_is_read_from_what_grpc_calls_it(said, host):
    assert parse_stream_peer(said) == host
