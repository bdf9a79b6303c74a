"""The ledger: branches side by side, one of them final, and nothing of a refused block left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.primitives.block import Block
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.numbers import Hash, Height, TimestampMs, View
from flockchain.runtime.ledger import (
    ExecutedBlock,
    FinalBlockNotExecuted,
    Ledger,
    UnknownParent,
    WrongBody,
    WrongStateRoot,
)
from flockchain.runtime.pallets.balances import Transfer
from flockchain.storage.memory_store import MemoryStore
from tests.kit.runtime_chain import RuntimeChain, get_account


class Branches:
    """A ledger at genesis and the means to build blocks on any of its blocks."""

    def __init__(self) -> None:
        self.chain = RuntimeChain.start()
        self.store: MemoryStore = self.chain.store
        genesis = self.chain.runtime.genesis_block
        self.ledger = Ledger(self.chain.executive, self.store, self.chain.tree, genesis)

    def build(self, parent: ExecutedBlock, view: int, *raws: bytes) -> Block:
        draft = self.chain.draft(proposer=view)
        draft = replace(
            draft, parent=parent.header, parent_hash=parent.block_hash, view=View(view),
            timestamp_ms=TimestampMs(parent.header.timestamp_ms + 1 + view),
        )  # fmt: skip
        secret = self.chain.secrets[draft.proposer].consensus_secret
        runtime = self.chain.runtime
        message = compute_reveal_bytes(runtime.genesis_hash, draft.epoch, draft.view)
        draft = replace(draft, reveal=runtime.bls.sign(secret, message))
        checked = [self.chain.executive.check_extrinsic(raw) for raw in raws]
        return self.ledger.build(draft, checked)

    def require(self, block: Block) -> ExecutedBlock:
        executed = self.ledger.get(compute_block_hash(block.header))
        assert executed is not None
        return executed

    def commit(self, block_hash: Hash) -> list[ExecutedBlock]:
        path = self.ledger.finalize(block_hash)
        for executed in path:
            self.store.write(executed.changes, sync=False)
        self.ledger.settle()
        return path

    def pay(self, amount: int, nonce: int = 0) -> bytes:
        return self.chain.sign(
            "account-0", "balances.transfer", Transfer(get_account("account-1"), amount), nonce=nonce
        )  # type: ignore[arg-type]

    def get_bob(self, executed: ExecutedBlock) -> int:
        return self.chain.runtime.views.get_balance(executed.state, get_account("account-1"))


def test_two_branches_keep_their_own_states_and_roots() -> None:
    world = Branches()
    genesis = world.ledger.finalized
    left = world.require(world.build(genesis, 1, world.pay(5)))
    right = world.require(world.build(genesis, 2, world.pay(9)))
    assert world.get_bob(left) == world.get_bob(genesis) + 5
    assert world.get_bob(right) == world.get_bob(genesis) + 9
    assert left.tree.root == left.header.state_root != right.header.state_root


def test_finalizing_a_branch_commits_its_path_oldest_first_and_drops_the_other() -> None:
    world = Branches()
    genesis = world.ledger.finalized
    other = world.build(genesis, 1, world.pay(5))
    first = world.require(world.build(genesis, 2, world.pay(9)))
    second = world.require(world.build(first, 3, world.pay(1, nonce=1)))
    before = world.get_bob(genesis)
    path = world.commit(second.block_hash)
    assert [executed.block_hash for executed in path] == [first.block_hash, second.block_hash]
    assert world.ledger.get(compute_block_hash(other.header)) is None
    assert world.ledger.finalized.block_hash == second.block_hash
    assert world.chain.runtime.views.get_balance(world.store, get_account("account-1")) == before + 10


def test_a_block_built_before_the_disk_has_its_parent_reads_the_right_state() -> None:
    world = Branches()
    first = world.require(world.build(world.ledger.finalized, 1, world.pay(7)))
    before = world.get_bob(first)
    path = world.ledger.finalize(first.block_hash)
    second = world.require(world.build(world.ledger.finalized, 2, world.pay(2, nonce=1)))  # not settled yet
    assert world.get_bob(second) == before + 2
    for executed in path:
        world.store.write(executed.changes, sync=False)
    world.ledger.settle()
    assert world.get_bob(second) == before + 2
    assert world.ledger.execute(second.block).tree.root == second.header.state_root


def test_what_was_executed_once_is_not_executed_again() -> None:
    world = Branches()
    block = world.build(world.ledger.finalized, 1)
    assert world.ledger.execute(block) is world.ledger.execute(block)


def test_an_unknown_parent_a_wrong_root_and_an_invalid_body_leave_the_ledger_as_it_was() -> None:
    world = Branches()
    good = world.build(world.ledger.finalized, 1, world.pay(5))
    orphan = replace(good, header=replace(good.header, parent=sha256(b"nobody"), height=Height(1)))
    wrong_root = replace(good, header=replace(good.header, state_root=sha256(b"elsewhere")))
    later = TimestampMs(good.header.timestamp_ms + 1)  # another header, so that it is not the block known already
    wrong_body = replace(good, header=replace(good.header, timestamp_ms=later), extrinsics=())
    for block, error in ((orphan, UnknownParent), (wrong_root, WrongStateRoot), (wrong_body, FlockchainError)):
        with pytest.raises(error):
            world.ledger.execute(block)
        assert world.ledger.finalized.header.height == 0
        assert world.ledger.get(compute_block_hash(block.header)) is None


def test_another_body_under_an_executed_header_is_refused() -> None:
    world = Branches()
    block = world.build(world.ledger.finalized, 1, world.pay(5))
    assert world.ledger.execute(block) is world.require(block)
    with pytest.raises(WrongBody):
        world.ledger.execute(replace(block, extrinsics=(world.pay(6),)))
    assert world.require(block).block == block


def test_a_final_block_that_was_not_executed_here_is_a_fault_of_ours() -> None:
    world = Branches()
    with pytest.raises(FinalBlockNotExecuted, match="old release"):
        world.ledger.finalize(sha256(b"elsewhere"))
    assert world.ledger.finalized.header.height == 0
