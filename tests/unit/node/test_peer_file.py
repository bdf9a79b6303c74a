"""What survives a restart of what a node knows of its peers: the file's bytes, and what a new start makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.node.acquaintances import AcquaintanceConfig, Acquaintances
from flockchain.node.handshake import HandshakeFailed
from flockchain.node.peer_file import (
    EMPTY_MEMORY,
    MetAddress,
    PeerMemory,
    decode_peer_memory,
    encode_peer_memory,
    load_peer_memory,
    save_peer_memory,
)
from flockchain.node.slots import SlotConfig
from flockchain.node.standing import Misdeed, Standing, StandingConfig, Standings
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.limits import STANDINGS_MAX

LOW, HIGH = b"\1" * 32, b"\2" * 32
HOSTILE, OTHER = "9.9.9.9", "8.8.4.4"

standings = st.lists(
    st.builds(Standing, st.binary(max_size=40), *(st.integers(0, 2**32 - 1) for _ in range(3))),
    max_size=5, unique_by=lambda record: record.key,
).map(lambda records: tuple(sorted(records, key=lambda record: record.key)))  # fmt: skip
addresses = st.lists(
    st.builds(MetAddress, st.text(max_size=20), st.binary(min_size=32, max_size=32), st.integers(0, 2**63)),
    max_size=5, unique_by=lambda met: met.address,
).map(lambda met: tuple(sorted(met, key=lambda each: each.address.encode())))  # fmt: skip
memories = st.builds(PeerMemory, addresses, standings, standings)


@given(memories)
def test_what_was_written_is_read(memory):
    assert decode_peer_memory(encode_peer_memory(memory)) == memory


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data):
    with pytest.raises(DecodeError):
        decode_peer_memory(data)


@given(memories, st.data())
def test_a_file_with_one_byte_changed_lost_or_added_is_refused(memory, data):
    good = encode_peer_memory(memory)
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    for bad in (flipped, good[:at], good + b"\0"):
        with pytest.raises(DecodeError):
            decode_peer_memory(bad)


def test_a_file_whose_entries_are_out_of_order_is_refused():
    records = (Standing(HIGH, 1, 1, 1), Standing(LOW, 1, 1, 1))
    with pytest.raises(DecodeError, match="order"):
        decode_peer_memory(encode_peer_memory(PeerMemory(peers=records)))


def test_a_damaged_file_is_an_empty_one_and_is_told(tmp_path):
    file, told = tmp_path / "peers", []
    assert load_peer_memory(file, told.append) == EMPTY_MEMORY
    memory = PeerMemory((MetAddress("a:1", LOW, 5),))
    save_peer_memory(file, memory)
    assert load_peer_memory(file, told.append) == memory
    assert told == []
    file.write_bytes(file.read_bytes()[:-1])
    assert load_peer_memory(file, told.append) == EMPTY_MEMORY
    assert "damaged" in told[0]


def test_standings_are_restored_with_their_points_and_their_bans():
    before = Standings(StandingConfig(ban_points=50))
    before.on_misdeed(LOW, Misdeed.BAD_FRAME, 1_000)
    before.on_misdeed(HIGH, Misdeed.BAD_CONTENT, 1_000)
    after = Standings(StandingConfig(ban_points=50))
    after.restore(before.get_records(2_000), 2_000)
    assert after.is_banned(LOW, 2_000)
    assert after.get_points(HIGH, 2_000) == before.get_points(HIGH, 2_000) == 19


def test_a_record_of_a_clock_that_was_ahead_makes_no_longer_ban():
    config = StandingConfig(ban_ms=1_000)
    after = Standings(config)
    after.restore([Standing(LOW, 0, 10**12, 10**12)], 5_000)
    assert after.is_banned(LOW, 5_999)
    assert not after.is_banned(LOW, 6_000)


def test_what_no_longer_counts_is_not_kept():
    standings = Standings(StandingConfig(ban_points=50, ban_ms=1_000))
    standings.on_misdeed(LOW, Misdeed.BAD_FRAME, 0)
    standings.on_misdeed(HIGH, Misdeed.OVER_RATE, 0)
    assert len(standings.get_records(500)) == 2
    assert standings.get_records(60_000) == ()


class Known:
    """A node's acquaintances over several starts, on a clock of their own."""

    def __init__(self, file):
        self.now_ms = 1_000_000
        self.troubles = []
        self.config = AcquaintanceConfig(file, standing=StandingConfig(records_max=STANDINGS_MAX))

    def start(self, *statics):
        known = Acquaintances(self.config, LOW, "me:1", statics, lambda: self.now_ms)
        known.load(self.troubles.append)
        return known

    async def stop(self, known):
        await known.save_if_due(self.troubles.append, is_now=True)


