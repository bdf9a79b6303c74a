"""Every codec of the chain: one encoding of a value, one error for other bytes, and work in proportion to the input."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from flockchain.gossip.messages import _PEER_MESSAGE as PEER_MESSAGE
from flockchain.gossip.messages import decode_message, encode_message
from flockchain.primitives import codec as codecs
from flockchain.primitives.codec import DecodeError, Reader
from flockchain.primitives.schema import SchemaError, parse_schema
from tests.fuzz.encodings import build_value, find_codecs
from tests.fuzz.mutators import mutate

SEED = 11
VALUES = 20
MUTATIONS = 2_000
READS_MAX = 4  # of the input, for each of its bytes, plus some for what is announced and not there
READS_SPARE = 600
BYTES_PER_BYTE_MAX = 48  # of memory at the highest, for each byte of input
BYTES_SPARE = 64 * 1024

EACH_CODEC = pytest.mark.parametrize("name", find_codecs())


def build_samples(rng: random.Random, codec: Any) -> tuple[bytes, ...]:
    return tuple({codec.encode(build_value(rng, codec)) for _ in range(VALUES)})


@EACH_CODEC
def test_a_value_has_one_encoding_and_other_bytes_one_error(name: str) -> None:
    codec = find_codecs()[name]
    rng = random.Random(f"{SEED}/{name}")
    samples = build_samples(rng, codec)
    for sample in samples:
        assert codec.encode(codec.decode(sample)) == sample
    for number in range(MUTATIONS):
        data = mutate(rng, samples)
        try:
            value = codec.decode(data)
        except DecodeError as error:
            str(error).encode("utf-8")
            continue
        assert codec.encode(value) == data, f"seed {SEED}, {name}, mutation {number}: {data.hex()}"


class CountingReader(Reader):
    """Counts how often the input is touched."""

    __slots__ = ()
    reads = 0

    def take(self, count: int) -> bytes:
        type(self).reads += 1
        return Reader.take(self, count)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[CountingReader]:
    monkeypatch.setattr(codecs, "Reader", CountingReader)
    return CountingReader


def build_attacks() -> Iterator[bytes]:
    """Messages of every kind, valid and mutated, and each with every length in it announced at the largest."""
    rng = random.Random(SEED)
    samples = build_samples(rng, PEER_MESSAGE)
    yield from samples
    for _ in range(1_000):
        yield mutate(rng, samples)
    for sample in samples:
        for at in range(0, len(sample), 7):
            yield sample[:at] + b"\xff\xff\xff\xff" + sample[at + 4 :]
            yield sample[:at] + b"\x00\x00\x01\x00" + sample[at + 4 :]


def test_no_message_is_read_more_often_than_it_has_bytes(counted: type[CountingReader]) -> None:
    for data in build_attacks():
        counted.reads = 0
        with suppress(DecodeError):
            decode_message(data)
        assert counted.reads <= READS_MAX * len(data) + READS_SPARE, data[:64].hex()


def test_no_message_takes_memory_out_of_proportion() -> None:
    worst = 0.0
    tracemalloc.start()
    try:
        for data in [*build_attacks(), *build_dense_messages()]:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                message = decode_message(data)
            except DecodeError:
                message = None
            peak = tracemalloc.get_traced_memory()[1] - before
            del message
            worst = max(worst, (peak - BYTES_SPARE) / max(1, len(data)))
            assert peak <= BYTES_PER_BYTE_MAX * len(data) + BYTES_SPARE, (len(data), peak, data[:64].hex())
    finally:
        tracemalloc.stop()


def build_dense_messages() -> Iterator[bytes]:
    """As many small things as a message of its kind can hold."""
    rng = random.Random(SEED)
    for struct in PEER_MESSAGE.members.values():
        fields = {name: _build_full(rng, field, 2) for name, field in struct.codecs.items()}
        yield encode_message(struct.cls(**fields))


def _build_full(rng: random.Random, codec: Any, levels: int) -> Any:
    """Lists filled up, bytes empty."""
    if isinstance(codec, codecs.ListOf) and levels:
        item = _build_full(rng, codec.item, levels - 1)
        return (item,) * min(codec.max_items, 1_000 if levels == 2 else 128)
    if isinstance(codec, codecs.Struct):
        return codec.cls(**{name: _build_full(rng, field, levels) for name, field in codec.codecs.items()})
    if isinstance(codec, codecs.UnionOf):
        return _build_full(rng, list(codec.members.values())[-1], levels)
    if isinstance(codec, codecs.VarBytes):
        return b"ab"
    return build_value(rng, codec)


@pytest.mark.parametrize(
    "text",
    [
        "list<struct Nothing{}, 999999999999>",
        "struct Call{rows: list<struct Nothing{}, 4294967295>}",
        "struct Call{rows: list<bytes[0], 4294967295>}",
        "struct Call{rows: list<list<bytes[0], 4294967295>, 4294967295>}",
    ],
)
def test_a_nodes_type_cannot_announce_what_costs_nothing_to_send(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_schema(text).decode(b"\xff\xff\xff\xff" * 8)


def test_a_call_without_arguments_is_a_type_still() -> None:
    assert parse_schema("struct Chill{}").decode(b"") == {}
    with pytest.raises(SchemaError):
        parse_schema("struct A{b: list<struct B{c: struct C{}}, 4>}")
