"""Extrinsics without state: form, signature, chain, call; verified once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.crypto import ed25519
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC, Call
from flockchain.primitives.limits import EXTRINSIC_BYTES_MAX
from flockchain.primitives.numbers import Balance
from flockchain.runtime.executive import Executive
from flockchain.runtime.extrinsics import (
    ExtrinsicTooBig,
    SignatureInvalid,
    UnknownCall,
    WrongSpecVersion,
    sign_extrinsic,
)
from flockchain.runtime.pallets.balances import Transfer
from tests.kit.runtime_chain import RuntimeChain, get_account

CHAIN = RuntimeChain.start()
RAW = CHAIN.sign("account-0", "balances.transfer", Transfer(get_account("account-1"), Balance(5)))


def test_a_good_extrinsic_names_its_call_and_its_cost() -> None:
    checked = CHAIN.executive.check_extrinsic(RAW)
    assert checked.arguments == Transfer(get_account("account-1"), Balance(5))
    assert (checked.sender, checked.nonce, checked.tip) == (get_account("account-0"), 0, 0)
    assert checked.fee == CHAIN.runtime.balances.compute_fee(len(RAW), checked.weight)
    assert checked.raw == RAW
    assert checked.size_bytes == len(RAW)


def test_a_signature_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    executive = Executive(CHAIN.runtime)
    first = executive.check_extrinsic(RAW)

    def refuse(*_: Any) -> bool:
        raise AssertionError("verified again")

    monkeypatch.setattr(ed25519, "verify", refuse)
    assert executive.check_extrinsic(bytes(RAW)) is first


def test_what_fails_is_not_remembered_as_good() -> None:
    executive = Executive(CHAIN.runtime)
    broken = RAW[:-1] + bytes([RAW[-1] ^ 1])
    for _ in range(2):
        with pytest.raises(SignatureInvalid):
            executive.check_extrinsic(broken)


@given(position=st.integers(0, len(RAW) - 1), flip=st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, flip: int) -> None:
    changed = bytearray(RAW)
    changed[position] ^= flip
    with pytest.raises(InvalidInput):
        CHAIN.executive.check_extrinsic(bytes(changed))


def test_a_signature_for_another_chain_is_refused() -> None:
    other = RuntimeChain.start(replace(CHAIN.runtime.config, chain="other"))
    assert other.runtime.genesis_hash != CHAIN.runtime.genesis_hash
    with pytest.raises(SignatureInvalid):
        other.executive.check_extrinsic(RAW)


@pytest.mark.parametrize("call", [Call(99, 0, b""), Call(1, 99, b"")])
def test_an_unknown_call_is_refused(call: Call) -> None:
    with pytest.raises(UnknownCall):
        CHAIN.executive.check_extrinsic(
            CHAIN.sign("account-0", "balances.transfer", Transfer(bytes(32), Balance(1)), call=call)
        )


@pytest.mark.parametrize("arguments", [b"", bytes(47), bytes(49)])
def test_arguments_that_are_not_the_calls_are_refused(arguments: bytes) -> None:
    raw = CHAIN.sign("account-0", "balances.transfer", Transfer(bytes(32), Balance(1)), call=Call(1, 0, arguments))
    with pytest.raises(InvalidInput):
        CHAIN.executive.check_extrinsic(raw)


def test_another_spec_version_is_refused() -> None:
    raw = CHAIN.sign("account-0", "balances.transfer", Transfer(bytes(32), Balance(1)), spec_version=2)
    with pytest.raises(WrongSpecVersion):
        CHAIN.executive.check_extrinsic(raw)


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(ExtrinsicTooBig):
        CHAIN.executive.check_extrinsic(bytes(EXTRINSIC_BYTES_MAX + 1))


def test_a_call_too_heavy_for_any_block_is_refused() -> None:
    config = CHAIN.runtime.config
    small = RuntimeChain.start(replace(config, blocks=replace(config.blocks, max_weight=100)))
    with pytest.raises(ExtrinsicTooBig):
        small.executive.check_extrinsic(small.sign("account-0", "balances.transfer", Transfer(bytes(32), Balance(1))))


def test_signing_gives_canonical_bytes() -> None:
    signed = SIGNED_EXTRINSIC.decode(RAW)
    assert SIGNED_EXTRINSIC.encode(signed) == RAW
    seed = ed25519.generate_seed()
    assert sign_extrinsic(seed, CHAIN.runtime.genesis_hash, signed.payload) != RAW
