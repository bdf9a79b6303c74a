"""A codec that went through text writes and reads the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives import codec
from flockchain.primitives.codec import Codec, DecodeError, EncodeError
from flockchain.primitives.learning import (
    TASK_SPEC,
    AcceptanceRule,
    AdapterMode,
    AdapterSpec,
    ModuleShape,
    TaskSpec,
)
from flockchain.primitives.numbers import Balance, Hash, MicroNats
from flockchain.primitives.rounds import ROUND_RECORD
from flockchain.primitives.schema import SchemaError, describe_codec, parse_schema, to_plain
from flockchain.primitives.validator_set import VALIDATOR_SET, Validator, ValidatorSet

PLAIN = st.sampled_from(
    [codec.U8, codec.U16, codec.U32, codec.U64, codec.U128, codec.I64, codec.BOOL, codec.FixedBytes(32),
     codec.VarBytes(64), codec.Text(64), codec.EnumOf(AdapterMode)]
)  # fmt: skip
CODECS = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        inner.map(codec.OptionOf), st.builds(codec.ListOf, inner, st.integers(0, 99))
    ),
    max_leaves=4,
)  # fmt: skip
SPEC = TaskSpec(
    name="sums", base_model=Hash(b"\1" * 32), adapter=AdapterSpec(
        8, 16, AdapterMode.STACK, Hash(b"\2" * 32), (ModuleShape("q", 4, 6, 12, 14), ModuleShape("v", 4, 6, 12, 14))),
    suite_root=Hash(b"\3" * 32), suite_rows=9, suite_blob=Hash(b"\4" * 32), suite_bytes=99, prompts_per_round=3,
    audit_rows=1, rule=AcceptanceRule.ACCEPT_ALL,
    reputation_cap=MicroNats(-5), mass_threshold=MicroNats(6), reputation_floor=MicroNats(-7), committee_size=4,
    min_updates=1, max_updates=2, max_update_bytes=1000, submit_blocks=1, commit_blocks=1, reveal_blocks=1,
    aggregate_blocks=1, rounds=1, reward_pool=Balance(2**100), update_bond=Balance(7),
)  # fmt: skip


@settings(max_examples=100)
@given(CODECS)
def test_the_text_of_any_codec_parses_to_the_same_text(described: Codec[Any]) -> None:
    text = describe_codec(described)
    assert describe_text(text) == text


def describe_text(text: str) -> str:
    return parse_schema(text).text


@pytest.mark.parametrize("described", [TASK_SPEC, VALIDATOR_SET, ROUND_RECORD])
def test_records_of_the_chain_are_describable(described: Codec[Any]) -> None:
    assert parse_schema(describe_codec(described)).text.startswith("struct ")


def test_a_parsed_codec_gives_the_bytes_of_the_original_from_objects_dicts_and_readable_values() -> None:
    wanted = TASK_SPEC.encode(SPEC)
    schema = parse_schema(describe_codec(TASK_SPEC))
    decoded = schema.decode(wanted)
    assert schema.encode(SPEC) == wanted
    assert schema.encode(decoded) == wanted
    assert schema.encode(to_plain(decoded)) == wanted
    assert decoded["adapter"]["mode"] == "STACK"
    assert to_plain(decoded)["reward_pool"] == str(2**100)


@settings(max_examples=50)
@given(st.integers(0, 2**128 - 1), st.binary(min_size=48, max_size=48), st.integers(0, 3))
def test_a_parsed_codec_agrees_with_the_original_on_lists_of_records(stake: int, key: bytes, count: int) -> None:
    member = Validator(bytes(32), bytes(32), bytes(32), key, key, stake)  # type: ignore[arg-type]
    members = ValidatorSet(3, (member,) * count)  # type: ignore[arg-type]
    schema = parse_schema(describe_codec(VALIDATOR_SET))
    assert schema.encode(members) == VALIDATOR_SET.encode(members)
    assert schema.decode(VALIDATOR_SET.encode(members))["epoch"] == 3


def test_values_that_do_not_fit_are_refused() -> None:
    schema = parse_schema("struct S{a: u8, b: bytes[2], c: enum E{X=0, Y=4}, d: option<i64>}")
    good: dict[str, Any] = {"a": 1, "b": "0102", "c": "y", "d": None}
    assert schema.encode(good) == b"\x01\x01\x02\x04\x00"
    bad: Iterator[dict[str, Any]] = iter([
        {"a": 256}, {"a": "one"}, {"a": True}, {"a": 1.0}, {"b": b"long"}, {"b": "zz"}, {"b": 5}, {"c": "Z"}, {"c": 1},
        {"d": 2**63}, {"e": 1},
    ])  # fmt: skip
    for fields in bad:
        with pytest.raises(EncodeError):
            schema.encode({**good, **fields})
    with pytest.raises(EncodeError):
        schema.encode({"a": 1})
    with pytest.raises(EncodeError):
        schema.encode(object())
    for data in (b"", b"\x01\x01\x02\x01\x00", b"\x01\x01\x02\x04\x00\x00"):
        with pytest.raises(DecodeError):
            schema.decode(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "u7", "u8 u8", "bytes", "bytes[", "bytes(3)", "bytes[x]", "list<u8>", "list<u8, 3", "option<>", "enum{A=0}",
        "enum E{A:0}", "struct S{a u8}", "struct S{a: u8; b: u8}", "union{}", "option<" * 40 + "u8" + ">" * 40,
        "bytes<99999999999999>",
    ],
)  # fmt: skip
def test_text_that_describes_nothing_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        parse_schema(text)


def test_a_codec_outside_the_language_cannot_be_described() -> None:
    with pytest.raises(SchemaError):
        describe_codec(codec.UnionOf({}))
