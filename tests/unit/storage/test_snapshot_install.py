"""Installing a snapshot: a chain or a mark, never half a chain; whatever write the crash comes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from flockchain.primitives.errors import Fault
from flockchain.primitives.numbers import Epoch, Height
from flockchain.replica.effects import CommitBlocks
from flockchain.runtime.executive import Executive
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.ledger import Ledger
from flockchain.storage.archive import Archive
from flockchain.storage.disk import DiskFailed
from flockchain.storage.level_store import LevelStore
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.snapshot_install import InstallPlan, install_snapshot, resume_install
from flockchain.storage.snapshot_shelf import MemoryShelf
from flockchain.storage.store import Store
from flockchain.storage.tree import StateTree
from flockchain.sync.retention import RetentionConfig
from tests.kit.long_chains import LongChain, build_long_genesis

MAKERS: dict[str, Callable[[Path], Store]] = {"memory": lambda path: MemoryStore(), "level": LevelStore}
AT = Height(16)


@dataclass(frozen=True)
class World:
    """A chain of 20 blocks with a snapshot at 16, and what a node needs to install it."""

    genesis: GenesisConfig
    chain: LongChain
    plan: InstallPlan

    def fill_shelf(self) -> MemoryShelf:
        shelf = MemoryShelf()
        for index in range(self.plan.info.chunk_count):
            shelf.put_chunk(self.plan.info, index, self.shelf.get_chunk(AT, index))  # type: ignore[arg-type]
        return shelf

    @property
    def shelf(self) -> MemoryShelf:
        return self.chain._shelf  # type: ignore[return-value]


@pytest.fixture(scope="module")
def world() -> World:
    genesis = build_long_genesis(20, epoch_blocks=4)
    chain = LongChain(genesis, Archive(MemoryStore()), MemoryShelf(), retention=RetentionConfig(snapshot_blocks=8))
    chain.grow(20)
    info = chain._shelf.list_whole()[-1]  # type: ignore[union-attr]
    assert info.height == AT
    archive, runtime = chain.archive, chain.runtime
    plan = InstallPlan(
        runtime.genesis_hash, runtime.genesis_block, info, archive.get_block(AT), archive.get_certificate(AT)
    )
    return World(genesis, chain, plan)


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path):
    made = MAKERS[request.param](tmp_path / "store")
    yield made
    made.close()


def start_chain(world: World, store: Store, blocks: int = 0) -> Archive:
    """A node of the same chain, `blocks` high."""
    archive, runtime = Archive(store), world.chain.runtime
    archive.initialise(runtime.genesis_hash, runtime.genesis_block, runtime.genesis_changes)
    if blocks:
        LongChain(world.genesis, archive).grow(blocks)
    return archive


def assert_joined(world: World, store: Store) -> Archive:
    """The whole chain at the snapshot's height, and nothing of what was before."""
    archive, source = Archive(store), world.chain.archive
    head = archive.get_head()
    assert head is not None
    assert (head.height, head.block_hash) == (AT, world.plan.info.block_hash)
    assert StateTree.build(archive.iterate_state()).root == head.state_root
    assert archive.get_block(AT) == source.get_block(AT)
    assert archive.get_certificate(AT) == source.get_certificate(AT)
    assert archive.get_block_by_hash(head.block_hash) == source.get_block(AT)
    assert archive.get_block(Height(0)) == world.chain.runtime.genesis_block
    assert archive.get_block(Height(AT - 1)) is None
    assert archive.get_first_height() == AT
    assert archive.get_genesis_hash() == world.chain.runtime.genesis_hash
    assert store.get(b"i") is None
    return archive


@pytest.mark.parametrize("blocks", [0, 6])
def test_a_snapshot_replaces_the_chain_that_was_there(world, store, blocks):
    start_chain(world, store, blocks)
    shelf = world.fill_shelf()
    assert install_snapshot(store, shelf, world.plan)
    archive = assert_joined(world, store)
    assert shelf.find_partial() is None
    if blocks:  # what showed our own epochs' ends final is still there
        assert archive.get_header(Height(4)) is not None
        assert archive.get_certificate(Height(4)) is not None
        assert archive.get_validator_set(Epoch(2)) is not None


