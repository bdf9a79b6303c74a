"""The broadcast of heights never waits for a reader, and cuts off the one that falls behind."""

from __future__ import annotations

import pytest

from flockchain.primitives.numbers import Height
from flockchain.rpc.heads import HeadBroadcast, SlowReader, TooManySubscribers


async def test_every_reader_gets_every_height_published_after_it_came() -> None:
    heads = HeadBroadcast()
    heads.publish(Height(1))
    with heads.subscribe() as first:
        heads.publish(Height(2))
        with heads.subscribe() as second:
            heads.publish(Height(3))
            assert [await anext(first), await anext(first)] == [2, 3]
            assert await anext(second) == 3


async def test_a_reader_that_falls_behind_is_cut_off_and_the_others_are_not() -> None:
    heads = HeadBroadcast(queued_max=3)
    with heads.subscribe() as slow, heads.subscribe() as quick:
        for height in range(1, 6):
            heads.publish(Height(height))
            assert await anext(quick) == height
        assert heads.subscribers == 1
        assert [await anext(slow) for _ in range(3)] == [1, 2, 3]
        for _ in range(2):
            with pytest.raises(SlowReader):
                await anext(slow)


async def test_streams_end_when_the_node_stops() -> None:
    heads = HeadBroadcast()
    with heads.subscribe() as reader:
        heads.publish(Height(7))
        heads.close()
        assert [height async for height in reader] == [7]
    with heads.subscribe() as late:
        assert [height async for height in late] == []


async def test_the_number_of_readers_is_bounded_and_leaving_makes_room() -> None:
    heads = HeadBroadcast(subscribers_max=1)
    with heads.subscribe(), pytest.raises(TooManySubscribers):
        heads.subscribe()
    with heads.subscribe():
        assert heads.subscribers == 1
    assert heads.subscribers == 0
