"""Every BLS backend answers alike, and none accepts what the interface promises to refuse.

py-ecc takes a quarter of a second for each pairing check, so what can be refused before the pairing is
tested on both backends and the rest shares a few signatures.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from flockchain.crypto import bls
from flockchain.crypto.bls import BlsBackend, InvalidBlsInput
from flockchain.crypto.bls_arkworks import ArkworksBackend
from flockchain.crypto.bls_py_ecc import PyEccBackend
from flockchain.crypto.bls_suite import GROUP_ORDER

BACKENDS: list[BlsBackend] = [ArkworksBackend(), PyEccBackend()]
NATIVE = BACKENDS[0]
SECRETS = [NATIVE.generate_secret_key(bytes([number]) * 32) for number in range(1, 4)]
KEYS = [NATIVE.get_public_key(secret) for secret in SECRETS]
MESSAGE = b"one identical message"
SIGNATURES = [NATIVE.sign(secret, MESSAGE) for secret in SECRETS]
AGGREGATE = NATIVE.aggregate(SIGNATURES)
NEGATED_SECRET = (GROUP_ORDER - int.from_bytes(SECRETS[0], "big")).to_bytes(32, "big")
NEGATED_KEY = NATIVE.get_public_key(NEGATED_SECRET)
NEGATED_SIGNATURE = NATIVE.sign(NEGATED_SECRET, MESSAGE)
IDENTITY_KEY = b"\xc0" + bytes(47)
IDENTITY_SIGNATURE = b"\xc0" + bytes(95)
FIELD_MODULUS = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB


@pytest.fixture(params=BACKENDS, ids=lambda backend: type(backend).__name__)
def backend(request: pytest.FixtureRequest) -> BlsBackend:
    chosen: BlsBackend = request.param
    return chosen


@cache
def find_key_outside_the_subgroup() -> bytes:
    for x in range(1, 100):
        data = bytes([0x80]) + x.to_bytes(47, "big")
        try:
            point = G1Point.from_compressed_bytes_unchecked(data)
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return data
    raise LookupError("no point found")


@cache
def find_signature_outside_the_subgroup() -> bytes:
    for x in range(1, 100):
        data = bytes([0x80]) + bytes(47) + x.to_bytes(48, "big")
        try:
            point = G2Point.from_compressed_bytes_unchecked(data)
        except ValueError:
            continue
        if not point.is_in_subgroup():
            return data
    raise LookupError("no point found")


def add_modulus(data: bytes) -> bytes:
    """The same x coordinate, written as a number that is not reduced (if there is room for it)."""
    head = data[:48]
    flags, x = head[0] & 0xE0, int.from_bytes(head, "big") & (1 << 381) - 1
    spoiled = bytearray((x + FIELD_MODULUS).to_bytes(48, "big"))
    spoiled[0] |= flags
    return bytes(spoiled) + data[48:]


@cache
def find_small_x() -> tuple[bytes, bytes]:
    """A valid key and signature whose coordinates leave room below 2**381 for adding the field's modulus."""
    room = (1 << 381) - FIELD_MODULUS
    key = signature = b""
    number = 1
    while not (key and signature):
        scalar = Scalar(number)
        candidate = (G1Point() * scalar).to_compressed_bytes()
        if int.from_bytes(candidate, "big") & (1 << 381) - 1 < room:
            key = key or candidate
        other = (G2Point() * scalar).to_compressed_bytes()
        if int.from_bytes(other[:48], "big") & (1 << 381) - 1 < room:
            signature = signature or other
        number += 1
    return key, signature


def list_bad_keys() -> list[object]:
    return [
        b"", KEYS[0][:-1], KEYS[0] + b"\x00", bytes(48), b"\xff" * 48, IDENTITY_KEY, b"\xc0" + bytes(46) + b"\x01",
        b"\xe0" + bytes(47), bytes([KEYS[0][0] & 0x7F]) + KEYS[0][1:], find_key_outside_the_subgroup(),
        add_modulus(find_small_x()[0]), KEYS[0].hex(), None, bytearray(KEYS[0]),
    ]  # fmt: skip


