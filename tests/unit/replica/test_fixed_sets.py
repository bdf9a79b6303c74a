"""The validator sets that blocks fix go to the archive with them, and stay when the state has forgotten them."""

from __future__ import annotations

import pytest

from flockchain.crypto.hashing import compute_validators_hash
from flockchain.primitives.numbers import Epoch
from flockchain.primitives.vote import BLS_SIGNATURE_BYTES, Certificate, VoteKind
from flockchain.replica.effects import CommitBlocks
from flockchain.runtime.ledger import Ledger
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.storage.archive import Archive
from flockchain.storage.memory_store import MemoryStore
from tests.kit.runtime_chain import RuntimeChain


def test_every_set_is_in_the_archive_long_after_the_state_forgot_it() -> None:
    chain = RuntimeChain.start()
    runtime = chain.runtime
    archive = Archive(MemoryStore())
    archive.initialise(runtime.genesis_hash, runtime.genesis_block, runtime.genesis_changes)
    ledger = Ledger(chain.executive, archive.state, chain.tree, runtime.genesis_block)
    hashes = {}
    for _ in range(32):
        block = chain.build()
        chain.apply(block)
        executed = ledger.execute(block)
        certificate = Certificate(
            VoteKind.FINALIZE, block.header.epoch, block.header.view, executed.block_hash, b"\1",
            bytes(BLS_SIGNATURE_BYTES),
        )  # fmt: skip
        effect = CommitBlocks(tuple(ledger.finalize(executed.block_hash)), certificate)
        archive.commit(effect.build_commits(), certificate)
        hashes[block.header.epoch] = block.header.validators_hash
    with pytest.raises(EpochUnknown):
        runtime.views.get_validator_set(archive.state, Epoch(2))
    for epoch in range(2, 8):  # genesis fixes the first two
        members = archive.get_validator_set(Epoch(epoch))
        assert members is not None
        assert compute_validators_hash(members) == hashes[epoch]
