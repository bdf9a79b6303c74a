"""What holds for every pallet of the runtime: one suite over the list in `runtime/flock.py`."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flockchain.primitives.codec import (
    BOOL,
    U8,
    Codec,
    EnumOf,
    FixedBytes,
    ListOf,
    OptionOf,
    Struct,
    Text,
    VarBytes,
)  # fmt: skip
from flockchain.primitives.schema import parse_schema
from flockchain.runtime.frame import CallSpec, Pallet, StorageMap, StorageValue
from flockchain.runtime.metadata import describe_runtime
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import RuntimeChain, get_account

CHAIN = RuntimeChain.start()
PALLETS = CHAIN.runtime.pallets
CALLS = [(pallet, call) for pallet in PALLETS for call in pallet.calls]
EVENTS = [(pallet, index, codec) for pallet in PALLETS for index, codec in pallet.events.items()]

every_pallet = pytest.mark.parametrize("pallet", PALLETS, ids=lambda pallet: pallet.name)
every_call = pytest.mark.parametrize(
    ("pallet", "call"), CALLS, ids=[f"{pallet.name}.{call.name}" for pallet, call in CALLS]
)
every_event = pytest.mark.parametrize(
    ("pallet", "index", "codec"), EVENTS, ids=[f"{pallet.name}.{codec.name}" for pallet, _, codec in EVENTS]
)


def build_values(codec: Codec[Any]) -> st.SearchStrategy[Any]:
    """Values that a codec can encode, small and large, with the accounts and numbers of a real chain among them."""
    if codec is BOOL:
        return st.booleans()
    if isinstance(codec, type(U8)):
        bits = 8 * codec.size_bytes
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if codec.signed else (0, 2**bits - 1)
        return st.one_of(st.integers(max(low, -3), min(high, 20)), st.integers(low, high))
    if isinstance(codec, FixedBytes):
        size = codec.size_bytes
        known = [get_account("account-0"), get_account("validator-0")] if size == 32 else [bytes(size)]
        return st.one_of(st.sampled_from(known), st.binary(min_size=size, max_size=size))
    if isinstance(codec, VarBytes):
        return st.binary(max_size=min(codec.max_bytes, 64))
    if isinstance(codec, Text):
        return st.text(max_size=min(codec.max_bytes // 4, 16))
    if isinstance(codec, EnumOf):
        return st.sampled_from(codec.members)
    if isinstance(codec, ListOf):
        return st.lists(build_values(codec.item), max_size=min(codec.max_items, 3)).map(tuple)
    if isinstance(codec, OptionOf):
        return st.none() | build_values(codec.item)
    assert isinstance(codec, Struct), f"this suite cannot make values of {codec}"
    return st.builds(lambda *parts: codec.cls(*parts), *[build_values(part) for part in codec.codecs.values()])


@every_pallet
def test_a_pallet_has_a_name_an_index_and_a_sentence(pallet: Pallet) -> None:
    assert re.fullmatch(r"[a-z]+", pallet.name)
    assert PALLETS[pallet.index] is pallet
    assert (inspect.getmodule(pallet).__doc__ or "").strip()


@every_pallet
def test_indices_of_calls_and_events_are_explicit_and_without_gaps(pallet: Pallet) -> None:
    assert [call.index for call in pallet.calls] == list(range(len(pallet.calls)))
    assert sorted(pallet.events) == list(range(len(pallet.events)))
    assert len({call.name for call in pallet.calls}) == len(pallet.calls)


@every_pallet
def test_a_pallet_imports_no_other_pallet(pallet: Pallet) -> None:
    module = inspect.getmodule(pallet)
    assert module is not None
    imported = {
        node.module
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert not {name for name in imported if name.startswith("flockchain.runtime.pallets")}
    assert "flockchain.runtime.flock" not in imported


@every_pallet
def test_storage_lies_under_one_pallet_each_and_no_two_items_share_a_place(pallet: Pallet) -> None:
    module = inspect.getmodule(pallet)
    own = {
        (name, item.key if isinstance(item, StorageValue) else item.prefix)
        for name, item in vars(module).items()
        if isinstance(item, StorageValue | StorageMap)
    }
    prefixes = [prefix for _, prefix in own]
    assert len(set(prefixes)) == len(prefixes)
    assert all(re.fullmatch(rb"[a-z]+/[a-z_]+/", prefix) for prefix in prefixes)


@every_pallet
def test_the_first_state_has_no_contradiction(pallet: Pallet) -> None:
    pallet.try_state(Overlay(CHAIN.store))


def test_all_of_the_first_state_belongs_to_a_pallet() -> None:
    names = {pallet.name.encode() for pallet in PALLETS}
    assert {key.split(b"/")[0] for key in CHAIN.runtime.genesis_changes} <= names


@every_call
def test_a_call_is_documented_has_weight_and_arguments_that_clients_can_encode(pallet: Pallet, call: CallSpec) -> None:
    described = next(item for item in describe_runtime(CHAIN.runtime)["pallets"] if item["name"] == pallet.name)
    mine = next(item for item in described["calls"] if item["name"] == call.name)
    assert mine["description"]
    assert mine["weight"] > 0
    fields = ", ".join(f"{field['name']}: {field['type']}" for field in mine["arguments"])
    parse_schema(f"struct {call.name}{{{fields}}}")


@every_call
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_call_succeeds_or_is_refused_and_contradicts_nothing(pallet: Pallet, call: CallSpec, data: Any) -> None:
    arguments = data.draw(build_values(call.arguments))
    assert call.arguments.decode(call.arguments.encode(arguments)) == arguments
    chain = RuntimeChain.start()
    before = dict(chain.store.scan(b""))
    outcome = chain.advance(chain.sign("account-0", f"{pallet.name}.{call.name}", arguments))
    receipt = outcome.receipts[0]
    if not receipt.is_success:
        quiet = RuntimeChain.start()
        quiet.advance()
        touched = {key for key, value in chain.store.scan(b"") if before.get(key) != value}
        expected = {key for key, value in quiet.store.scan(b"") if before.get(key) != value}
        more = touched - expected
        assert {key.split(b"/")[1] for key in more} <= {b"nonce", b"free", b"issuance"}, "a refusal left something"
        assert receipt.refusal


@every_event
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_event_survives_its_encoding(pallet: Pallet, index: int, codec: Struct[Any], data: Any) -> None:
    event = data.draw(build_values(codec))
    assert codec.decode(codec.encode(event)) == event
    assert pallet.events[index] is codec
