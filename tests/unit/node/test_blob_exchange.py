"""Blobs between real transports: fetched, resumed, verified, refused."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from flockchain.node.blob_exchange import BlobExchange, BlobExchangeConfig, BlobNotFound
from flockchain.node.standing import Misdeed
from flockchain.primitives.limits import CHUNK_BYTES
from flockchain.storage.blobs import BlobStore, InvalidBlob, compute_blob_root
from flockchain.v1 import peer_pb2
from tests.kit.peers import run_station, wait_until

DATA = os.urandom(3 * CHUNK_BYTES + 77)
ROOT = compute_blob_root(DATA)


class Open:
    """Everything is readable, or nothing."""

    def __init__(self, is_open=True):
        self.is_open = is_open
        self.callers = []

    def is_readable(self, root, caller):
        self.callers.append(caller)
        return self.is_open


class Exchanges:
    """Two or three connected stations with a blob store each."""

    def __init__(self):
        self.stations, self.stores, self.exchanges = [], [], []


@asynccontextmanager
async def run_exchanges(tmp_path, *services):
    """The first one dials the others. A service of None is an honest exchange."""
    async with AsyncExitStack() as stack:
        made = Exchanges()
        addresses = []
        for at, service in reversed(list(enumerate((None, *services)))):
            store = BlobStore(tmp_path / str(at))
            exchange = BlobExchange(store, Open(), BlobExchangeConfig(stall_ms=500))
            dial = addresses if at == 0 else ()
            station = await stack.enter_async_context(run_station(f"s{at}", *dial, blobs=service or exchange))
            exchange.connect(station.transport)
            stack.push_async_callback(exchange.stop)
            addresses.append(station.address)
            made.stations.insert(0, station)
            made.stores.insert(0, store)
            made.exchanges.insert(0, exchange)
        await wait_until(lambda: len(made.stations[0].transport.peers) == len(services))
        yield made


async def test_a_blob_is_fetched_whole_in_both_directions(tmp_path):
    async with run_exchanges(tmp_path, None) as made:
        made.stores[1].put(DATA)
        await made.exchanges[0].fetch(ROOT, len(DATA))
        assert made.stores[0].read(ROOT) == DATA
        other = os.urandom(100)
        root = made.stores[0].put(other)
        await made.exchanges[1].fetch(root, len(other))
        assert made.stores[1].read(root) == other
        await made.exchanges[0].fetch(ROOT, len(DATA))  # it is here: nothing happens


async def test_two_fetches_of_one_blob_are_one_transfer(tmp_path):
    async with run_exchanges(tmp_path, None) as made:
        made.stores[1].put(DATA)
        await asyncio.gather(*(made.exchanges[0].fetch(ROOT, len(DATA)) for _ in range(5)))
        assert made.stores[0].read(ROOT) == DATA


async def test_the_second_peer_is_asked_when_the_first_has_nothing(tmp_path):
    async with run_exchanges(tmp_path, None, None) as made:
        made.stores[2].put(DATA)
        await made.exchanges[0].fetch(ROOT, len(DATA))
        assert made.stores[0].read(ROOT) == DATA


async def test_a_blob_that_nobody_has_or_whose_size_is_impossible_is_a_typed_error(tmp_path):
    async with run_exchanges(tmp_path, None) as made:
        with pytest.raises(BlobNotFound):
            await made.exchanges[0].fetch(ROOT, len(DATA))
        with pytest.raises(InvalidBlob):
            await made.exchanges[0].fetch(ROOT, 0)
        assert not made.stores[0].has(ROOT)


async def test_what_arrived_before_a_break_is_not_sent_again(tmp_path):
    broken = Scripted(DATA, chunks=2)
    async with run_exchanges(tmp_path, broken) as made:
        with pytest.raises(BlobNotFound):
            await made.exchanges[0].fetch(ROOT, len(DATA))
        broken.chunks = 4
        await made.exchanges[0].fetch(ROOT, len(DATA))
        assert made.stores[0].read(ROOT) == DATA
        assert broken.asked_from == [0, 2]


async def test_a_chunk_that_does_not_fit_is_not_kept_and_its_sender_is_blamed(tmp_path):
    liar = Scripted(DATA, chunks=4, spoil=1)
    async with run_exchanges(tmp_path, liar) as made:
        with pytest.raises(BlobNotFound):
            await made.exchanges[0].fetch(ROOT, len(DATA))
        assert not made.stores[0].has(ROOT)
        assert made.stores[0].open_partial(ROOT, len(DATA)).missing_chunks == (1, 2, 3)
        assert [entry[:2] for entry in made.stations[0].ear.misdeeds] == [
            (made.stations[1].node_id, Misdeed.BAD_CONTENT)
        ]


async def test_a_peer_that_stops_in_the_middle_is_left_for_another(tmp_path):
    async with run_exchanges(tmp_path, Scripted(DATA, chunks=1, is_hanging=True), None) as made:
        made.stores[2].put(DATA)
        await made.exchanges[0].fetch(ROOT, len(DATA))
        assert made.stores[0].read(ROOT) == DATA


async def test_a_blob_behind_the_gate_is_refused_and_the_gate_knows_who_asked(tmp_path):
    gate = Open(is_open=False)
    closed = BlobExchange(BlobStore(tmp_path / "closed"), gate)
    closed._blobs.put(DATA)
    async with run_exchanges(tmp_path, closed) as made:
        with pytest.raises(BlobNotFound):
            await made.exchanges[0].fetch(ROOT, len(DATA))
        assert gate.callers == [made.stations[0].node_id]
        gate.is_open = True
        await made.exchanges[0].fetch(ROOT, len(DATA))


class Scripted:
    """Serves the first `chunks` chunks of `data`, one of them spoilt, and then ends or hangs."""

    def __init__(self, data, *, chunks, spoil=None, is_hanging=False):
        self.data = data
        self.chunks = chunks
        self.spoil = spoil
        self.is_hanging = is_hanging
        self.asked_from = []

    async def serve(self, request, context, caller):
        self.asked_from.append(request.from_chunk)
        for index in range(request.from_chunk, self.chunks):
            data, path = _read_chunk(self.data, index)
            if index == self.spoil:
                data = bytes(len(data))
            yield peer_pb2.FetchBlobResponse(index=index, data=data, audit_path=path, size_bytes=len(self.data))
        if self.is_hanging:
            await asyncio.sleep(60)


def _read_chunk(data, index):
    from flockchain.crypto.merkle import compute_audit_path

    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    return chunks[index], compute_audit_path(chunks, index)
