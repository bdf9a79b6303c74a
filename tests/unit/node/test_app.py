"""Whole nodes as processes: they start fast, survive kill -9, stop cleanly, catch up, and refuse what they must."""

from __future__ import annotations

import time

import pytest

from tests.kit.networks import build_network, build_stranger, get_block_hash, wait_for


@pytest.fixture
def network(tmp_path):
    started = []

    def build(validators, **settings):
        nodes = build_network(tmp_path, validators, **settings)
        started.extend(nodes)
        return nodes

    yield build
    for node in started:
        print(node.home.name, node.log[-1500:] if (node.home / "log").exists() else "never started", sep="\n")
        if node.process is not None and node.process.poll() is None:
            node.kill()


def test_a_node_alone_finalizes_its_first_block_within_three_seconds_and_goes_on_after_kill_9(network):
    (node,) = network(1)
    begun = time.monotonic()
    node.start()
    wait_for(lambda: node.get_height() >= 1)
    waited_s = time.monotonic() - begun
    assert waited_s < 3.0 or node.get_cpu_s() < 2.0  # a busy machine makes us wait, not work
    wait_for(lambda: node.get_height() >= 3)
    height = node.get_height()
    block_hash = get_block_hash(node, height)
    node.kill()
    node.start()
    wait_for(lambda: node.get_height() > height)
    assert get_block_hash(node, height) == block_hash
    assert node.stop() == 0
    assert "node stopped" in node.log


def test_a_second_node_on_the_same_folder_ends_with_a_fault_and_the_first_goes_on(network):
    (node,) = network(1)
    node.start()
    wait_for(lambda: node.get_height() >= 1)
    first, node.process = node.process, None
    node.start()
    assert node.process.wait(15) == 4
    assert "another process uses this" in node.log
    node.process = first
    height = node.get_height()
    wait_for(lambda: node.get_height() > height)


def test_four_validators_agree_across_epochs_and_one_that_is_killed_comes_back_and_catches_up(network):
    nodes = network(4)
    for node in nodes:
        node.start()
    wait_for(lambda: all(node.get_height() >= 10 for node in nodes), 40)
    assert all(node.get_status().peers == 3 for node in nodes)  # a full mesh from one known address
    nodes[3].kill()
    height = nodes[0].get_height()
    wait_for(lambda: nodes[0].get_height() >= height + 12, 60)
    nodes[3].start()
    wait_for(lambda: nodes[3].get_height() >= height + 12, 60)
    behind = nodes[3].get_height()
    wait_for(lambda: min(node.get_height() for node in nodes) > behind + 4, 60)
    assert len({get_block_hash(node, behind) for node in nodes}) == 1
    assert [node.stop() for node in nodes] == [0, 0, 0, 0]


def test_a_wrong_password_a_broken_setting_and_a_foreign_genesis_each_have_their_exit_code(network, monkeypatch):
    (node,) = network(1)
    monkeypatch.setenv("FLOCKCHAIN_PASSWORD", "wrong")
    node.start()
    assert node.process.wait(15) == 3
    monkeypatch.delenv("FLOCKCHAIN_PASSWORD")
    toml = node.home / "node.toml"
    good = toml.read_text()
    toml.write_text(good + "\n[mining]\nhard = true\n")
    node.start()
    assert node.process.wait(15) == 4
    toml.write_text(good)
    node.start()
    wait_for(lambda: node.get_height() >= 1)
    node.stop()
    genesis = node.home / "genesis.toml"
    genesis.write_text(genesis.read_text().replace('chain = "network"', 'chain = "another"'))
    node.start()
    assert node.process.wait(15) == 4
    assert "the data folder holds another chain" in node.log


def test_when_the_disk_is_full_the_node_stops_with_a_fault_and_goes_on_from_there_when_there_is_room(network):
    (node,) = network(1, idle_ms=50)
    toml = node.home / "node.toml"
    toml.write_text(toml.read_text().replace('level = "debug"', 'level = "error"'))
    node.start("prlimit", f"--fsize={48 * 1024}")  # no file may grow beyond this: the database's log will want to
    assert node.process.wait(60) == 4
    assert "the disk is full" in node.log
    node.start()
    wait_for(lambda: node.get_height() >= 1)
    height = node.get_height()
    wait_for(lambda: node.get_height() >= height + 20)
    assert node.stop() == 0


def test_a_stranger_with_the_genesis_and_one_peer_starts_empty_and_follows(network):
    nodes = network(2)
    for node in nodes:
        node.start()
    wait_for(lambda: nodes[0].get_height() >= 20, 60)
    stranger = build_stranger(nodes[0])
    stranger.start()
    try:
        wait_for(lambda: stranger.get_height() >= 25, 60)
        assert get_block_hash(stranger, 20) == get_block_hash(nodes[1], 20)
        assert stranger.get_status().peers == 2  # it was told of the second node by the first
        assert stranger.stop() == 0
    finally:
        if stranger.process.poll() is None:
            stranger.kill()
