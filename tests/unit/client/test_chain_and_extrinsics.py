"""Reads of the chain, and calls on their way into it, against a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flockchain.client import Account, AsyncClient, Timing, build_extrinsic, calls
from flockchain.client.errors import (
    CallRefused,
    DeadlineExceeded,
    ExtrinsicFailed,
    InvalidRequest,
    NotFound,
    Unreachable,
)
from flockchain.client.metadata import CallRequest, UnknownCall
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.codec import EncodeError
from flockchain.primitives.errors import Fault, InvalidInput, Refused
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC, Call
from flockchain.runtime.dev_keys import derive_dev_account
from tests.kit.api_chain import ApiNode, ArchivedChain, serve
from tests.kit.runtime_chain import FLOCK, get_account

FAUCET = Account(derive_dev_account("faucet"))
BOB = get_account("account-0")
QUICK = Timing(deadline_ms=1_000, attempts=3, backoff_ms=10, poll_ms=10)


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    return ApiNode(ArchivedChain.open(), tmp_path)


async def test_status_says_where_the_node_is(node: ApiNode) -> None:
    node.make_block()
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        status = await client.chain.get_status()
    assert (status.height, status.epoch, status.peers, status.is_syncing) == (1, 0, 3, False)
    assert status.finalized_hash == compute_block_hash(node.ledger.head)
    assert status.genesis_hash == node.runtime.genesis_hash
    assert status.state_root == node.ledger.head.state_root


async def test_a_block_is_found_by_height_by_hash_and_as_the_last(node: ApiNode) -> None:
    node.make_block()
    node.make_block()
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        first = await client.chain.get_block(1)
        assert await client.chain.get_block(first.block_hash) == first
        assert (await client.chain.get_block()).header == node.ledger.head
        assert first.certificate is not None
        assert first.certificate.block_hash == first.block_hash
        assert (await client.chain.get_block(0)).certificate is None
        for missing in (3, bytes(32)):
            with pytest.raises(NotFound):
                await client.chain.get_block(missing)


async def test_validators_of_the_known_epochs_are_served_and_others_are_not_found(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        assert await client.chain.get_validator_set(0) == node.ledger.members
        with pytest.raises(NotFound):
            await client.chain.get_validator_set(9)


async def test_the_genesis_file_is_served_as_it_is(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        genesis = await client.chain.get_genesis()
    assert (genesis.toml, genesis.genesis_hash) == (node.identity.genesis_toml, node.runtime.genesis_hash)


async def test_metadata_encodes_every_call_as_the_runtime_does(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        metadata = await client.chain.get_metadata()
    assert set(metadata.calls) == {
        f"{pallet.name}.{call.name}" for pallet in node.runtime.pallets for call in pallet.calls
    }
    encoded = metadata.encode_call(calls.transfer(BOB, 5))
    index, spec = node.ledger.find_call("balances.transfer")
    assert encoded == Call(index, spec.index, spec.arguments.encode(spec.arguments.cls(BOB, 5)))
    readable = CallRequest("balances.transfer", {"target": BOB.hex(), "amount": "5"})
    assert metadata.encode_call(readable) == encoded


async def test_a_transfer_is_signed_included_and_reported_with_its_events(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        before = (await client.extrinsics.get_account(BOB)).balance
        handle = await client.extrinsics.submit(calls.transfer(BOB, 5 * FLOCK), account=FAUCET)
        assert not (await client.extrinsics.get(handle.extrinsic_hash)).is_included
        node.make_block()
        record = await handle.wait()
        after = await client.extrinsics.get_account(BOB)
        sender = await client.extrinsics.get_account(FAUCET.account)
    assert (record.is_included, record.has_succeeded, record.height, record.index) == (True, True, 1, 0)
    assert record.fee > 0
    transferred = next(event for event in record.events if event.name == "Transferred")
    assert transferred.fields["target"] == BOB.hex()
    assert int(transferred.fields["amount"]) == 5 * FLOCK
    assert after.balance == before + 5 * FLOCK
    assert (sender.nonce, sender.next_nonce) == (1, 1)


async def test_calls_of_one_account_made_at_once_get_one_nonce_after_another(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        handles = await asyncio.gather(
            *(client.extrinsics.submit(calls.transfer(BOB, FLOCK + n), account=FAUCET) for n in range(8))
        )
        node.make_block()
        records = await asyncio.gather(*(handle.wait() for handle in handles))
    assert sorted(record.index for record in records) == list(range(8))


async def test_a_call_that_the_chain_refuses_raises_with_the_chains_sentence(node: ApiNode) -> None:
    poor = Account(derive_dev_account("account-1"))
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        balance = (await client.extrinsics.get_account(poor.account)).balance
        handle = await client.extrinsics.submit(calls.transfer(BOB, 10 * balance), account=poor)
        node.make_block()
        with pytest.raises(ExtrinsicFailed, match="the account has too little"):
            await handle.wait()
        record = await client.extrinsics.get(handle.extrinsic_hash)
    assert (record.is_included, record.has_succeeded) == (True, False)


async def test_what_the_node_refuses_leaves_its_pool_as_it_was(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        status = await client.chain.get_status()
        call = (await client.chain.get_metadata()).encode_call(calls.transfer(BOB, 1))
        raw = build_extrinsic(call, account=FAUCET, status=status, nonce=0)
        signed = SIGNED_EXTRINSIC.decode(raw)
        forged = SIGNED_EXTRINSIC.encode(type(signed)(signed.payload, bytes(64)))
        for malformed in (forged, raw + b"\0", raw[:-1], b""):
            with pytest.raises(InvalidRequest) as caught:
                await client.extrinsics.submit_raw(malformed)
            assert isinstance(caught.value, InvalidInput)
        late = build_extrinsic(call, account=FAUCET, status=status, nonce=0, lifetime_blocks=0)
        with pytest.raises(CallRefused, match="does not live") as refused:
            await client.extrinsics.submit_raw(late)
        assert isinstance(refused.value, Refused)
        assert len(node.waiting) == 0
        outcomes = await client.extrinsics.submit_batch([forged, raw, late])
    assert [outcome.is_invalid for outcome in outcomes] == [True, False, False]
    assert outcomes[1].extrinsic_hash is not None
    assert outcomes[0].extrinsic_hash is None
    assert "live" in outcomes[2].refusal
    assert len(node.waiting) == 1


async def test_the_same_extrinsic_twice_is_one_extrinsic(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        call = (await client.chain.get_metadata()).encode_call(calls.transfer(BOB, FLOCK))
        raw = build_extrinsic(call, account=FAUCET, status=await client.chain.get_status(), nonce=0)
        assert await client.extrinsics.submit_raw(raw) == await client.extrinsics.submit_raw(raw)
    assert len(node.waiting) == 1


async def test_unknown_calls_and_wrong_arguments_are_refused_before_anything_is_sent(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        with pytest.raises(UnknownCall):
            await client.extrinsics.submit("balances.print", {"amount": 1}, account=FAUCET)
        for arguments in ({"target": BOB}, {"target": BOB, "amount": -1}, {"target": b"short", "amount": 1}):
            with pytest.raises(EncodeError):
                await client.extrinsics.submit("balances.transfer", arguments, account=FAUCET)
    assert node.submissions == 0


async def test_waiting_ends_at_its_time_limit_and_when_the_extrinsic_expires(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint, timing=QUICK) as client:
        handle = await client.extrinsics.submit(calls.transfer(BOB, FLOCK), account=FAUCET, lifetime_blocks=1)
        with pytest.raises(DeadlineExceeded):
            await handle.wait(timeout_s=0)
        node.waiting.discard(handle.extrinsic_hash)  # as a node that restarted
        node.make_block()
        node.make_block()
        with pytest.raises(CallRefused, match="expired"):
            await handle.wait()


async def test_a_client_goes_on_with_the_next_node_when_one_is_gone(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient("127.0.0.1:1", endpoint, timing=QUICK) as client:
        assert (await client.chain.get_status()).height == 0


async def test_no_node_at_all_is_a_typed_fault_within_the_deadline() -> None:
    async with AsyncClient("127.0.0.1:1", timing=QUICK) as client:
        with pytest.raises(Unreachable) as caught:
            await client.chain.get_status()
    assert isinstance(caught.value, Fault)
    with pytest.raises(InvalidInput):
        AsyncClient()
