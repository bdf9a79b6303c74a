"""Data folders that forgot: an old copy is restored, a journal is damaged. Nothing is signed twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flockchain.consensus.guard import GUARD_RECORD, VoteRecord
from flockchain.primitives.vote import VoteKind
from flockchain.storage.journal import open_journal
from tests.kit.networks import NodeProcess, build_network, wait_for

pytestmark = pytest.mark.e2e

Votes = dict[tuple[int, int, VoteKind], bytes]


@pytest.fixture
def nodes(tmp_path):
    built = build_network(tmp_path, 4, idle_ms=100, epoch_blocks=16)
    for node in built:
        node.start()
    wait_for(lambda: min(node.get_height() for node in built) >= 3, 60)
    yield built
    for node in built:
        print(node.home.name, node.log[-1500:], sep="\n")
        if node.process is not None and node.process.poll() is None:
            node.kill()


def read_votes(journal_file: Path) -> Votes:
    journal = open_journal(journal_file)
    journal.close()
    records = [GUARD_RECORD.decode(raw) for raw in journal.records()]
    votes = [record for record in records if isinstance(record, VoteRecord)]
    return {(vote.epoch, vote.view, vote.kind): vote.block_hash for vote in votes}


def count_log(node: NodeProcess, words: str) -> int:
    return node.log.count(words)


def require_one_word(*lives: Votes) -> None:
    """No two votes exclude each other, over all lives."""
    said: Votes = {}
    for votes in lives:
        for key, block_hash in votes.items():
            assert said.setdefault(key, block_hash) == block_hash, key
    for epoch, view, kind in said:
        assert kind is not VoteKind.FINALIZE or (epoch, view, VoteKind.NULLIFY) not in said


def test_a_restored_copy_signs_nothing_twice_and_signs_again_in_an_epoch_that_begins_later(nodes, tmp_path):
    node = nodes[1]
    data, copy, lost = node.home / "data", tmp_path / "copy", tmp_path / "lost"
    assert node.stop() == 0
    shutil.copytree(data, copy)
    copied = read_votes(copy / "votes.journal")
    node.start()
    wait_for(lambda: node.get_height() >= 3 and node.get_height() >= nodes[0].get_height() - 2, 60)
    height = node.get_height()
    wait_for(lambda: node.get_height() >= height + 6, 60)
    node.kill()
    data.rename(lost)
    shutil.copytree(copy, data)
    before = count_log(node, '"state": "signing"')
    node.start()
    wait_for(lambda: count_log(node, "records of what this node signed may be missing") == 1, 30)
    wait_for(lambda: count_log(node, '"state": "signing"') > before, 90)
    height = node.get_height()
    wait_for(lambda: node.get_height() >= height + 6, 60)
    assert node.stop() == 0
    first, second = read_votes(lost / "votes.journal"), read_votes(data / "votes.journal")
    require_one_word(copied, first, second)
    new = second.keys() - copied.keys()
    assert len(new) > 6
    assert min(epoch for epoch, _, _ in new) > max(epoch for epoch, _, _ in first)


def test_a_damaged_journal_stops_the_node_on_one_line_that_says_what_to_do_and_that_works(nodes):
    node = nodes[2]
    journal = node.home / "data" / "votes.journal"
    assert node.stop() == 0
    signed = read_votes(journal)
    for permille in (500, 999):
        spoiled = bytearray(journal.read_bytes())
        position = len(spoiled) * permille // 1000
        spoiled[position] ^= 4
        journal.write_bytes(spoiled)
        lines = count_log(node, "\n")
        node.start()
        assert node.process.wait(30) == 4
        (line,) = node.log.splitlines()[lines:]
        assert all(words in line for words in ("damaged", "votes.journal", "move it away and start again"))
        spoiled[position] ^= 4
        journal.write_bytes(spoiled)
    journal.rename(journal.with_name("votes.damaged"))
    node.start()
    wait_for(lambda: count_log(node, "records of what this node signed may be missing") == 1, 30)
    before = count_log(node, '"state": "signing"')
    wait_for(lambda: count_log(node, '"state": "signing"') > before, 90)
    assert node.stop() == 0
    require_one_word(signed, read_votes(journal))
