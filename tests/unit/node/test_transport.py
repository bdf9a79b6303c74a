"""Two and more transports over real sockets: who gets in, who is cut off, what arrives."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import grpc
import pytest

from flockchain.gossip.messages import BlockRequest, MessageKind, encode_message
from flockchain.node import handshake as shake
from flockchain.node.acquaintances import AcquaintanceConfig
from flockchain.node.certificates import issue_identity
from flockchain.node.framing import pack_messages, unpack_messages
from flockchain.node.grpc_streams import DialledStream, open_channel, open_server
from flockchain.node.links import LinkConfig, LinkEnd
from flockchain.node.peers import DialConfig
from flockchain.node.rate_limits import CHANNELS, KIND_RULES
from flockchain.node.slots import SlotConfig
from flockchain.node.standing import Misdeed, StandingConfig
from flockchain.node.transport import CannotListen, TransportConfig
from flockchain.primitives.limits import FRAME_BYTES_MAX, MIB
from flockchain.primitives.numbers import Hash
from flockchain.v1 import peer_pb2, peer_pb2_grpc
from tests.kit.keys import build_seed
from tests.kit.peers import GENESIS, Station, run_station, wait_until

HELLO_WORLD = encode_message(BlockRequest(Hash(bytes(32))))
LOOPBACK = TransportConfig("127.0.0.1:0")


async def test_two_transports_shake_hands_and_messages_arrive_in_order_both_ways():
    async with run_station("a") as a, run_station("b", a.address) as b:
        await wait_until(lambda: a.ear.connected == [b.node_id] and b.ear.connected == [a.node_id])
        messages = [encode_message(BlockRequest(Hash(number.to_bytes(32, "big")))) for number in range(500)]
        for message in messages:
            a.transport.send([b.node_id], message)
            b.transport.send([a.node_id], message)
        await wait_until(lambda: len(a.ear.messages) == 500 and len(b.ear.messages) == 500)
        assert [payload for _, payload in a.ear.messages] == messages
        assert [payload for _, payload in b.ear.messages] == messages
        assert {peer for peer, _ in a.ear.messages} == {b.node_id}


async def test_a_message_of_the_largest_size_arrives():
    async with run_station("a") as a, run_station("b", a.address) as b:
        await wait_until(lambda: len(b.ear.connected) == 1 and len(a.ear.connected) == 1)
        message = bytes([MessageKind.PROPOSAL]) + os.urandom(FRAME_BYTES_MAX - 1)
        b.transport.send([a.node_id], message)
        await wait_until(lambda: len(a.ear.messages) == 1)
        assert a.ear.messages[0] == (b.node_id, message)


async def test_a_peer_of_another_chain_does_not_get_in():
    other = Hash(build_seed("another genesis"))
    async with run_station("a") as a, run_station("b", a.address, genesis=other) as b:
        await asyncio.sleep(0.5)
        assert a.transport.peers == ()
        assert b.transport.peers == ()
        assert a.ear.connected == []
        assert b.ear.connected == []


async def test_a_peer_that_names_another_chain_behind_good_tls_is_told_so():
    async with run_station("a") as a:
        identity = issue_identity(GENESIS)
        local = _build_local(identity.fingerprint, genesis=Hash(build_seed("another genesis")))
        answer = await _say_hello(a, identity, shake.build_hello(local, Hash(os.urandom(32))))
        assert answer == shake.Refusal(shake.RefusalReason.WRONG_CHAIN)
        assert a.ear.connected == []


async def test_a_peer_of_another_version_is_told_so():
    async with run_station("a") as a:
        identity = issue_identity(GENESIS)
        hello = replace(shake.build_hello(_build_local(identity.fingerprint), Hash(os.urandom(32))), version=2)
        assert await _say_hello(a, identity, hello) == shake.Refusal(shake.RefusalReason.WRONG_VERSION)


async def test_a_hello_with_a_certificate_that_tls_does_not_show_is_refused():
    async with run_station("a") as a:
        hello = shake.build_hello(_build_local(Hash(bytes(32))), Hash(os.urandom(32)))
        assert await _say_hello(a, issue_identity(GENESIS), hello) == shake.Refusal(shake.RefusalReason.BAD_SIGNATURE)


async def test_a_node_that_dials_itself_notices_and_never_does_it_again():
    async with run_station("a") as probe:
        port = probe.transport.port
    config = TransportConfig(f"127.0.0.1:{port}")
    async with run_station("a", f"127.0.0.1:{port}", config=config) as a:
        await wait_until(lambda: len(a.ear.refused) >= 1)
        refusals = len(a.ear.refused)
        await asyncio.sleep(0.6)
        assert len(a.ear.refused) == refusals
        assert a.transport.peers == ()


async def test_someone_in_the_middle_is_refused_by_both_ends():
    async with run_station("listener") as listener:
        middle = _Middle(listener.address)
        address = await middle.start()
        try:
            async with run_station("dialler", address) as dialler:
                await wait_until(lambda: len(listener.ear.refused) >= 1 and len(dialler.ear.refused) >= 1)
                assert "another certificate" in listener.ear.refused[0][1]
                assert listener.ear.connected == []
                assert dialler.ear.connected == []
        finally:
            await middle.stop()


async def test_someone_in_the_middle_who_rewrites_the_hello_is_caught_by_the_dialler():
    async with run_station("listener") as listener:
        middle = _Middle(listener.address, is_rewriting=True)
        address = await middle.start()
        try:
            async with run_station("dialler", address) as dialler:
                await wait_until(lambda: len(dialler.ear.refused) >= 1)
                assert "listener's signature does not hold" in dialler.ear.refused[0][1]
                assert listener.ear.connected == []
                assert dialler.ear.connected == []
        finally:
            await middle.stop()


async def test_two_nodes_that_dial_each_other_end_up_with_one_connection():
    probe = []
    for name in ("a", "b"):
        async with run_station(name) as station:
            probe.append(station.transport.port)
    configs = [TransportConfig(f"127.0.0.1:{port}") for port in probe]
    async with (
        run_station("a", f"127.0.0.1:{probe[1]}", config=configs[0]) as a,
        run_station("b", f"127.0.0.1:{probe[0]}", config=configs[1]) as b,
    ):
        await wait_until(lambda: len(a.transport.peers) == 1 and len(b.transport.peers) == 1)
        await asyncio.sleep(1.0)
        assert len(a.transport.peers) == 1
        assert len(b.transport.peers) == 1
        assert a.transport.peers[0].is_outbound != b.transport.peers[0].is_outbound
        assert len(a.ear.connected) - len(a.ear.gone) == 1
        a.transport.send([b.node_id], HELLO_WORLD)
        b.transport.send([a.node_id], HELLO_WORLD)
        await wait_until(lambda: bool(a.ear.messages) and bool(b.ear.messages))


async def test_a_static_peer_that_comes_back_is_found_again():
    async with run_station("a") as a:
        port = a.transport.port
        async with run_station("b", a.address) as b:
            await wait_until(lambda: len(b.ear.connected) == 1)
            await a.transport.stop()
            await wait_until(lambda: len(b.ear.gone) == 1)
            async with run_station("a", config=TransportConfig(f"127.0.0.1:{port}")):
                await wait_until(lambda: len(b.ear.connected) == 2)


async def test_unknown_messages_are_dropped_and_scored_until_the_peer_is_banned():
    known = AcquaintanceConfig(standing=StandingConfig(ban_points=60))
    config = replace(LOOPBACK, acquaintances=known)
    async with run_station("a", config=config) as a, _run_raw_peer(a) as (stream, node_id):
        await stream.write(pack_messages([b"\xff never heard of", HELLO_WORLD]))
        await wait_until(lambda: len(a.ear.messages) == 1)
        assert a.ear.misdeeds[0][:2] == (node_id, Misdeed.BAD_MESSAGE)
        assert a.transport.peers[0].points == Misdeed.BAD_MESSAGE
        await stream.write(pack_messages([b"\xff never heard of"] * 2))
        await wait_until(lambda: a.ear.gone == [(node_id, LinkEnd.MISBEHAVED)])
        assert a.ear.banned == [(node_id, "127.0.0.1", "peer")]
        assert a.transport.banned_count == 1
        assert a.transport.peers == ()
        with pytest.raises(shake.HandshakeRefused) as refused:
            async with _run_raw_peer(a):
                pass
        assert refused.value.reason is shake.RefusalReason.BANNED


async def test_a_broken_frame_ends_the_link_and_bans():
    async with run_station("a") as a, _run_raw_peer(a) as (stream, node_id):
        await stream.write(b"\x00\x00\xff\xffshort")
        await wait_until(lambda: a.ear.gone == [(node_id, LinkEnd.MISBEHAVED)])
        assert a.ear.misdeeds[0][1] is Misdeed.BAD_FRAME
        assert a.ear.messages == []


async def test_a_frame_over_the_limit_ends_the_link_and_nothing_of_it_is_delivered():
    async with run_station("a") as a, _run_raw_peer(a) as (stream, node_id):
        await stream.write(pack_messages([bytes([MessageKind.PROPOSAL]) + bytes(FRAME_BYTES_MAX + MIB)]))
        await wait_until(lambda: len(a.ear.gone) == 1)
        assert a.ear.gone[0][0] == node_id
        assert a.ear.messages == []


async def test_a_flood_of_one_kind_is_dropped_above_its_rate():
    async with run_station("a") as a, _run_raw_peer(a) as (stream, _):
        flood = bytes([MessageKind.NEIGHBOURS]) + bytes(4)
        await stream.write(pack_messages([flood] * 180 + [HELLO_WORLD]))
        await wait_until(lambda: bool(a.ear.messages) and a.ear.messages[-1][1] == HELLO_WORLD)
        assert len(a.ear.messages) == 101
        assert {misdeed for _, misdeed, _ in a.ear.misdeeds} == {Misdeed.OVER_RATE}


async def test_a_slow_reader_is_cut_off_and_the_others_are_not():
    slow = LinkConfig(channels=tuple(replace(channel, bytes_max=4 * MIB) for channel in CHANNELS))
    async with (
        run_station("a", config=replace(LOOPBACK, link=slow)) as a,
        _run_raw_peer(a) as (_, sleeper),
        run_station("b", a.address) as b,
    ):
        await wait_until(lambda: len(a.transport.peers) == 2)
        block = bytes([MessageKind.BLOCK_REPLY]) + bytes(MIB // 2)
        for _ in range(200):  # far more than the sockets' buffers hold
            if a.ear.gone:
                break
            heard = len(b.ear.messages)
            a.transport.send([sleeper, b.node_id], block)
            await wait_until(lambda heard=heard: len(b.ear.messages) > heard)
        assert a.ear.gone == [(sleeper, LinkEnd.SLOW_READER)]
        assert [peer.node_id for peer in a.transport.peers] == [b.node_id]


async def test_a_slow_reader_misses_old_gossip_and_is_not_cut_off_for_it():
    small = LinkConfig(channels=tuple(replace(channel, bytes_max=4 * MIB) for channel in CHANNELS))
    async with run_station("a", config=replace(LOOPBACK, link=small)) as a, _run_raw_peer(a) as (stream, sleeper):
        batch = bytes([MessageKind.EXTRINSICS]) + bytes(MIB)
        for _ in range(60):  # far more than the sockets' buffers and the queue hold
            a.transport.send([sleeper], batch)
            await asyncio.sleep(0.001)
        assert len(a.ear.dropped) > 0
        assert set(a.ear.dropped) == {(sleeper, "gossip")}
        assert a.ear.gone == []
        a.transport.send([sleeper], HELLO_WORLD)
        while HELLO_WORLD not in unpack_messages(await asyncio.wait_for(stream.read(), 5)):
            pass


async def test_a_message_that_is_longer_than_its_kind_can_be_is_not_delivered_and_costs_points():
    async with run_station("a") as a, _run_raw_peer(a) as (stream, node_id):
        longest = KIND_RULES[MessageKind.VOTE].bytes_max
        votes = [bytes([MessageKind.VOTE]) + bytes(size) for size in (longest, longest - 1)]
        await stream.write(pack_messages(votes))
        await wait_until(lambda: len(a.ear.messages) == 1)
        assert a.ear.messages == [(node_id, votes[1])]
        assert a.ear.misdeeds[0][1] is Misdeed.BAD_MESSAGE
        assert "too long" in a.ear.misdeeds[0][2]


async def test_a_ban_outlives_the_node_that_pronounced_it(tmp_path):
    config = replace(LOOPBACK, acquaintances=AcquaintanceConfig(tmp_path / "peers"))
    async with run_station("a", config=config) as a, _run_raw_peer(a) as (stream, node_id):
        await stream.write(b"\x00\x00\xff\xffshort")
        await wait_until(lambda: a.ear.banned == [(node_id, "127.0.0.1", "peer")])
    async with run_station("a", config=config) as a:
        assert a.transport.banned_count == 1
        with pytest.raises(shake.HandshakeRefused) as refused:
            async with _run_raw_peer(a):
                pass
        assert refused.value.reason is shake.RefusalReason.BANNED


async def test_a_peer_that_was_met_is_found_again_after_a_restart_though_nobody_names_it(tmp_path):
    config = replace(LOOPBACK, acquaintances=AcquaintanceConfig(tmp_path / "peers", DialConfig(courtesy_ms=100)))
    async with run_station("b") as b:
        async with run_station("c", b.address) as c, run_station("a", c.address, config=config) as a:
            await wait_until(lambda: a.ear.connected == [c.node_id])
            a.transport.discover(c.node_id, b.node_id, b.address)
            await wait_until(lambda: b.node_id in a.ear.connected)
        async with run_station("a", config=config) as a:
            await wait_until(lambda: b.node_id in a.ear.connected)


async def test_strangers_of_one_host_get_only_their_share_of_the_slots():
    slots = SlotConfig(inbound_per_host_max=1, has_private_bounds=True)
    config = replace(LOOPBACK, acquaintances=AcquaintanceConfig(slots=slots))
    async with run_station("a", config=config) as a, run_station("b", a.address) as b:
        await wait_until(lambda: a.ear.connected == [b.node_id])
        with pytest.raises(shake.HandshakeRefused) as refused:
            async with _run_raw_peer(a):
                pass
        assert refused.value.reason is shake.RefusalReason.FULL
        await wait_until(lambda: any("too many peers from one host" in reason for _, reason in a.ear.refused))


async def test_a_link_that_breaks_says_what_the_transport_said():
    async with run_station("a") as a, run_station("b", a.address) as b:
        await wait_until(lambda: len(b.ear.connected) == 1)
        await a.transport.stop()
        await wait_until(lambda: len(b.ear.gone) == 1)
        why, said = b.ear.gone[0][1], b.ear.details[0]
        assert why is LinkEnd.CLOSED_BY_PEER or (why is LinkEnd.STREAM_BROKEN and "Error" in said)


async def test_one_frame_that_is_under_way_for_too_long_ends_the_link():
    stalling = LinkConfig(write_stall_ms=300)
    async with run_station("a", config=replace(LOOPBACK, link=stalling)) as a, _run_raw_peer(a) as (_, sleeper):
        for _ in range(40):
            a.transport.send([sleeper], bytes([MessageKind.BLOCK_REPLY]) + bytes(MIB))
        await wait_until(lambda: a.ear.gone == [(sleeper, LinkEnd.SLOW_READER)])


async def test_a_stranger_that_says_nothing_is_shown_the_door():
    async with run_station("a", config=replace(LOOPBACK, handshake_timeout_ms=200)) as a:
        channel = open_channel(a.address, issue_identity(GENESIS))
        stream = DialledStream(channel)
        await stream.write(b"")  # opens the stream; gRPC sends no headers before
        assert shake.decode_handshake(await stream.read() or b"") == shake.Refusal(shake.RefusalReason.PROTOCOL)
        silent = DialledStream(channel)
        reading = asyncio.create_task(silent.read())
        await wait_until(lambda: len(a.ear.refused) == 2)
        assert a.ear.connected == []
        with pytest.raises(Exception):  # noqa: B017, PT011 (gRPC's own error, or the end of the stream)
            assert await reading is not None
        await channel.close(None)


async def test_strangers_of_one_host_cannot_hold_all_handshakes():
    known = AcquaintanceConfig(slots=SlotConfig(has_private_bounds=True))
    config = replace(LOOPBACK, handshake_timeout_ms=500, handshakes_per_host_max=1, acquaintances=known)
    async with run_station("a", config=config) as a:
        channel = open_channel(a.address, issue_identity(GENESIS))
        hello = shake.encode_handshake(shake.build_hello(_build_local(Hash(bytes(32))), Hash(os.urandom(32))))
        silent = DialledStream(channel)
        waiting = asyncio.create_task(silent.read())
        await asyncio.sleep(0.2)
        second = DialledStream(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:  # noqa: PT012 (either of the two may hear it)
            await second.write(hello)
            await second.read()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await wait_until(lambda: len(a.ear.refused) == 1)  # the first one's time is over
        third = DialledStream(channel)
        await third.write(hello)
        assert isinstance(shake.decode_handshake(await third.read() or b""), shake.Refusal)
        waiting.cancel()
        await channel.close(None)


async def test_a_taken_port_is_a_fault():
    async with run_station("a") as a:
        with pytest.raises(CannotListen):
            async with run_station("b", config=TransportConfig(a.address)):
                pass


async def test_a_neighbour_of_a_neighbour_is_dialled():
    quick = replace(LOOPBACK, acquaintances=AcquaintanceConfig(dial=DialConfig(courtesy_ms=100)))
    async with (
        run_station("a", config=quick) as a,
        run_station("b", config=quick) as b,
        run_station("c", a.address) as c,
    ):
        await wait_until(lambda: a.ear.connected == [c.node_id])
        a.transport.discover(b.node_id, b.node_id, "127.0.0.1:1")  # b is no neighbour yet, so it has not said so
        a.transport.discover(c.node_id, b.node_id, b.address)
        await wait_until(lambda: b.ear.connected == [a.node_id])


class _Middle(peer_pb2_grpc.PeerServiceServicer):
    """Listens with a certificate of the chain's authority, and passes frames on to a real listener with another."""

    def __init__(self, target: str, *, is_rewriting: bool = False) -> None:
        self._target = target
        self._is_rewriting = is_rewriting
        self._identity = issue_identity(GENESIS)
        self._server = None

    async def start(self) -> str:
        self._server, port = open_server("127.0.0.1:0", self._identity, self)
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        await self._server.stop(0)

    async def Connect(self, request, context):  # noqa: N802
        channel = open_channel(self._target, self._identity)
        stream = DialledStream(channel)
        hello = shake.decode_handshake((await context.read()).payload)
        if self._is_rewriting:
            hello = replace(hello, certificate=self._identity.fingerprint)
        await stream.write(shake.encode_handshake(hello))
        await context.write(peer_pb2.Frame(payload=await stream.read()))
        await asyncio.sleep(0.5)
        stream.close()
        await channel.close(None)


