"""Block hashes, randomness, epoch seeds, remarks."""

from __future__ import annotations

import pytest

from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Epoch, Hash, Height
from flockchain.runtime.frame import ValueMissing
from flockchain.runtime.metadata import decode_event, describe_runtime
from flockchain.runtime.pallets.system import BlockMoment, Remark, Remarked
from tests.kit.runtime_chain import RuntimeChain, get_account


@pytest.fixture
def chain() -> RuntimeChain:
    return RuntimeChain.start()


def test_the_state_knows_its_block_and_the_hashes_before_it(chain: RuntimeChain) -> None:
    hashes: list[Hash] = [chain.runtime.genesis_hash]
    for _ in range(6):
        chain.advance()
        hashes.append(compute_block_hash(chain.head))
    views = chain.runtime.views
    assert views.get_moment(chain.store) == BlockMoment(Height(6), Epoch(1), chain.head.timestamp_ms)
    assert [views.get_block_hash(chain.store, Height(height)) for height in range(6)] == hashes[:6]
    assert views.get_block_hash(chain.store, Height(6)) is None
    assert views.get_block_hash(chain.store, Height(7)) is None


def test_only_the_last_256_hashes_are_kept(chain: RuntimeChain) -> None:
    while chain.height < 260:
        chain.apply(chain.build())
    views = chain.runtime.views
    assert views.get_block_hash(chain.store, Height(3)) is None
    assert views.get_block_hash(chain.store, Height(4)) is not None
    assert views.get_block_hash(chain.store, Height(259)) == chain.head.parent


def test_every_reveal_changes_the_randomness(chain: RuntimeChain) -> None:
    seen = {chain.runtime.views.get_randomness(chain.store)}
    for _ in range(5):
        chain.advance()
        seen.add(chain.runtime.views.get_randomness(chain.store))
    assert len(seen) == 6


def test_a_seed_is_known_when_its_epoch_starts_and_not_before(chain: RuntimeChain) -> None:
    views = chain.runtime.views
    first = views.get_epoch_seed(chain.store, Epoch(0))
    while chain.height < 3:
        chain.advance()
        with pytest.raises(ValueMissing):
            views.get_epoch_seed(chain.store, Epoch(1))
    chain.advance()
    second = views.get_epoch_seed(chain.store, Epoch(1))
    assert second != first
    chain.advance()
    assert views.get_epoch_seed(chain.store, Epoch(1)) == second


def test_randomness_accumulates_over_all_blocks(chain: RuntimeChain) -> None:
    other = RuntimeChain.start()
    for first, proposers in ((chain, (0, 2)), (other, (1, 2))):
        for proposer in proposers:
            first.advance(proposer=proposer)
    views = chain.runtime.views
    assert views.get_randomness(chain.store) != views.get_randomness(other.store)


def test_a_seed_depends_on_who_proposed(chain: RuntimeChain) -> None:
    other = RuntimeChain.start()
    for _ in range(4):
        chain.advance(proposer=0)
        other.advance(proposer=1)
    views = chain.runtime.views
    assert views.get_epoch_seed(chain.store, Epoch(1)) != views.get_epoch_seed(other.store, Epoch(1))


def test_a_remark_puts_a_digest_on_record(chain: RuntimeChain) -> None:
    assert chain.call("account-0", "system.remark", Remark(b"hello")) == ""
    assert chain.find_events("Remarked") == [Remarked(get_account("account-0"), sha256(b"hello"))]
    assert chain.events[0].extrinsic == 0
    assert chain.events[-1].extrinsic is None
    assert set(chain.events[0].fields) == {"sender", "digest"}


@pytest.mark.parametrize("raw", [b"", bytes(5), bytes(4) + b"\x63\x00", bytes(4) + b"\x00\x63", bytes(6)])
def test_bytes_that_are_no_event_are_refused(chain: RuntimeChain, raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_event(chain.runtime, raw)


def test_the_description_names_the_chain_and_every_call(chain: RuntimeChain) -> None:
    described = describe_runtime(chain.runtime)
    assert described["genesis_hash"] == chain.runtime.genesis_hash.hex()
    balances = next(pallet for pallet in described["pallets"] if pallet["name"] == "balances")
    assert balances["calls"][0]["arguments"] == [
        {"name": "target", "type": "bytes[32]"}, {"name": "amount", "type": "u128"},
    ]  # fmt: skip
    assert balances["constants"]["fee_base"] == chain.runtime.config.balances.fee_base
