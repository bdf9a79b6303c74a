"""Real processes: an empty node joins a running chain by a snapshot, one that may not by blocks, and both take part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.node.config import StorageConfig, SyncConfig, encode_config
from tests.kit.networks import NodeProcess, build_network, build_stranger, get_block_hash, wait_for

pytestmark = pytest.mark.e2e
EPOCH_BLOCKS = 4


@pytest.fixture
def network(tmp_path: Path):
    nodes = build_network(tmp_path, 4, idle_ms=50, epoch_blocks=EPOCH_BLOCKS)
    for node in nodes:
        configure(node, StorageConfig(snapshot_blocks=8), SyncConfig())
        node.start()
    started = list(nodes)
    yield started
    for node in started:
        if node.process is not None:
            node.kill()


def configure(node: NodeProcess, storage: StorageConfig, sync: SyncConfig) -> None:
    node.config = replace(node.config, storage=storage, sync=sync)
    (node.home / "node.toml").write_bytes(encode_config(node.config))


def join(network: list[NodeProcess], storage: StorageConfig, sync: SyncConfig) -> NodeProcess:
    """An empty node beside the four."""
    newcomer = build_stranger(network[0])
    configure(newcomer, storage, sync)
    network.append(newcomer)
    newcomer.start()
    return newcomer


def test_an_empty_node_joins_by_a_snapshot_survives_a_kill_and_follows_the_chain(network):
    wait_for(lambda: network[0].get_height() >= 40, 60)
    newcomer = join(network, StorageConfig(), SyncConfig(lag_blocks=10))
    wait_for(lambda: newcomer.get_height() >= network[0].get_height() - 3 > 40, 60)
    assert "installing a snapshot" in newcomer.log
    height = newcomer.get_height()
    assert get_block_hash(newcomer, height) == get_block_hash(network[0], height)
    newcomer.kill()
    configure(newcomer, StorageConfig(), SyncConfig())  # what it missed meanwhile is not far
    newcomer.start()
    wait_for(lambda: newcomer.get_height() > height + 8, 60)
    assert newcomer.log.count("installing a snapshot") == 1


def test_a_node_that_may_not_take_a_snapshot_fetches_every_block(network):
    wait_for(lambda: network[0].get_height() >= 30, 60)
    newcomer = join(network, StorageConfig(), SyncConfig(state_sync=False, lag_blocks=10))
    wait_for(lambda: newcomer.get_height() >= 30, 60)
    assert "installing a snapshot" not in newcomer.log
    assert get_block_hash(newcomer, 1) == get_block_hash(network[0], 1)