def list_bad_signatures() -> list[object]:
    valid = SIGNATURES[0]
    return [
        b"", valid[:-1], valid + b"\x00", bytes(96), b"\xff" * 96, IDENTITY_SIGNATURE, b"\xc0" + bytes(94) + b"\x01",
        b"\xe0" + bytes(95), bytes([valid[0] & 0x7F]) + valid[1:], valid[:48] + bytes([0x80]) + valid[49:],
        find_signature_outside_the_subgroup(), add_modulus(find_small_x()[1]), valid.hex(), None, bytearray(valid),
    ]  # fmt: skip


def test_backends_make_the_same_bytes(backend: BlsBackend) -> None:
    assert [backend.generate_secret_key(bytes([number]) * 32) for number in range(1, 4)] == SECRETS
    assert [backend.get_public_key(secret) for secret in SECRETS] == KEYS
    assert [backend.sign(secret, MESSAGE) for secret in SECRETS] == SIGNATURES
    assert backend.aggregate(SIGNATURES) == AGGREGATE
    assert backend.prove_possession(SECRETS[0]) == NATIVE.prove_possession(SECRETS[0])


def test_a_published_signature_is_reproduced(backend: BlsBackend) -> None:
    """The first case of Ethereum's consensus-spec tests for `sign`, same ciphersuite."""
    secret = bytes.fromhex("263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3")
    assert backend.sign(secret, bytes(32)).hex() == (
        "b6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9ab279fb515809"
        "0352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f98458c0cfc9ab380b55285a55"
    )


def test_a_signature_verifies_for_its_key_and_message_only(backend: BlsBackend) -> None:
    assert backend.verify(KEYS[0], MESSAGE, SIGNATURES[0])
    assert not backend.verify(KEYS[1], MESSAGE, SIGNATURES[0])
    assert not backend.verify(KEYS[0], MESSAGE + b"!", SIGNATURES[0])


def test_an_aggregate_verifies_for_exactly_its_signers(backend: BlsBackend) -> None:
    assert backend.fast_aggregate_verify(KEYS, MESSAGE, AGGREGATE)
    assert not backend.fast_aggregate_verify(KEYS[:2], MESSAGE, AGGREGATE)
    assert not backend.fast_aggregate_verify(KEYS, MESSAGE + b"!", AGGREGATE)


def test_an_aggregate_counts_a_key_as_often_as_it_is_named(backend: BlsBackend) -> None:
    twice = NATIVE.aggregate([SIGNATURES[0], SIGNATURES[0]])
    assert backend.fast_aggregate_verify([KEYS[0], KEYS[0]], MESSAGE, twice)
    assert not backend.fast_aggregate_verify([KEYS[0]], MESSAGE, twice)


def test_possession_is_proved_by_the_key_itself_and_is_no_signature(backend: BlsBackend) -> None:
    proof = NATIVE.prove_possession(SECRETS[0])
    assert backend.verify_possession(KEYS[0], proof)
    assert not backend.verify_possession(KEYS[1], proof)
    assert not backend.verify(KEYS[0], KEYS[0], proof)
    assert not backend.verify_possession(KEYS[0], NATIVE.sign(SECRETS[0], KEYS[0]))


def test_malformed_keys_are_false(backend: BlsBackend) -> None:
    for key in list_bad_keys():
        assert backend.verify(key, MESSAGE, SIGNATURES[0]) is False, key  # type: ignore[arg-type]
        assert backend.verify_possession(key, SIGNATURES[0]) is False, key  # type: ignore[arg-type]
        assert backend.fast_aggregate_verify([KEYS[0], key], MESSAGE, AGGREGATE) is False, key  # type: ignore[list-item]


