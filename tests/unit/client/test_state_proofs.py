"""Reads of state: by key, page by page, and with proofs that lies do not pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from flockchain.client import AsyncClient
from flockchain.client.errors import InvalidRequest, VerificationFailed
from flockchain.rpc import StateProof
from flockchain.runtime.pallets.balances import FREE
from flockchain.storage.ics23 import verify_commitment_proof
from flockchain.v1 import state_pb2
from flockchain.v1.state_pb2_grpc import StateServiceStub
from tests.kit.api_chain import ApiNode, ArchivedChain, serve
from tests.kit.ics23_reference import SMT_SPEC, holds
from tests.kit.runtime_chain import get_account

KEY = FREE.get_key(get_account("faucet"))


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    node = ApiNode(ArchivedChain.open(), tmp_path)
    node.make_block()
    return node


async def test_values_and_absences_are_proven_against_one_header(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        held, absent = await client.state.prove(KEY, b"nothing/here/")
        assert await client.state.get(KEY) == held.value
        assert await client.state.get(b"nothing/here/") is None
    assert held.value is not None
    assert absent.value is None
    assert held.header == absent.header == node.ledger.head


async def test_proofs_are_given_as_ics23_has_them_by_the_node_and_by_the_client(node: ApiNode) -> None:
    keys = [KEY, b"nothing/here/"]
    async with serve(node) as endpoint, AsyncClient(endpoint) as client, grpc.aio.insecure_channel(endpoint) as channel:
        proven = await client.state.prove(*keys)
        request = state_pb2.ProveStateRequest(keys=keys, with_ics23=True)
        answer = await StateServiceStub(channel).ProveState(request)
        plain = await StateServiceStub(channel).ProveState(state_pb2.ProveStateRequest(keys=keys))
    assert [entry.ics23_commitment_proof for entry in plain.entries] == [b"", b""]
    for entry, item in zip(answer.entries, proven, strict=True):
        assert entry.ics23_commitment_proof == item.to_ics23()
        assert verify_commitment_proof(item.header.state_root, item.key, item.value, item.to_ics23())
        assert holds(SMT_SPEC, item.header.state_root, item.key, item.value, item.to_ics23())


async def test_a_node_that_proves_another_value_is_found_out(node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = node.prove

    def lie(key: bytes, **fields: Any) -> StateProof:
        return replace(honest(key), **fields)

    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        for fields in ({"value": b"more"}, {"value": None}, {"proof": honest(b"nothing/here/").proof}):
            monkeypatch.setattr(node, "prove", lambda key, fields=fields: lie(key, **fields))
            with pytest.raises(VerificationFailed):
                await client.state.prove(KEY)


async def test_a_scan_gives_every_entry_once_across_pages(node: ApiNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flockchain.rpc.state.API_PAGE_MAX", 3)
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        entries = [entry async for entry in client.state.scan(b"balances/")]
    assert entries == list(node.chain.state.scan(b"balances/"))
    assert len(entries) > 6


async def test_keys_out_of_bounds_are_invalid(node: ApiNode) -> None:
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        for key in (b"", bytes(257)):
            with pytest.raises(InvalidRequest):
                await client.state.get(key)
        with pytest.raises(InvalidRequest):
            await client.state.prove()
