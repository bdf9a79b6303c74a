"""Event streams have no gaps and no repeats, across reconnections and slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from flockchain.client import AsyncClient, FinalizedBlock, RoundChanged, Timing
from flockchain.client.errors import Unreachable
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.learning import Phase
from tests.kit.api_chain import ApiNode, build_learning_node, serve, wait_until
from tests.kit.learning import LearningChain

QUICK = Timing(deadline_ms=2_000, attempts=3, backoff_ms=10, poll_ms=10)


@pytest.fixture
def learning(tmp_path: Path) -> tuple[ApiNode, LearningChain]:
    return build_learning_node(tmp_path)


async def take(events: AsyncIterator[FinalizedBlock | RoundChanged], blocks: int) -> list[FinalizedBlock]:
    """The next so many blocks."""
    taken: list[FinalizedBlock] = []
    async for event in events:
        if isinstance(event, FinalizedBlock):
            taken.append(event)
            if len(taken) == blocks:
                break
    return taken


async def test_blocks_come_from_a_height_on_with_hashes_extrinsics_and_events(
    learning: tuple[ApiNode, LearningChain],
) -> None:
    node, world = learning
    world.submit_all(1)
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        created, submitted = await take(client.events.subscribe(after=0), 2)
        (bare,) = await take(client.events.subscribe(after=1, without_runtime_events=True), 1)
    assert (created.height, submitted.height) == (1, 2)
    assert submitted.block_hash == compute_block_hash(node.ledger.head)
    assert len(submitted.extrinsic_hashes) == 1
    update = next(event for event in submitted.events if event.name == "UpdateSubmitted")
    assert (update.pallet, update.extrinsic_index) == ("updates", 0)
    assert (update.fields["task"], update.fields["index"]) == (0, 0)
    assert bare.events == ()


async def test_without_a_height_only_new_blocks_come(learning: tuple[ApiNode, LearningChain]) -> None:
    node, _ = learning
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        waiting = asyncio.create_task(take(client.events.subscribe(), 2))
        await wait_until(lambda: node.heads.subscribers == 1)
        for _ in range(2):
            node.make_block()
        assert [block.height for block in await waiting] == [2, 3]
        await wait_until(lambda: node.heads.subscribers == 0)


async def test_changes_of_rounds_follow_the_block_that_caused_them(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    world.submit_all()
    world.judge([10, 20, 30])
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(range(4)))
    changes: list[RoundChanged] = []
    last = 0
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        async for event in client.events.subscribe(after=0):
            if isinstance(event, FinalizedBlock):
                last = event.height
                continue
            assert event.height == last
            changes.append(event)
            if event.round == 1:
                break
    phases = [Phase.SUBMIT, Phase.COMMIT, Phase.REVEAL, Phase.AGGREGATE, Phase.ADVANCED]
    wanted = [*((0, phase) for phase in phases), (1, Phase.SUBMIT)]
    assert [(change.round, change.phase) for change in changes] == wanted


async def test_a_stream_goes_on_without_a_gap_when_the_node_comes_back(
    learning: tuple[ApiNode, LearningChain],
) -> None:
    node, _ = learning
    async with serve(node) as endpoint:
        address = endpoint
    patient = Timing(deadline_ms=2_000, attempts=8, backoff_ms=20, poll_ms=10)
    seen: list[int] = []
    async with AsyncClient(address, timing=patient) as client:
        events = client.events.subscribe(after=0)
        for start in (1, 4):
            async with serve(node, address=address):
                for _ in range(3):
                    node.make_block()
                seen += [block.height for block in await take_without_closing(events, start, 3)]
    assert seen == [1, 2, 3, 4, 5, 6]


async def take_without_closing(
    events: AsyncIterator[FinalizedBlock | RoundChanged], start: int, blocks: int
) -> list[FinalizedBlock]:
    taken: list[FinalizedBlock] = []
    for _ in count():
        event = await anext(events)
        if isinstance(event, FinalizedBlock):
            taken.append(event)
            if event.height == start + blocks - 1:
                return taken
    return taken


async def test_a_reader_that_is_cut_off_comes_back_and_misses_nothing(
    learning: tuple[ApiNode, LearningChain], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = learning
    monkeypatch.setattr("tests.kit.api_chain.HEADS_QUEUED_MAX", 2)
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        waiting = asyncio.create_task(take(client.events.subscribe(after=0), 40))
        await wait_until(lambda: node.heads.subscribers == 1)
        for _ in range(39):  # all at once: the event loop does not run between them
            node.make_block()
        assert [block.height for block in await waiting] == list(range(1, 41))


async def test_without_any_node_the_stream_ends_in_a_typed_error() -> None:
    async with AsyncClient("127.0.0.1:1", timing=QUICK) as client:
        with pytest.raises(Unreachable):
            await take(client.events.subscribe(), 1)
