"""What a light client trusts survives it, in one bounded encoding."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto.hashing import sha256
from flockchain.light import TRUST_STORE, ForeignTrust, LightClient
from flockchain.light.header_proof import HEADER_PROOF, HeaderProof, HeaderTrail, require_header, require_trail
from flockchain.light.refusals import VerificationFailed
from flockchain.primitives.codec import DecodeError, EncodeError
from flockchain.primitives.limits import TRUSTED_HEADERS_MAX
from tests.kit.light_chain import LightChain

FOUR = {"a": 10, "b": 10, "c": 10, "d": 10}
CHAIN = LightChain.make([FOUR, {**FOUR, "e": 10}], 40)
NOW = CHAIN.get_time(40)


def test_a_client_that_starts_again_goes_on_from_what_it_had_verified() -> None:
    client = CHAIN.trust()
    for height in (4, 8, 12):
        client.verify(CHAIN.get_light_block(height), NOW)
    again = LightClient.resume(client.config, TRUST_STORE.decode(TRUST_STORE.encode(client.store)))
    assert again.store == client.store
    assert again.trusted == client.trusted
    assert again.verify(CHAIN.get_light_block(40), NOW).header == CHAIN.headers[40]


def test_the_trust_of_another_chain_is_refused() -> None:
    store = CHAIN.trust().store
    config = replace(CHAIN.trust().config, genesis_hash=sha256(b"other"))
    with pytest.raises(ForeignTrust):
        LightClient.resume(config, store)


def test_a_damaged_or_swollen_store_is_no_encoding() -> None:
    client = CHAIN.trust()
    client.verify(CHAIN.get_light_block(3), NOW)
    raw = TRUST_STORE.encode(client.store)
    for broken in (raw[:-1], raw + b"\0", raw[:40]):
        with pytest.raises(DecodeError):
            TRUST_STORE.decode(broken)
    swollen = replace(client.store, verified=client.store.verified * (TRUSTED_HEADERS_MAX + 1))
    with pytest.raises(EncodeError):
        TRUST_STORE.encode(swollen)


def test_headers_are_proven_by_their_links_up_to_a_certified_one() -> None:
    proof = HeaderProof(tuple(CHAIN.headers[5:8]), CHAIN.get_light_block(8))
    client = CHAIN.trust()
    assert require_header(client, proof, NOW) == CHAIN.headers[5]
    assert client.trusted.header == CHAIN.headers[8]
    assert HEADER_PROOF.decode(HEADER_PROOF.encode(proof)) == proof
    assert require_header(CHAIN.trust(), HeaderProof((), CHAIN.get_light_block(8)), NOW) == CHAIN.headers[8]


def test_headers_that_do_not_link_are_refused() -> None:
    headers = CHAIN.headers
    lie = replace(headers[6], state_root=sha256(b"lie"))
    for chain in ((headers[5], headers[7]), (lie, headers[7]), (headers[5], lie, headers[7]), (headers[6],)):
        client = CHAIN.trust()
        before = client.store
        with pytest.raises(VerificationFailed, match="do not follow"):
            require_header(client, HeaderProof(chain, CHAIN.get_light_block(8)), NOW)
        assert client.store is before


def test_a_trail_is_verified_again_by_anyone_who_trusts_its_beginning() -> None:
    trail = HeaderTrail((CHAIN.get_last_of(0), CHAIN.get_last_of(1)), HeaderProof((), CHAIN.get_light_block(10)))
    assert require_trail(CHAIN.trust(), trail, NOW) == CHAIN.headers[10]
    for lie in (replace(trail, hops=trail.hops[::-1]), replace(trail, target=replace(trail.target, headers=(
            CHAIN.headers[3],)))):  # fmt: skip
        with pytest.raises(VerificationFailed):
            require_trail(CHAIN.trust(), lie, NOW)