def test_keys_that_add_nothing_to_the_sum_still_spoil_a_list(backend: BlsBackend) -> None:
    outside = find_key_outside_the_subgroup()
    negated = bytes([outside[0] ^ 0x20]) + outside[1:]
    for keys in ([KEYS[0], IDENTITY_KEY], [IDENTITY_KEY, KEYS[0]], [KEYS[0], outside, negated]):
        assert backend.fast_aggregate_verify(keys, MESSAGE, SIGNATURES[0]) is False


def test_malformed_signatures_are_false_and_cannot_be_aggregated(backend: BlsBackend) -> None:
    for signature in list_bad_signatures():
        assert backend.verify(KEYS[0], MESSAGE, signature) is False, signature  # type: ignore[arg-type]
        assert backend.verify_possession(KEYS[0], signature) is False, signature  # type: ignore[arg-type]
        assert backend.fast_aggregate_verify(KEYS, MESSAGE, signature) is False, signature  # type: ignore[arg-type]
        with pytest.raises(InvalidBlsInput):
            backend.aggregate([SIGNATURES[0], signature])  # type: ignore[list-item]


def test_a_message_that_is_not_bytes_is_false(backend: BlsBackend) -> None:
    assert backend.verify(KEYS[0], "text", SIGNATURES[0]) is False  # type: ignore[arg-type]


def test_nobody_signs_nothing(backend: BlsBackend) -> None:
    assert backend.fast_aggregate_verify([], MESSAGE, IDENTITY_SIGNATURE) is False
    assert backend.fast_aggregate_verify([], MESSAGE, AGGREGATE) is False
    with pytest.raises(InvalidBlsInput):
        backend.aggregate([])


def test_keys_that_cancel_out_verify_nothing(backend: BlsBackend) -> None:
    pair = [KEYS[0], NEGATED_KEY]
    assert backend.fast_aggregate_verify(pair, MESSAGE, IDENTITY_SIGNATURE) is False
    assert backend.fast_aggregate_verify(pair, MESSAGE, SIGNATURES[0]) is False
    with pytest.raises(InvalidBlsInput):
        backend.aggregate([SIGNATURES[0], NEGATED_SIGNATURE])


def test_a_key_between_two_that_cancel_out_still_counts(backend: BlsBackend) -> None:
    keys = [KEYS[0], NEGATED_KEY, KEYS[1]]
    assert backend.aggregate([SIGNATURES[0], NEGATED_SIGNATURE, SIGNATURES[1]]) == SIGNATURES[1]
    assert backend.fast_aggregate_verify(keys, MESSAGE, SIGNATURES[1])


@pytest.mark.parametrize(
    "secret",
    [b"", SECRETS[0][:-1], SECRETS[0] + b"\x00", bytes(32), GROUP_ORDER.to_bytes(32, "big"), b"\xff" * 32],
)
def test_an_impossible_secret_key_is_refused(backend: BlsBackend, secret: bytes) -> None:
    for use in (backend.get_public_key, backend.prove_possession, lambda key: backend.sign(key, MESSAGE)):
        with pytest.raises(InvalidBlsInput):
            use(secret)


def test_a_seed_that_is_too_short_is_refused(backend: BlsBackend) -> None:
    with pytest.raises(InvalidBlsInput):
        backend.generate_secret_key(bytes(31))


def test_the_default_backend_is_the_native_one() -> None:
    assert isinstance(bls.get_default_backend(), ArkworksBackend)
    assert bls.get_default_backend() is bls.get_default_backend()
    assert bls.verify(KEYS[0], MESSAGE, bls.sign(SECRETS[0], MESSAGE))
    assert bls.fast_aggregate_verify(KEYS, MESSAGE, bls.aggregate(SIGNATURES))
    assert bls.verify_possession(bls.get_public_key(SECRETS[0]), bls.prove_possession(SECRETS[0]))
    assert bls.generate_secret_key(bytes([1]) * 32) == SECRETS[0]


def test_the_reference_leaves_the_interpreters_recursion_limit_alone() -> None:
    code = (
        "import sys; before = sys.getrecursionlimit(); import flockchain.crypto.bls_py_ecc; "
        "sys.exit(before != sys.getrecursionlimit())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
