"""What attackers with some, many or old keys can do to a light client, and where its promise ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from py_ecc.bls.g2_primitives import G1_to_pubkey, pubkey_to_G1
from py_ecc.optimized_bls12_381 import Z1, add, neg

from flockchain.crypto.hashing import compute_block_hash, compute_validators_hash, sha256
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.crypto.voting import verify_certificate
from flockchain.light import HeadersConflict, LightBlock, LightClient, NotEnoughTrust, TrustExpired, VerificationFailed
from flockchain.light.pursuit import reach
from flockchain.primitives.numbers import Epoch, Stake
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate, VoteKind, encode_bitmap
from tests.kit.light_chain import BLS, PERIOD_MS, Committee, LightChain, build_set, derive_secret

SIX = {"a": 10, "b": 10, "c": 10, "d": 10, "e": 10, "f": 10}
STEADY = LightChain.make([SIX], 80)
NOW = STEADY.get_time(80)


def forge(chain: LightChain, height: int, committee: Committee, names: str | None = None) -> LightBlock:
    """A header that the attackers made, of a set that they made up, signed by `names` or by all of it."""
    members = build_set(chain.headers[height].epoch, committee)
    header = replace(
        chain.headers[height], state_root=sha256(b"everything is mine"),
        validators_hash=compute_validators_hash(members),
    )  # fmt: skip
    return chain.certify(header, members, committee if names is None else names)


def is_believed(client: LightClient, chain: LightChain, target: LightBlock, committee: Committee) -> bool:
    """Whether attackers who also answer every question on the way get their header trusted."""
    before = client.store

    def answer(epoch: Epoch) -> LightBlock:
        return forge(chain, (epoch + 1) * 4, committee)

    try:
        reach(client, target, chain.get_time(len(chain.headers)), answer)
    except VerificationFailed:
        assert client.store is before
        return False
    return True


@pytest.mark.parametrize("height", [3, 7, 30, 79])
def test_a_third_of_the_stake_or_less_forges_nothing_near_or_far(height: int) -> None:
    for coalition in ({"a": 10}, {"a": 10, "b": 10}, {"a": 10**20, "b": 10**20, "mallory": 10**30}):
        assert not is_believed(STEADY.trust(), STEADY, forge(STEADY, height, coalition), coalition)


@pytest.mark.parametrize("names", ["abc", "abcd"])
def test_between_one_and_two_thirds_forge_nothing_near_and_far_ahead_only_until_one_honest_node_is_asked(
    names: str,
) -> None:
    coalition = dict.fromkeys(names, 10)
    for height in (3, 7):
        assert not is_believed(STEADY.trust(), STEADY, forge(STEADY, height, coalition), coalition)
        lie = replace(STEADY.headers[height], state_root=sha256(b"mine"))
        assert not is_believed(
            STEADY.trust(), STEADY, STEADY.certify(lie, STEADY.get_set(0 if height == 3 else 1), names), coalition
        )
    client = STEADY.trust()
    forged = forge(STEADY, 60, coalition)
    client.verify(forged, NOW)  # more than a third of the trusted stake vouched for it: the price of skipping
    before = client.store
    with pytest.raises(HeadersConflict) as caught:
        client.verify(STEADY.get_light_block(60), NOW)
    assert {caught.value.first, caught.value.second} == {forged, STEADY.get_light_block(60)}
    assert client.store is before


def test_validators_that_left_forge_nothing_for_a_client_that_has_come_past_them() -> None:
    young = {"u": 10, "v": 10, "w": 10}
    chain = LightChain.make([SIX, SIX, {**SIX, **young}, young], 60)
    client = chain.trust()
    reach(client, chain.get_light_block(20), chain.get_time(60), chain.get_last_of)
    for height in (21, 25, 40, 59):
        assert not is_believed(client, chain, forge(chain, height, SIX), SIX)


def test_validators_that_left_forge_nothing_for_a_client_that_slept_through_the_trusting_period() -> None:
    client = STEADY.trust(4)
    late = STEADY.get_time(4) + PERIOD_MS
    before = client.store
    for light_block in (forge(STEADY, 7, SIX), forge(STEADY, 60, SIX), STEADY.get_light_block(7)):
        with pytest.raises(TrustExpired):
            client.verify(light_block, late)
        assert client.store is before


def cancel_keys(members: ValidatorSet, name: str) -> bytes:
    """A public key that, added to all the others', leaves only the attacker's own."""
    total = Z1
    for member in members.validators:
        total = add(total, pubkey_to_G1(member.consensus_key))  # type: ignore[arg-type]
    own = pubkey_to_G1(BLS.get_public_key(derive_secret(name)))  # type: ignore[arg-type]
    return bytes(G1_to_pubkey(add(own, neg(total))))


def test_a_made_up_key_that_cancels_the_honest_ones_gives_a_good_signature_and_is_not_believed() -> None:
    height = 40
    honest = build_set(STEADY.headers[height].epoch, SIX)
    rogue = replace(honest.validators[0], consensus_key=cancel_keys(honest, "mallory"), account=sha256(b"\xff"))
    members = replace(honest, validators=(*honest.validators, rogue))
    header = replace(
        STEADY.headers[height], state_root=sha256(b"mine"), validators_hash=compute_validators_hash(members)
    )
    subject = (VoteKind.FINALIZE, header.epoch, header.view, compute_block_hash(header))
    signature = BLS.sign(derive_secret("mallory"), compute_vote_bytes(STEADY.genesis_hash, *subject))
    certificate = Certificate(*subject, encode_bitmap(set(range(len(members.validators)))), signature)
    assert verify_certificate(BLS, STEADY.genesis_hash, members, certificate)  # nobody else signed anything
    client = STEADY.trust()
    before = client.store
    with pytest.raises(NotEnoughTrust, match="not trusted yet"):
        client.verify(LightBlock(header, certificate, members), NOW)
    assert client.store is before


def test_one_key_named_twice_is_counted_for_nothing() -> None:
    members = build_set(STEADY.headers[40].epoch, {"a": 10, "b": 10})
    twice = replace(members, validators=tuple(
        replace(member, stake=Stake(10)) for member in (*members.validators, *members.validators)))  # fmt: skip
    header = replace(STEADY.headers[40], validators_hash=compute_validators_hash(twice))
    subject = (VoteKind.FINALIZE, header.epoch, header.view, compute_block_hash(header))
    message = compute_vote_bytes(STEADY.genesis_hash, *subject)
    signature = BLS.aggregate([BLS.sign(derive_secret(name), message) for name in "aabb"])
    certificate = Certificate(*subject, encode_bitmap({0, 1, 2, 3}), signature)
    assert verify_certificate(BLS, STEADY.genesis_hash, twice, certificate)
    client = STEADY.trust()
    before = client.store
    with pytest.raises(VerificationFailed, match="one key signs twice"):
        client.verify(LightBlock(header, certificate, twice), NOW)
    assert client.store is before


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 100), min_size=3, max_size=7), min_size=3,
             max_size=8),
    st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=4), st.data(),
)  # fmt: skip
def test_whoever_never_had_more_than_a_third_is_never_believed(
    sets: list[Committee], coalition: set[str], data: st.DataObject
) -> None:
    for committee in sets:
        held = sum(stake for name, stake in committee.items() if name in coalition)
        assume(3 * held <= sum(committee.values()))
    chain = LightChain.make(sets)
    client = chain.trust(data.draw(st.integers(0, len(chain.headers) - 2)))
    height = data.draw(st.integers(client.trusted.header.height + 1, len(chain.headers) - 1))
    stakes = {name: data.draw(st.integers(1, 10**6)) for name in sorted(coalition)}
    assert not is_believed(client, chain, forge(chain, height, stakes), stakes)