class _run_raw_peer:  # noqa: N801 (reads as the function that it stands for)
    """A peer with a good handshake that writes whatever the test likes and reads nothing."""

    def __init__(self, station: Station) -> None:
        self._station = station

    async def __aenter__(self):
        identity = issue_identity(GENESIS)
        local = _build_local(identity.fingerprint)
        self._channel = open_channel(self._station.address, identity)
        stream = DialledStream(self._channel)
        hello = shake.build_hello(local, Hash(os.urandom(32)))
        await stream.write(shake.encode_handshake(hello))
        welcome = shake.require_good_welcome(local, hello, shake.decode_handshake(await stream.read()))
        await stream.write(shake.encode_handshake(shake.build_proof(local, hello, welcome)))
        verdict = shake.decode_handshake(await stream.read())
        if isinstance(verdict, shake.Refusal):
            await self._channel.close(None)
            raise shake.HandshakeRefused(verdict.reason)
        assert verdict == shake.Accepted()
        await wait_until(lambda: local.node_id in self._station.ear.connected)
        return stream, local.node_id

    async def __aexit__(self, *_):
        await self._channel.close(None)


def _build_local(certificate: Hash, genesis: Hash = GENESIS) -> shake.LocalPeer:
    seed = build_seed("station/raw")
    node_id = shake.ed25519.get_public_key(seed)
    return shake.LocalPeer(genesis, node_id, seed, bytes(16), certificate, "")


async def _say_hello(station: Station, identity, hello: shake.Hello):
    channel = open_channel(station.address, identity)
    try:
        stream = DialledStream(channel)
        await stream.write(shake.encode_handshake(hello))
        return shake.decode_handshake(await stream.read())
    finally:
        await channel.close(None)
