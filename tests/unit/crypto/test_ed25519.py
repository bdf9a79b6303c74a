"""ed25519: the published key pair, and everything malformed is False."""

from __future__ import annotations

import pytest

from flockchain.crypto import ed25519
from flockchain.primitives.errors import InvalidInput

# RFC 8032, section 7.1, test 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
ORDER = 2**252 + 27742317777372353535851937790883648493


def test_the_published_key_signs_as_published() -> None:
    assert ed25519.get_public_key(SEED) == PUBLIC
    assert ed25519.sign(SEED, MESSAGE) == SIGNATURE
    assert ed25519.verify(PUBLIC, MESSAGE, SIGNATURE)


def test_a_signature_is_of_one_message_and_one_key() -> None:
    other = ed25519.get_public_key(bytes(32))
    assert not ed25519.verify(PUBLIC, MESSAGE + b"\x00", SIGNATURE)
    assert not ed25519.verify(other, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("position", [0, 31, 32, 63])
def test_one_flipped_bit_spoils_a_signature(position: int) -> None:
    spoiled = bytearray(SIGNATURE)
    spoiled[position] ^= 1
    assert not ed25519.verify(PUBLIC, MESSAGE, bytes(spoiled))


def test_a_signature_with_the_group_order_added_is_refused() -> None:
    scalar = int.from_bytes(SIGNATURE[32:], "little") + ORDER
    assert not ed25519.verify(PUBLIC, MESSAGE, SIGNATURE[:32] + scalar.to_bytes(32, "little"))


def test_the_identity_key_verifies_nothing() -> None:
    identity = (1).to_bytes(32, "little")
    assert not ed25519.verify(identity, MESSAGE, identity + bytes(32))


@pytest.mark.parametrize("public_key", [b"", PUBLIC[:-1], PUBLIC + b"\x00", PUBLIC.hex(), None, bytearray(PUBLIC)])
def test_a_malformed_key_is_false(public_key: object) -> None:
    assert ed25519.verify(public_key, MESSAGE, SIGNATURE) is False  # type: ignore[arg-type]


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\x00", SIGNATURE.hex(), None])
def test_a_malformed_signature_is_false(signature: object) -> None:
    assert ed25519.verify(PUBLIC, MESSAGE, signature) is False  # type: ignore[arg-type]


def test_a_message_that_is_not_bytes_is_false() -> None:
    assert ed25519.verify(PUBLIC, "message", SIGNATURE) is False  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [b"", SEED[:-1], SEED + b"\x00"])
def test_a_seed_of_another_length_is_refused(seed: bytes) -> None:
    with pytest.raises(InvalidInput):
        ed25519.sign(seed, MESSAGE)
    with pytest.raises(InvalidInput):
        ed25519.get_public_key(seed)


def test_generated_seeds_differ_and_sign() -> None:
    first, second = ed25519.generate_seed(), ed25519.generate_seed()
    assert first != second
    assert ed25519.verify(ed25519.get_public_key(first), MESSAGE, ed25519.sign(first, MESSAGE))
