"""Extrinsics come in once, wait, and are passed on in batches."""

from __future__ import annotations

import pytest

from flockchain.mempool.pool import AlreadyPooled
from flockchain.primitives.limits import GOSSIP_BATCH_MAX
from flockchain.primitives.numbers import Nonce
from flockchain.replica.admission import Admission
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.runtime.pallets.system import Remark
from tests.kit.runtime_chain import RuntimeChain


@pytest.fixture
def chain() -> RuntimeChain:
    return RuntimeChain.start()


@pytest.fixture
def admission(chain: RuntimeChain) -> Admission:
    return Admission(chain.executive)


def submit(admission: Admission, chain: RuntimeChain, nonce: int) -> CheckedExtrinsic:
    raw = chain.sign("faucet", "system.remark", Remark(nonce.to_bytes(4, "big")), nonce=Nonce(nonce))
    checked = admission.require_admissible(chain.store, raw)
    admission.add(chain.store, checked, is_ours=True)
    return checked


def test_gossip_follows_a_silence_at_once_and_gathers_for_longer_under_load(admission, chain):
    quiet_ms = admission.compute_gossip_wait_ms(10_000)
    submit(admission, chain, 0)
    admission.take_unsent(10_000 + quiet_ms)
    soon_ms = admission.compute_gossip_wait_ms(10_000 + quiet_ms + 1)
    assert quiet_ms < 5 < soon_ms
    assert admission.compute_gossip_wait_ms(11_000) == quiet_ms
    assert admission.compute_gossip_wait_ms(10_000 + quiet_ms + soon_ms) == quiet_ms


def test_everything_is_passed_on_once_in_order_and_in_batches_that_fit_a_frame(admission, chain):
    sent = [submit(admission, chain, nonce).raw for nonce in range(300)]
    assert admission.has_unsent
    batches = admission.take_unsent(0)
    assert [raw for batch in batches for raw in batch] == sent
    assert all(len(batch) <= GOSSIP_BATCH_MAX for batch in batches)
    assert not admission.has_unsent
    assert admission.take_unsent(1) == []


def test_what_a_peer_sent_is_pooled_and_not_passed_on_by_us(admission, chain):
    raw = chain.sign("faucet", "system.remark", Remark(b"x"), nonce=Nonce(0))
    assert admission.add_from_peer(chain.store, [raw, b"nonsense", raw]) == 1
    assert len(admission.pool) == 1
    assert not admission.has_unsent


def test_a_second_submission_is_refused_and_changes_nothing(admission, chain):
    checked = submit(admission, chain, 0)
    with pytest.raises(AlreadyPooled):
        admission.add(chain.store, checked, is_ours=True)
    assert len(admission.pool) == 1
    assert admission.take_unsent(0) == [(checked.raw,)]
