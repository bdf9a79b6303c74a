"""Headers are trusted by certificates, through every change of validators, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.client import AsyncClient
from flockchain.client.errors import NotFound, VerificationFailed
from flockchain.client.verification import require_header, require_trail
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash, sha256
from flockchain.primitives.numbers import Epoch, Stake, TimestampMs
from flockchain.primitives.vote import VoteKind
from tests.kit.api_chain import ApiNode, ArchivedChain, serve

BLS = get_default_backend()


@pytest.fixture
def node(tmp_path: Path) -> ApiNode:
    return ApiNode(ArchivedChain.open(), tmp_path)


async def test_a_header_without_a_certificate_is_proven_by_its_descendants(node: ApiNode) -> None:
    node.ledger.uncertified = {6, 7}
    for _ in range(8):
        node.make_block()
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        proof = await client.chain.get_header_proof(6)
        members = await client.chain.get_validator_set(1)
    assert [header.height for header in proof.headers] == [6, 7, 8]
    genesis_hash = node.runtime.genesis_hash
    assert require_header(BLS, genesis_hash, members, proof) == proof.header
    certificate = proof.certificate
    assert certificate is not None
    first, second, third = proof.headers
    lies = [
        replace(proof, headers=(replace(first, state_root=sha256(b"lie")), second, third)),
        replace(proof, headers=(first, third)),
        replace(proof, headers=(first, second)),
        replace(proof, certificate=None),
        replace(proof, certificate=replace(certificate, kind=VoteKind.NOTARIZE)),
        replace(proof, certificate=replace(certificate, signature=bytes(96))),
        replace(proof, certificate=replace(certificate, epoch=Epoch(2))),
    ]
    for lie in lies:
        with pytest.raises(VerificationFailed):
            require_header(BLS, genesis_hash, members, lie)


async def test_a_trail_from_genesis_holds_long_after_the_state_forgot_the_first_validators(
    node: ApiNode, tmp_path: Path
) -> None:
    async with serve(node, history_folder=tmp_path / "sets") as endpoint, AsyncClient(endpoint) as client:
        for _ in range(48):
            node.make_block()
            await client.chain.get_status()
        trail = await client.models.fetch_trail(48)
    genesis_hash = node.runtime.genesis_hash
    assert len(trail.steps) == 11
    assert require_trail(BLS, genesis_hash, genesis_hash, trail) == node.ledger.head
    async with serve(node, history_folder=tmp_path / "sets") as endpoint, AsyncClient(endpoint) as client:
        assert await client.models.fetch_trail(48) == trail  # after a restart of the server too
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        with pytest.raises(NotFound):
            await client.models.fetch_trail(48)


async def test_a_trail_with_a_step_left_out_swapped_or_forged_does_not_hold(node: ApiNode) -> None:
    for _ in range(14):
        node.make_block()
    genesis_hash = node.runtime.genesis_hash
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        trail = await client.models.fetch_trail(14)
        other = await client.models.fetch_trail(10)
    one, two, three = trail.steps
    richest = replace(one.validators.validators[0], stake=Stake(10**30))
    forged = replace(one, validators=replace(one.validators, validators=(richest, *one.validators.validators[1:])))
    lies = [
        replace(trail, steps=(one, three)),
        replace(trail, steps=(two, one, three)),
        replace(trail, steps=(forged, two, three)),
        replace(trail, steps=(replace(one, boundary=two.boundary), two, three)),
        replace(trail, target=other.target),
        replace(trail, trusted=replace(trail.trusted, timestamp_ms=TimestampMs(1))),
    ]
    for lie in lies:
        with pytest.raises(VerificationFailed):
            require_trail(BLS, genesis_hash, genesis_hash, lie)
    assert require_trail(BLS, genesis_hash, genesis_hash, trail) == node.ledger.head
    assert compute_block_hash(trail.trusted) == genesis_hash
