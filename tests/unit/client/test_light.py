"""Headers are trusted by certificates, through every change of validators, and never by a node's word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flockchain.client import AsyncClient, Checkpoint
from flockchain.client.errors import BrokenAnswer, CallRefused, NotFound, VerificationFailed
from flockchain.client.light import HistoryMissing
from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.light import HeadersConflict, LightClient, TrustExpired
from flockchain.light.header_proof import require_trail
from flockchain.primitives.numbers import Epoch, Height
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.storage.archive import Archive
from tests.kit.api_chain import ApiNode, ArchivedChain, serve

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    return ApiNode(ArchivedChain.open(), tmp_path)


def make_blocks(node: ApiNode, count: int) -> None:
    for _ in range(count):
        node.make_block()


def get_checkpoint(node: ApiNode) -> Checkpoint:
    return Checkpoint(node.runtime.genesis_hash, trusting_period_ms=DAY_MS)


@asynccontextmanager
async def connect(*nodes: ApiNode) -> AsyncIterator[AsyncClient]:
    """A client of nodes that serve while it is open."""
    if not nodes:
        raise AssertionError("a client needs a node")
    async with serve(nodes[0]) as first:
        if len(nodes) == 1:
            async with AsyncClient(first) as client:
                yield client
            return
        async with serve(nodes[1]) as second, AsyncClient(first, second) as client:
            yield client


class LyingArchive:
    """A finalized chain of which some parts are told differently."""

    def __init__(self, inner: Archive, **lies: Any) -> None:
        self._inner = inner
        self._lies = lies

    def __getattr__(self, name: str) -> Any:
        return self._lies.get(name, getattr(self._inner, name))


class LyingNode(ApiNode):
    """A node whose archive lies."""

    def __init__(self, inner: ApiNode, folder: Path, **lies: Any) -> None:
        super().__init__(inner.ledger, folder)
        self._lies = lies

    @property
    def chain(self) -> Any:
        return LyingArchive(self.ledger.archive, **self._lies)


async def test_a_header_without_a_certificate_is_proven_by_its_descendants(node: ApiNode) -> None:
    node.ledger.uncertified = {6, 7}
    make_blocks(node, 8)
    async with connect(node) as client:
        proof = await client.light.fetch_proof(6)
        light = await client.light.start(get_checkpoint(node))
        header = await client.light.reach(light, proof, now_ms=node.ledger.head.timestamp_ms)
    assert [header.height for header in proof.headers] == [6, 7]
    assert (header.height, light.trusted.header.height) == (6, 8)


async def test_a_trail_from_genesis_holds_long_after_the_state_forgot_the_first_validators(node: ApiNode) -> None:
    make_blocks(node, 48)
    now_ms = node.ledger.head.timestamp_ms
    async with connect(node) as client:
        light = await client.light.start(get_checkpoint(node))
        steps: list[int] = []
        anchor = light.trusted
        trail = await client.light.fetch_trail(
            light, 48, now_ms=now_ms, on_step=lambda step: steps.append(step.header.epoch)
        )
        assert light.trusted.header == node.ledger.head
        again = await client.light.start(get_checkpoint(node))
        await client.light.follow(again, now_ms=now_ms, near_epochs=100, on_step=lambda step: steps.append(0))
    assert steps == [11, *[0] * 11]  # one skip, while the validators stay; or one step an epoch
    assert require_trail(LightClient(light.config, anchor), trail, now_ms) == node.ledger.head


async def test_every_epochs_validators_and_last_header_are_there_for_as_long_as_the_chain_is(node: ApiNode) -> None:
    make_blocks(node, 48)
    async with connect(node) as client:
        for epoch in range(12):
            light_block = await client.chain.get_light_block(epoch)
            assert light_block.validators == await client.chain.get_validator_set(epoch)
            assert light_block.header.height == 4 * (epoch + 1)
        with pytest.raises(NotFound):
            await client.chain.get_validator_set(20)
        with pytest.raises(NotFound):
            await client.chain.get_light_block(12)


async def test_trust_expires_by_the_chains_own_period_and_a_person_can_say_another(node: ApiNode) -> None:
    make_blocks(node, 6)
    rules, genesis_hash = node.runtime.config, node.runtime.genesis_hash
    period_ms = rules.staking.trusting_epochs * rules.epoch_blocks * rules.consensus.idle_block_ms
    ends = rules.timestamp_ms + period_ms
    async with connect(node) as client:
        light = await client.light.start(Checkpoint(genesis_hash))
        assert light.config.trusting_period_ms == period_ms
        with pytest.raises(TrustExpired):
            await client.light.follow(light, now_ms=ends)
        assert light.trusted.header.height == 0
        await client.light.follow(light, now_ms=ends - 1)
        assert light.trusted.header.height == 6
        longer = await client.light.start(Checkpoint(genesis_hash, trusting_period_ms=period_ms + 1))
        await client.light.follow(longer, now_ms=ends)
        assert longer.trusted == light.trusted


async def test_a_genesis_file_or_a_block_of_another_chain_is_refused(node: ApiNode) -> None:
    make_blocks(node, 6)
    async with connect(node) as client:
        for checkpoint in (
            Checkpoint(sha256(b"other")),
            Checkpoint(sha256(b"other"), trusting_period_ms=DAY_MS),
            Checkpoint(node.runtime.genesis_hash, Height(5), sha256(b"other"), DAY_MS),
        ):
            with pytest.raises(VerificationFailed):
                await client.light.start(checkpoint)
        with pytest.raises(HistoryMissing):
            await client.light.start(Checkpoint(node.runtime.genesis_hash, Height(70), sha256(b"?"), DAY_MS))


async def test_a_later_block_that_is_trusted_is_a_beginning_too(node: ApiNode) -> None:
    make_blocks(node, 30)
    block = node.chain.get_block(Height(21))
    assert block is not None
    checkpoint = Checkpoint(node.runtime.genesis_hash, Height(21), compute_block_hash(block.header), DAY_MS)
    async with connect(node) as client:
        light = await client.light.start(checkpoint)
        await client.light.follow(light, now_ms=node.ledger.head.timestamp_ms)
    assert light.store.anchor.header == block.header
    assert light.trusted.header == node.ledger.head


async def test_a_node_that_lies_about_a_header_its_validators_or_a_certificate_is_found_out(
    node: ApiNode, tmp_path: Path
) -> None:
    make_blocks(node, 30)
    archive, now_ms = node.ledger.archive, node.ledger.head.timestamp_ms

    def change_certificate(height: Height) -> Any:
        certificate = archive.get_certificate(height)
        return certificate and replace(certificate, signers=b"\1")

    def change_set(epoch: Epoch) -> ValidatorSet | None:
        members = archive.get_validator_set(epoch)
        return members and replace(members, validators=members.validators[:1])

    def shift_certificate(height: Height) -> Any:
        return archive.get_certificate(Height(height - 1))

    def change_header(height: Height) -> Any:
        header = archive.get_header(height)
        return header and replace(header, state_root=sha256(b"lie"))

    lies: list[dict[str, Any]] = [
        {"get_certificate": change_certificate}, {"get_header": change_header}, {"get_certificate": shift_certificate},
    ]  # fmt: skip
    checkpoint = get_checkpoint(node)
    async with connect(node) as honest:
        start = await honest.light.start(checkpoint)
    for lie in lies:
        async with connect(LyingNode(node, tmp_path, **lie)) as client:
            light = LightClient(start.config, start.trusted)
            with pytest.raises((VerificationFailed, BrokenAnswer)):
                await client.light.follow(light, now_ms=now_ms, near_epochs=100)
            assert light.store == start.store
    async with connect(LyingNode(node, tmp_path, get_validator_set=change_set)) as client:
        light = LightClient(start.config, start.trusted)
        with pytest.raises(VerificationFailed):
            await client.light.follow(light, now_ms=now_ms, near_epochs=100)
        assert light.trusted.header.epoch < 5


async def test_a_node_that_pruned_its_blocks_still_leads_from_genesis_or_an_epochs_end(node: ApiNode) -> None:
    make_blocks(node, 46)
    while node.ledger.archive.prune(Height(45), 64):
        pass
    assert node.ledger.archive.get_block(Height(40)) is None
    now_ms, header = node.ledger.head.timestamp_ms, node.ledger.archive.get_header(Height(40))
    assert header is not None
    async with connect(node) as client:
        light = await client.light.start(get_checkpoint(node))
        await client.light.follow(light, now_ms=now_ms, near_epochs=100)
        assert light.trusted.header == node.ledger.head
        later = replace(get_checkpoint(node), height=Height(40), block_hash=compute_block_hash(header))
        light = await client.light.start(later)
        await client.light.follow(light, now_ms=now_ms)
        assert light.trusted.header == node.ledger.head
        with pytest.raises(HistoryMissing):
            await client.light.fetch_proof(38)
        with pytest.raises(CallRefused, match="not kept by this node"):
            await client.chain.get_block(38)


async def test_a_node_that_forgot_the_validators_on_the_way_is_named_as_the_reason(
    node: ApiNode, tmp_path: Path
) -> None:
    make_blocks(node, 48)
    forgetful = LyingNode(node, tmp_path, get_validator_set=lambda epoch: None)
    async with connect(forgetful) as client:
        light = await client.light.start(get_checkpoint(node))
        with pytest.raises(HistoryMissing) as caught:
            await client.light.follow(light, now_ms=node.ledger.head.timestamp_ms, near_epochs=100)
    assert "--trusted" in caught.value.hint


async def test_another_node_with_another_certified_header_is_evidence_of_an_attack(
    node: ApiNode, tmp_path: Path
) -> None:
    make_blocks(node, 6)
    other = ApiNode(ArchivedChain.open(), tmp_path / "other")
    make_blocks(other, 5)
    other.ledger.apply(other.ledger.build(proposer=0))  # the same validators sign another leader's block, too
    now_ms = node.ledger.head.timestamp_ms + 1000
    assert compute_block_hash(other.ledger.head) != compute_block_hash(node.ledger.head)
    async with connect(node, other) as client:
        light = await client.light.start(get_checkpoint(node))
        await client.light.follow(light, now_ms=now_ms)
        before = light.store
        with pytest.raises(HeadersConflict) as caught:
            await client.light.compare(light, now_ms=now_ms)
    assert light.store is before
    assert {caught.value.first.header, caught.value.second.header} == {node.ledger.head, other.ledger.head}


async def test_nodes_of_one_chain_agree(node: ApiNode, tmp_path: Path) -> None:
    make_blocks(node, 6)
    async with connect(node, LyingNode(node, tmp_path)) as client:
        light = await client.light.start(get_checkpoint(node))
        await client.light.follow(light, now_ms=node.ledger.head.timestamp_ms)
        assert len(await client.light.compare(light, now_ms=node.ledger.head.timestamp_ms)) == 2


async def test_garbage_instead_of_a_light_block_is_a_broken_answer(
    node: ApiNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_blocks(node, 3)
    monkeypatch.setattr("flockchain.rpc.chain.LIGHT_BLOCK", type("Garbage", (), {"encode": lambda self, _: b"no"})())
    async with connect(node) as client:
        with pytest.raises(BrokenAnswer):
            await client.light.fetch_proof(2)
