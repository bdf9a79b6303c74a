"""`model verify` from a genesis file, through a node that is not trusted, to a verdict that scripts can use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from flockchain.cli import app as cli
from flockchain.cli.exit_codes import ExitCode
from flockchain.cli.trust import read_trust
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.learning import Phase
from flockchain.primitives.numbers import Height
from flockchain.runtime.genesis import encode_genesis
from tests.kit.api_chain import ApiNode, build_learning_node, serve
from tests.kit.learning import LearningChain

CaptureFixture = pytest.CaptureFixture[str]


@pytest.fixture
def learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ApiNode, LearningChain]:
    """A node whose task has advanced once; the clock is the chain's."""
    node, world = build_learning_node(tmp_path)
    world.submit_all()
    world.judge([10, 20, 30])
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(range(4)))
    world.chain.advance()
    for data in world.blobs.values():
        node.blobs.put(data)
    monkeypatch.setattr("flockchain.client.light.get_now_ms", lambda: node.ledger.head.timestamp_ms)
    (tmp_path / "genesis.toml").write_bytes(encode_genesis(node.runtime.config))
    return node, world


async def verify(endpoint: str, *options: object) -> int:
    words = ["model", "verify", "0", "--node", endpoint, *map(str, options), "--output", "json"]
    return await asyncio.to_thread(cli.run, words)


async def test_a_model_is_verified_from_a_genesis_file_and_again_from_what_was_kept(
    learning: tuple[ApiNode, LearningChain], tmp_path: Path, capsys: CaptureFixture
) -> None:
    node, _ = learning
    trust = tmp_path / "kept" / "trust"
    async with serve(node) as endpoint:
        options = ["--genesis", tmp_path / "genesis.toml", "--trusting-period", "1h", "--trust", trust]
        assert await verify(endpoint, *options) == ExitCode.OK
        captured = capsys.readouterr()
        assert captured.err == ""
        shown = json.loads(captured.out)
        assert await verify(endpoint, "--trusting-period", "1h", "--trust", trust) == ExitCode.OK
        again = json.loads(capsys.readouterr().out)
    assert shown["is_verified"] is True
    assert shown["genesis_hash"] == node.runtime.genesis_hash.hex()
    assert (shown["height"], shown["steps"], shown["trusted_height"]) == (node.ledger.height, 1, 0)
    assert shown["headers_verified"] > 1
    assert again["lineage"] == shown["lineage"]
    assert again["headers_verified"] == 1
    store = read_trust(trust)
    assert store is not None
    assert store.latest.header == node.ledger.head


async def test_a_checkpoint_is_a_beginning_and_a_wrong_one_is_refused(
    learning: tuple[ApiNode, LearningChain], tmp_path: Path, capsys: CaptureFixture
) -> None:
    node, _ = learning
    block = node.chain.get_block(Height(6))
    assert block is not None
    genesis = ["--genesis-hash", node.runtime.genesis_hash.hex(), "--trusting-period", "1h"]
    async with serve(node) as endpoint:
        named = compute_block_hash(block.header).hex()
        assert await verify(endpoint, *genesis, "--trusted", f"6:{named}") == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["trusted_height"] == 6
        assert await verify(endpoint, *genesis, "--trusted", f"7:{named}") == ExitCode.CHECK_FAILED
        assert await verify(endpoint, *genesis, "--trusted", f"999:{named}") == ExitCode.NOT_FOUND
        assert await verify(endpoint, "--genesis-hash", "22" * 32) == ExitCode.CHECK_FAILED
    assert capsys.readouterr().out == ""


async def test_trust_that_is_too_old_ends_in_one_line_and_what_to_do(
    learning: tuple[ApiNode, LearningChain], tmp_path: Path, capsys: CaptureFixture
) -> None:
    node, _ = learning
    async with serve(node) as endpoint:
        code = await verify(endpoint, "--genesis", tmp_path / "genesis.toml")
    assert code == ExitCode.CHECK_FAILED
    error = json.loads(capsys.readouterr().err)
    assert error["kind"] == "TrustExpired"
    assert "--trusted HEIGHT:HASH" in error["hint"]
