"""A trainer's way through a round, and a model that is fetched and verified, against a real server and a real chain."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.client import Account, AsyncClient, Checkpoint, Client, Timing
from flockchain.client.errors import ExtrinsicFailed, NotFound, VerificationFailed
from flockchain.client.lineage import MODEL_PROOF, require_model
from flockchain.client.state import ProvenValue
from flockchain.client.updates import RoundClosed
from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.light import TrustExpired
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, Phase, ReasonCode
from flockchain.primitives.numbers import Height, TaskId
from flockchain.primitives.rounds import LineageEntry
from flockchain.runtime import learning_views
from flockchain.runtime.dev_keys import derive_dev_account
from tests.kit.api_chain import ApiNode, build_learning_node, serve
from tests.kit.learning import LearningChain, build_adapter, build_spec, build_update
from tests.kit.runtime_chain import FLOCK

QUICK = Timing(deadline_ms=2_000, attempts=3, backoff_ms=10, poll_ms=10)
TRAINERS = tuple(Account(derive_dev_account(f"account-{number}")) for number in range(3))
DAY_MS = 24 * 3600 * 1000
UPDATES = tuple(build_update(build_adapter(), seed) for seed in range(3))


@pytest.fixture
def learning(tmp_path: Path) -> tuple[ApiNode, LearningChain]:
    return build_learning_node(tmp_path)


def get_checkpoint(node: ApiNode) -> Checkpoint:
    return Checkpoint(node.runtime.genesis_hash, trusting_period_ms=DAY_MS)


def play_round(world: LearningChain) -> None:
    """The committee's part: commit, reveal, certify; the updates are already in."""
    world.judge([10, 20, 30])
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(range(4)))
    world.chain.advance()


def advance(world: LearningChain) -> None:
    world.submit_all()
    play_round(world)


def get_lineage(world: LearningChain) -> tuple[LineageEntry, ...]:
    return learning_views.get_lineage(world.chain.store, world.task)


def publish(node: ApiNode, world: LearningChain) -> None:
    """The node holds every blob of the world, as a validator does."""
    for data in world.blobs.values():
        node.blobs.put(data)