def test_the_chain_goes_on_above_an_installed_snapshot(world, store):
    start_chain(world, store)
    install_snapshot(store, world.fill_shelf(), world.plan)
    archive = assert_joined(world, store)
    source = world.chain.archive
    ledger = Ledger(
        Executive(world.chain.runtime), archive.state, StateTree.build(archive.iterate_state()), archive.get_block(AT)
    )
    for height in range(AT + 1, 21):
        block, certificate = source.get_block(height), source.get_certificate(height)
        executed = ledger.execute(block)
        archive.commit(
            CommitBlocks(tuple(ledger.finalize(executed.block_hash)), certificate).build_commits(), certificate
        )
        ledger.settle()
    assert archive.get_head() == source.get_head()


def test_a_missing_or_damaged_chunk_leaves_the_old_chain_and_is_dropped(world, store):
    start_chain(world, store, 6)
    before = Archive(store).get_head()
    shelf = world.fill_shelf()
    shelf.put_chunk(world.plan.info, 0, b"damaged")
    assert not install_snapshot(store, shelf, world.plan)
    assert Archive(store).get_head() == before
    assert shelf.list_chunks(world.plan.info) == frozenset(range(1, world.plan.info.chunk_count))


class CrashingStore(MemoryStore):
    """Takes so many writes, and then the machine stops."""

    __slots__ = ("writes_left",)

    def __init__(self) -> None:
        super().__init__()
        self.writes_left = 10**9

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        if self.writes_left == 0:
            raise DiskFailed("the machine stopped")
        self.writes_left -= 1
        super().write(puts, sync=sync)


@pytest.mark.parametrize("blocks", [0, 6])
def test_after_a_crash_at_any_write_there_is_the_old_chain_or_the_new_one(world, blocks):
    crashes = 0
    while True:
        store = CrashingStore()
        start_chain(world, store, blocks)
        before = Archive(store).get_head()
        shelf = world.fill_shelf()
        store.writes_left = crashes
        try:
            install_snapshot(store, shelf, world.plan)
        except Fault:
            store.writes_left = 10**9
            is_marked = store.get(b"i") is not None
            resume_install(store, shelf)
            if is_marked:
                assert_joined(world, store)
            else:
                assert Archive(store).get_head() == before
            crashes += 1
            continue
        break
    assert crashes >= 4  # the mark, the old chain, the chunks, the head
    assert_joined(world, store)


class ForgetfulStore(MemoryStore):
    """When the power fails only `disk` is left: what was synced. An earlier write may be lost, it is another file."""

    __slots__ = ("disk",)

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryStore()

    def write(self, puts: Mapping[bytes, bytes | None], *, sync: bool) -> None:
        super().write(puts, sync=sync)
        if sync:
            self.disk.write(puts, sync=sync)


def test_a_head_on_disk_means_that_the_whole_state_is_on_disk(world):
    store = ForgetfulStore()
    start_chain(world, store, 6)
    assert install_snapshot(store, world.fill_shelf(), world.plan)
    assert_joined(world, store.disk)


def test_a_marked_store_whose_chunks_are_gone_begins_at_genesis_again(world):
    store = CrashingStore()
    start_chain(world, store)
    store.writes_left = 2
    with pytest.raises(Fault):
        install_snapshot(store, world.fill_shelf(), world.plan)
    assert store.get(b"i") is not None
    store.writes_left = 10**9
    resume_install(store, MemoryShelf())
    assert Archive(store).get_head() is None
    archive = start_chain(world, store)
    assert archive.get_head().height == 0
    assert StateTree.build(archive.iterate_state()).root == archive.get_head().state_root


def test_nothing_happens_to_a_store_without_a_mark(world, store):
    start_chain(world, store)
    before = list(store.scan(b""))
    resume_install(store, MemoryShelf())
    assert list(store.scan(b"")) == before
