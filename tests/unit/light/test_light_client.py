"""A light client believes what validators whom it trusts answer for, and after every refusal it trusts what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from flockchain.crypto.hashing import compute_validators_hash, sha256
from flockchain.light import (
    LIGHT_BLOCK,
    HeadersConflict,
    LightBlock,
    LightClient,
    NotEnoughTrust,
    TrustExpired,
    VerificationFailed,
    compute_common_signers,
    require_anchor,
)
from flockchain.light.client import compute_trusting_period_ms
from flockchain.primitives.codec import DecodeError
from flockchain.primitives.limits import CLOCK_DRIFT_MS_MAX, TRUSTED_HEADERS_MAX
from flockchain.primitives.numbers import Epoch, Height, Stake, TimestampMs, View
from flockchain.primitives.vote import VoteKind
from tests.kit.light_chain import PERIOD_MS, LightChain

FOUR = {"a": 10, "b": 10, "c": 10, "d": 10}
CHAIN = LightChain.make([FOUR, FOUR, {**FOUR, "e": 10}, {"a": 10, "c": 5, "e": 10, "f": 40}], 40)
STEADY = LightChain.make([FOUR], 60)
NOW = CHAIN.get_time(41)


def refuses(
    client: LightClient, light_block: LightBlock, error: type[Exception], sentence: str, now_ms: int = NOW
) -> None:
    """The refusal is this one, and nothing that is trusted has changed."""
    before = client.store
    with pytest.raises(error, match=sentence) as caught:
        client.verify(light_block, now_ms)
    assert type(caught.value) is error
    assert client.store is before


def test_headers_of_the_trusted_epoch_and_of_the_next_are_trusted_by_their_validators_signatures() -> None:
    client = CHAIN.trust()
    for height in (1, 3, 4, 7, 8, 12, 16):
        light_block = CHAIN.get_light_block(height)
        assert client.verify(light_block, NOW).header == CHAIN.headers[height]
    assert client.trusted.validators == CHAIN.get_set(3)


def test_two_thirds_of_the_stake_are_not_enough_and_a_unit_more_is() -> None:
    chain = LightChain.make([{"a": 200, "b": 100}])
    refuses(chain.trust(), chain.get_light_block(2, "a"), VerificationFailed, "does not hold")
    chain = LightChain.make([{"a": 201, "b": 100}])
    assert chain.trust().verify(chain.get_light_block(2, "a"), NOW).header == chain.headers[2]


def test_a_header_far_ahead_is_trusted_when_only_trusted_validators_signed_it() -> None:
    client = CHAIN.trust()
    far = CHAIN.get_light_block(10, "abcd")  # the new member of its epoch did not sign
    assert client.verify(far, NOW).header.height == 10


def test_a_skip_needs_more_than_a_third_of_the_trusted_stake_even_when_its_own_epoch_is_satisfied() -> None:
    small = {"a": 100, "b": 100, "c": 100}
    chain = LightChain.make([small, small, small, {"a": 100, "b": 1, "c": 1}])
    refuses(chain.trust(), chain.get_light_block(13, "a"), NotEnoughTrust, "too little of the trusted stake")
    chain = LightChain.make([{**small, "a": 101}, small, small, {"a": 100, "b": 1, "c": 1}])
    assert chain.trust().verify(chain.get_light_block(13, "a"), NOW).header.height == 13


def test_a_skip_over_signers_that_are_not_trusted_is_refused_until_an_epoch_between_is_verified() -> None:
    client = CHAIN.trust()
    far = CHAIN.get_light_block(14)
    refuses(client, far, NotEnoughTrust, "not trusted yet")
    client.verify(CHAIN.get_light_block(8), NOW)
    client.verify(CHAIN.get_light_block(12), NOW)
    assert client.verify(far, NOW).header.height == 14


def test_a_skip_goes_no_further_than_the_chains_trusting_epochs() -> None:
    client = STEADY.trust(trusting_epochs=5)
    refuses(client, STEADY.get_light_block(25), NotEnoughTrust, "no further than the trusting period")
    assert client.verify(STEADY.get_light_block(24), NOW).header.epoch == 5


FORGERIES: dict[str, tuple[Callable[[LightBlock], LightBlock], str]] = {
    "another header under the certificate": (
        lambda it: replace(it, header=replace(it.header, state_root=sha256(b"lie"))), "of another block"),
    "a notarization": (
        lambda it: CHAIN.certify(it.header, it.validators, FOUR, VoteKind.NOTARIZE), "does not finalize"),
    "a signature of zeros": (
        lambda it: replace(it, certificate=replace(it.certificate, signature=bytes(96))), "does not hold"),
    "one signature for all": (
        lambda it: replace(it, certificate=replace(
            it.certificate, signature=CHAIN.certify(it.header, it.validators, "a").certificate.signature)),
        "does not hold"),
    "a bitmap with a trailing byte": (
        lambda it: replace(it, certificate=replace(it.certificate, signers=it.certificate.signers + b"\0")),
        "does not hold"),
    "signers that there are not": (
        lambda it: replace(it, certificate=replace(it.certificate, signers=b"\xff")), "does not hold"),
    "no signer": (lambda it: replace(it, certificate=replace(it.certificate, signers=b"")), "does not hold"),
    "another view": (
        lambda it: replace(it, certificate=replace(it.certificate, view=View(99))), "does not hold"),
    "a certificate of another epoch": (
        lambda it: replace(it, certificate=replace(it.certificate, epoch=Epoch(1))), "different epochs"),
    "validators of another epoch": (
        lambda it: replace(it, validators=replace(it.validators, epoch=Epoch(3))), "different epochs"),
    "validators with other stakes": (
        lambda it: replace(it, validators=replace(it.validators, validators=(
            replace(it.validators.validators[0], stake=Stake(10**30)), *it.validators.validators[1:]))),
        "other validators"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_changed_on_the_way_is_refused(name: str) -> None:
    forge, sentence = FORGERIES[name]
    refuses(CHAIN.trust(), forge(CHAIN.get_light_block(3)), VerificationFailed, sentence)


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_changed_on_the_way_is_refused_far_ahead_too(name: str) -> None:
    forge, _ = FORGERIES[name]
    client = STEADY.trust()
    before = client.store
    with pytest.raises(VerificationFailed):
        client.verify(forge(STEADY.get_light_block(50)), NOW)
    assert client.store is before


def test_a_certificate_of_another_chain_is_refused() -> None:
    other = LightChain.make([FOUR, {"a": 7}])
    assert other.genesis_hash != STEADY.genesis_hash
    header, members = STEADY.headers[3], STEADY.get_set(0)
    refuses(STEADY.trust(), other.certify(header, members, FOUR), VerificationFailed, "does not hold")


def test_a_set_that_the_trusted_header_does_not_name_is_refused_whoever_signed() -> None:
    for height in (3, 7):
        header, own = CHAIN.headers[height], CHAIN.get_set(CHAIN.headers[height].epoch)
        richer = replace(own, validators=tuple(replace(member, stake=Stake(11)) for member in own.validators))
        forged = replace(header, validators_hash=compute_validators_hash(richer))
        refuses(CHAIN.trust(), CHAIN.certify(forged, richer, FOUR), VerificationFailed, "not those that the chain")


def test_a_second_name_for_the_next_epochs_validators_is_refused() -> None:
    client = CHAIN.trust(1)
    forged = replace(CHAIN.headers[3], next_validators_hash=sha256(b"mine"))
    light_block = CHAIN.certify(forged, CHAIN.get_set(0), FOUR)
    refuses(client, light_block, VerificationFailed, "two headers name different validators")


def test_time_that_runs_backwards_and_headers_from_the_future_are_refused() -> None:
    client = CHAIN.trust(2)
    past = replace(CHAIN.headers[3], timestamp_ms=TimestampMs(CHAIN.get_time(2) - 1))
    refuses(client, CHAIN.certify(past, CHAIN.get_set(0), FOUR), VerificationFailed, "time runs backwards")
    now = CHAIN.get_time(6)
    future = replace(CHAIN.headers[3], timestamp_ms=TimestampMs(now + CLOCK_DRIFT_MS_MAX + 1))
    refuses(client, CHAIN.certify(future, CHAIN.get_set(0), FOUR), VerificationFailed, "from the future", now)
    edge = replace(CHAIN.headers[3], timestamp_ms=TimestampMs(now + CLOCK_DRIFT_MS_MAX))
    assert client.verify(CHAIN.certify(edge, CHAIN.get_set(0), FOUR), now).header == edge


def test_a_later_header_of_an_earlier_epoch_is_refused() -> None:
    client = CHAIN.trust(5)
    old = replace(CHAIN.headers[3], height=Height(9), timestamp_ms=TimestampMs(CHAIN.get_time(9)))
    refuses(client, CHAIN.certify(old, CHAIN.get_set(0), FOUR), VerificationFailed, "earlier epoch")


def test_outside_the_trusting_period_nothing_is_trusted_any_more() -> None:
    client = CHAIN.trust(4)
    ends = CHAIN.get_time(4) + PERIOD_MS
    for height in (4, 5, 8, 20):
        refuses(client, CHAIN.get_light_block(height), TrustExpired, "older than the trusting period", ends)
    assert client.verify(CHAIN.get_light_block(5), ends - 1).header.height == 5


def test_two_certified_headers_of_one_height_are_evidence_that_names_who_signed_both() -> None:
    client = CHAIN.trust()
    first = CHAIN.get_light_block(3, "abc")
    client.verify(first, NOW)
    other = replace(CHAIN.headers[3], state_root=sha256(b"another history"))
    second = CHAIN.certify(other, CHAIN.get_set(0), "bcd")
    before = client.store
    with pytest.raises(HeadersConflict, match="two blocks of one height") as caught:
        client.verify(second, NOW)
    assert client.store is before
    assert (caught.value.first, caught.value.second) == (first, second)
    names = {member.consensus_key for member in CHAIN.get_set(0).validators}
    both = {CHAIN.get_set(0).validators[index].consensus_key for index in compute_common_signers(first, second)}
    assert len(both) == 2
    assert both < names


def test_a_conflicting_header_without_a_quorum_is_no_evidence_but_a_lie() -> None:
    client = CHAIN.trust()
    client.verify(CHAIN.get_light_block(3), NOW)
    other = replace(CHAIN.headers[3], state_root=sha256(b"another history"))
    refuses(client, CHAIN.certify(other, CHAIN.get_set(0), "ab"), VerificationFailed, "does not hold")


def test_what_is_trusted_already_is_given_again_and_older_headers_need_links() -> None:
    client = CHAIN.trust(2)
    client.verify(CHAIN.get_light_block(4), NOW)
    before = client.store
    assert client.verify(CHAIN.get_light_block(4), NOW).header == CHAIN.headers[4]
    assert client.verify(CHAIN.get_light_block(2), NOW).header == CHAIN.headers[2]
    assert client.store is before
    refuses(client, CHAIN.get_light_block(3), VerificationFailed, "older than the trusted one")
    other = replace(CHAIN.headers[2], state_root=sha256(b"other"))
    refuses(client, CHAIN.certify(other, CHAIN.get_set(0), FOUR), VerificationFailed, "not the trusted one")


def test_an_anchor_is_the_header_with_the_trusted_hash_and_the_validators_that_it_names() -> None:
    header, members = CHAIN.headers[0], CHAIN.get_set(0)
    assert require_anchor(CHAIN.genesis_hash, header, members).block_hash == CHAIN.genesis_hash
    for lie in ((CHAIN.headers[1], members), (header, CHAIN.get_set(1)), (header, CHAIN.get_set(3))):
        with pytest.raises(VerificationFailed):
            require_anchor(CHAIN.genesis_hash, *lie)


def test_a_light_block_has_one_encoding_and_it_is_bounded() -> None:
    light_block = CHAIN.get_light_block(14)
    raw = LIGHT_BLOCK.encode(light_block)
    assert LIGHT_BLOCK.decode(raw) == light_block
    for broken in (raw[:-1], raw + b"\0", b""):
        with pytest.raises(DecodeError):
            LIGHT_BLOCK.decode(broken)


def test_the_trusting_period_in_time_is_epochs_of_blocks() -> None:
    assert compute_trusting_period_ms(168, 600, 1000) == 28 * 3600 * 1000


def test_only_so_many_verified_headers_are_kept_and_the_anchor_always_is() -> None:
    client = STEADY.trust()
    for height in range(1, 50):
        client.verify(STEADY.get_light_block(height), NOW)
    assert len(client.store.verified) == TRUSTED_HEADERS_MAX
    assert client.store.anchor.header == STEADY.headers[0]
    assert client.store.verified[-1].header == STEADY.headers[49]