async def test_a_ban_and_a_met_address_survive_a_restart(tmp_path):
    world = Known(tmp_path / "peers")
    first = world.start()
    first.plan.on_heard(HIGH, OTHER, HIGH, f"{OTHER}:9700", world.now_ms)
    first.plan.take_due(world.now_ms, ())
    first.plan.on_connected(f"{OTHER}:9700", HIGH, world.now_ms)
    first.on_misdeed(b"\7" * 32, HOSTILE, Misdeed.BAD_FRAME)
    await world.stop(first)
    second = world.start()
    assert second.plan.take_due(world.now_ms, ()) == [f"{OTHER}:9700"]
    with pytest.raises(HandshakeFailed, match="banned"):
        second.require_welcome(b"\7" * 32, OTHER, (), is_outbound=False)
    assert second.count_banned() == 1
    assert world.troubles == []


async def test_hearsay_does_not_survive_a_restart(tmp_path):
    world = Known(tmp_path / "peers")
    first = world.start()
    assert first.plan.on_heard(HIGH, OTHER, HIGH, "1.1.1.1:9700", world.now_ms)
    await world.stop(first)
    assert world.start().plan.addresses == ()


async def test_a_host_from_which_banned_identities_come_is_banned_whatever_it_calls_itself_next(tmp_path):
    world = Known(tmp_path / "peers")
    known = world.start("static.example:1")
    outcomes = [known.on_misdeed(bytes([number]) * 32, HOSTILE, Misdeed.BAD_FRAME) for number in (3, 4, 5)]
    assert outcomes == [("peer",), ("peer",), ("peer", "host")]
    await world.stop(known)
    known = world.start("static.example:1")
    with pytest.raises(HandshakeFailed, match="host is banned"):
        known.require_welcome(b"\6" * 32, HOSTILE, (), is_outbound=False)
    known.require_welcome(b"\6" * 32, OTHER, (), is_outbound=False)
    known.plan.on_identified("static.example:1", HIGH)
    known.require_welcome(HIGH, HOSTILE, (), is_outbound=False)  # chosen by the operator, whoever lives beside it


async def test_identities_of_a_private_network_do_not_ban_their_host(tmp_path):
    known = Known(tmp_path / "peers").start()
    for number in range(3, 9):
        assert known.on_misdeed(bytes([number]) * 32, "127.0.0.1", Misdeed.BAD_FRAME) == ("peer",)


async def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(tmp_path):
    world = Known(tmp_path / "missing" / "peers")
    known = world.start()
    known.on_misdeed(HIGH, HOSTILE, Misdeed.BAD_FRAME)
    await world.stop(known)
    assert len(world.troubles) == 1


async def test_a_full_node_says_so(tmp_path):
    world = Known(tmp_path / "peers")
    world.config = replace(world.config, slots=SlotConfig(peers_max=1))
    from flockchain.node.slots import Seat

    with pytest.raises(HandshakeFailed, match="too many peers"):
        world.start().require_welcome(HIGH, OTHER, [Seat(OTHER, False)], is_outbound=True)