async def test_an_update_goes_from_upload_to_advanced(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        handles = await asyncio.gather(
            *(client.updates.submit(0, data, account=t) for t, data in zip(TRAINERS, UPDATES, strict=True))
        )
        node.make_block()
        included = await asyncio.gather(*(handle.wait("included") for handle in handles))
        node.make_block()
        closed = await handles[0].wait("closed")
        assert sorted(state.index for state in included) == [0, 1, 2]
        assert closed.phase is Phase.COMMIT
        assert all(node.blobs.has(state.update.blob) for state in included)
        world.blobs.update({state.update.blob: node.blobs.read(state.update.blob) for state in included})
        waiting = [asyncio.create_task(handle.wait("advanced")) for handle in handles]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        play_round(world)
        states = await asyncio.gather(*waiting)
    assert all(state.phase is Phase.ADVANCED and state.is_accepted and state.has_ended for state in states)
    assert {state.verdict.reason for state in states if state.verdict} == {ReasonCode.ACCEPTED}


async def test_the_same_bytes_again_in_a_round_send_nothing_twice(learning: tuple[ApiNode, LearningChain]) -> None:
    node, _ = learning
    async with serve(node) as endpoint:
        async with AsyncClient(endpoint, timing=QUICK) as client:
            first = await client.updates.submit(0, UPDATES[0], account=TRAINERS[0])
            again = await client.updates.submit(0, UPDATES[0], account=TRAINERS[0])
            node.make_block()
            assert await first.wait("included") == await again.wait("included")
        async with AsyncClient(endpoint, timing=QUICK) as restarted:
            found = await restarted.updates.submit(0, UPDATES[0], account=TRAINERS[0])
            assert (await found.wait("included")).index == 0
    assert node.submissions == 1


async def test_an_update_that_the_chain_refuses_raises_its_sentence(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        assert world.submit("account-0", UPDATES[1]) == ""
        handle = await client.updates.submit(0, UPDATES[0], account=TRAINERS[0])
        node.make_block()
        with pytest.raises(ExtrinsicFailed, match="has an update in this round already"):
            await handle.wait("judged")


async def test_what_cannot_be_an_update_is_refused_before_it_is_sent(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        with pytest.raises(InvalidInput):
            await client.updates.submit(0, bytes(world.spec.max_update_bytes + 1), account=TRAINERS[0])
        with pytest.raises(NotFound):
            await client.updates.submit(7, UPDATES[0], account=TRAINERS[0])
        world.submit_all()
        world.advance_to(Phase.COMMIT)
        with pytest.raises(RoundClosed):
            await client.updates.submit(0, b"another update", account=TRAINERS[0])
    assert node.submissions == 0
    assert not list(node.blobs.roots())


async def test_tasks_and_rounds_read_as_the_state_has_them(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    advance(world)
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        assert await client.tasks.get(0) == world.record
        assert await client.tasks.list() == (world.record,)
        assert await client.rounds.get(0) == world.round
        assert await client.rounds.get(0, 0) == world.get_round(0)
        assert (await client.rounds.wait(0, 0)).phase is Phase.ADVANCED
        for task, number in ((1, None), (0, 2)):
            with pytest.raises(NotFound):
                await client.rounds.get(task, number)


async def test_a_task_is_created_and_found_by_its_event(tmp_path: Path) -> None:
    node, _ = build_learning_node(tmp_path)
    spec = build_spec(name="another", reward_pool=300 * FLOCK)
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client, node.run_blocks():
        record = await client.tasks.create(spec, account=Account(derive_dev_account("faucet")))
        assert (record.task, record.spec) == (1, spec)
        assert [task.spec.name for task in await client.tasks.list()] == ["a task", "another"]


async def test_following_a_task_gives_each_open_round_once_and_ends_with_it(tmp_path: Path) -> None:
    node, world = build_learning_node(tmp_path, rounds=2)
    seen: list[int] = []
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        async for open_round in client.rounds.follow(0):
            assert open_round.phase is Phase.SUBMIT
            seen.append(open_round.round)
            advance(world)
    assert seen == [0, 1]


@pytest.mark.parametrize("mode", list(AdapterMode))
async def test_a_model_is_fetched_and_its_lineage_verifies_from_the_genesis_hash(
    tmp_path: Path, mode: AdapterMode
) -> None:
    node, world = build_learning_node(tmp_path, adapter=build_adapter(mode))
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        assert (await client.models.fetch(0)).aggregates == ()
        advance(world)
        advance(world)
        publish(node, world)
        model = await client.models.fetch(0)
        steps = await client.models.get_lineage(0)
        verified = await client.models.verify(0, get_checkpoint(node), now_ms=node.ledger.head.timestamp_ms)
    wanted = model.lineage if mode is AdapterMode.STACK else model.lineage[-1:]
    assert [world.blobs[entry.aggregate] for entry in wanted] == list(model.aggregates)
    assert len(model.aggregates) == (2 if mode is AdapterMode.STACK else 1)
    assert verified.lineage == model.lineage
    assert verified.header.epoch > 1
    assert [(step.certificate.round, step.certificate.aggregate) for step in steps] == [
        (entry.round, entry.aggregate) for entry in model.lineage
    ]


async def test_a_model_proof_with_anything_changed_does_not_verify(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    advance(world)
    genesis_hash, now_ms = node.runtime.genesis_hash, node.ledger.head.timestamp_ms
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        light = await client.light.start(get_checkpoint(node))
        proof = await client.models.fetch_proof(0, light, now_ms=now_ms)
    config = light.config
    assert require_model(config, genesis_hash, proof, now_ms).lineage == get_lineage(world)
    assert MODEL_PROOF.decode(MODEL_PROOF.encode(proof)) == proof
    (page,) = proof.pages
    trail, target = page.trail, page.trail.target.light_block
    spec, length, entry = page.values
    forged = replace(target, header=replace(target.header, state_root=sha256(b"another state")))
    lies = [
        replace(proof, pages=()),
        replace(proof, task=TaskId(1)),
        replace(proof, pages=(page, page)),
        replace(proof, anchor=replace(proof.anchor, header=target.header)),
        *(replace(proof, pages=(lie,)) for lie in (
            replace(page, values=()),
            replace(page, values=(spec,)),
            replace(page, values=(spec, length)),
            replace(page, values=(length, spec, entry)),
            replace(page, values=(spec, length, replace(entry, value=entry.value and entry.value[:-1] + b"\1"))),
            replace(page, values=(spec, replace(length, value=None), entry)),
            replace(page, trail=replace(trail, target=replace(trail.target, light_block=forged))),
            replace(page, trail=replace(trail, target=replace(trail.target, headers=(target.header,)))),
            replace(page, trail=replace(trail, hops=(forged,))),
            replace(page, trail=replace(trail, hops=(), target=replace(trail.target, light_block=replace(
                target, certificate=replace(target.certificate, signers=b"\1"))))),
        )),
    ]  # fmt: skip
    for lie in lies:
        with pytest.raises(VerificationFailed):
            require_model(config, genesis_hash, lie, now_ms)
    with pytest.raises(VerificationFailed):
        require_model(config, sha256(b"another block"), proof, now_ms)
    with pytest.raises(VerificationFailed):
        require_model(replace(config, genesis_hash=sha256(b"another chain")), genesis_hash, proof, now_ms)
    with pytest.raises(TrustExpired):
        require_model(config, genesis_hash, proof, now_ms + DAY_MS)


async def test_a_lineage_of_several_pages_verifies_while_the_model_moves_on(
    learning: tuple[ApiNode, LearningChain], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, world = learning
    advance(world)
    advance(world)
    publish(node, world)
    monkeypatch.setattr("flockchain.client.lineage.STEPS_PER_PAGE", 1)
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        light = await client.light.start(get_checkpoint(node))
        prove, asked = client.state.prove, []

        async def prove_and_move_on(*keys: bytes) -> tuple[ProvenValue, ...]:
            values = await prove(*keys)
            asked.append(len(keys))
            if len(asked) == 1:
                advance(world)
                publish(node, world)
            return values

        monkeypatch.setattr(client.state, "prove", prove_and_move_on)
        late = node.ledger.head.timestamp_ms + DAY_MS // 2
        proof = await client.models.fetch_proof(0, light, now_ms=late)
    assert [len(page.values) - 2 for page in proof.pages] == [1, 1, 1]
    verified = require_model(light.config, node.runtime.genesis_hash, proof, late)
    assert verified.lineage == get_lineage(world)
    assert len(verified.lineage) == 3
    first, second, third = proof.pages
    for pages in ((first, third), (first, second), (second, first, third), (first, first, third)):
        with pytest.raises(VerificationFailed):
            require_model(light.config, node.runtime.genesis_hash, replace(proof, pages=pages), late)


async def test_a_models_proof_starts_at_any_trusted_block(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    advance(world)
    publish(node, world)
    trusted = node.chain.get_block(Height(6))
    assert trusted is not None
    checkpoint = replace(get_checkpoint(node), height=Height(6), block_hash=compute_block_hash(trusted.header))
    now_ms = node.ledger.head.timestamp_ms
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        verified = await client.models.verify(0, checkpoint, now_ms=now_ms)
        with pytest.raises(VerificationFailed):
            await client.models.verify(0, replace(checkpoint, block_hash=None), now_ms=now_ms)
    assert verified.lineage == get_lineage(world)


async def test_a_trainer_of_ones_own_is_a_short_loop(tmp_path: Path) -> None:
    node, _ = build_learning_node(tmp_path, rounds=1, min_updates=1, max_updates=1, submit_blocks=500)

    def run_trainer(endpoint: str) -> list[tuple[int, Phase]]:
        done: list[tuple[int, Phase]] = []
        with Client(endpoint, timing=QUICK) as client:
            for open_round in client.rounds.follow(0):
                model = client.models.fetch(0)
                update = build_update(model.spec.adapter, seed=open_round.round)
                state = client.updates.submit(0, update, account=TRAINERS[0]).wait("judged")
                done.append((state.round, state.phase))
        return done

    async with serve(node) as endpoint, node.run_blocks():
        done = await asyncio.to_thread(run_trainer, endpoint)
    assert done == [(0, Phase.VOID)]  # nobody judges here: the round ends void and says so
