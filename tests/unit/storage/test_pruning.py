"""Pruning: old bodies go in bounded batches; what light clients and the head need stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flockchain.crypto.hashing import compute_block_hash, compute_extrinsic_hash
from flockchain.primitives.errors import InvariantBroken
from flockchain.primitives.numbers import Epoch, Height
from flockchain.storage.archive import Archive, HeightPruned
from flockchain.storage.level_store import LevelStore
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.store import Store
from flockchain.storage.tree import StateTree
from tests.kit.long_chains import LongChain, build_long_genesis

MAKERS: dict[str, Callable[[Path], Store]] = {"memory": lambda path: MemoryStore(), "level": LevelStore}
EPOCH_BLOCKS = 4
LENGTH = 18


@pytest.fixture(params=MAKERS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    made = Archive(MAKERS[request.param](tmp_path / "store"))
    LongChain(build_long_genesis(LENGTH, epoch_blocks=EPOCH_BLOCKS), made).grow(LENGTH)
    yield made
    made.close()


def test_bodies_receipts_and_indexes_below_the_height_are_gone(archive):
    blocks = [archive.get_block(Height(height)) for height in range(1, LENGTH + 1)]
    assert archive.prune(Height(11), 100) == 10
    for block in blocks[:10]:
        height = block.header.height
        assert archive.get_block(height) is None
        assert archive.get_receipts(height) is None
        assert archive.get_height(compute_block_hash(block.header)) is None
        assert archive.find_extrinsic(compute_extrinsic_hash(block.extrinsics[0])) is None
        with pytest.raises(HeightPruned):
            archive.require_height(height)
    for block in blocks[10:]:
        height = block.header.height
        archive.require_height(height)
        assert archive.get_block(height) == block
        assert archive.find_extrinsic(compute_extrinsic_hash(block.extrinsics[0])) == (height, 0)
    assert archive.get_first_height() == 11
    assert archive.get_block(Height(0)) is not None


def test_what_shows_epochs_ends_final_stays(archive):
    ends = [Height(end) for end in range(EPOCH_BLOCKS, LENGTH, EPOCH_BLOCKS)]
    kept = [(archive.get_header(end), archive.get_certificate(end)) for end in ends]
    archive.prune(Height(LENGTH), 100)
    assert [(archive.get_header(end), archive.get_certificate(end)) for end in ends] == kept
    assert None not in [part for pair in kept for part in pair]
    assert archive.get_validator_set(Epoch(3)) is not None
    assert archive.get_header(Height(ends[0] - 1)) is None
    assert archive.get_certificate(Height(ends[0] - 1)) is None


def test_a_batch_is_bounded_and_the_next_goes_on(archive):
    assert [archive.prune(Height(8), 3) for _ in range(4)] == [3, 3, 1, 0]
    assert archive.get_first_height() == 8


def test_the_head_and_the_state_stay(archive):
    before = archive.get_head()
    archive.prune(Height(LENGTH), 100)
    assert archive.get_head() == before
    assert archive.get_block(Height(LENGTH)) is not None
    assert archive.get_certificate(Height(LENGTH)) is not None
    assert StateTree.build(archive.iterate_state()).root == before.state_root
    with pytest.raises(InvariantBroken):
        archive.prune(Height(LENGTH + 1), 100)
