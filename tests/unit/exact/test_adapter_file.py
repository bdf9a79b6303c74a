"""Adapters as bytes: one encoding, the safetensors library's, and a typed refusal for everything else."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.exact import (
    AdapterFileError,
    compute_aggregate,
    compute_aggregate_bytes,
    compute_update_bytes,
    decode_aggregate,
    decode_update,
    encode_aggregate,
    encode_update,
)
from flockchain.exact.adapter_file import (
    DtypeError,
    HeaderError,
    LengthError,
    NamesError,
    NotAdapterError,
    ShapeError,
    Tensors,
)
from flockchain.primitives.learning import AdapterMode
from tests.kit.learning import build_adapter, build_update

FFA, STACK = build_adapter(), build_adapter(AdapterMode.STACK)
BOTH = pytest.mark.parametrize("adapter", [FFA, STACK], ids=["ffa", "stack"])


def write_safetensors(tensors: dict[str, tuple[str, list[int], bytes]], **extra: Any) -> bytes:
    """A file by the rules of the format, with whatever is asked for in it."""
    header: dict[str, Any] = dict(extra)
    offset = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values())


def take_apart(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """What `write_safetensors` puts together again."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])]) for name, entry in header.items()
    }


@BOTH
def test_what_was_decoded_encodes_to_the_bytes_received(adapter: Any) -> None:
    data = build_update(adapter, 1)
    tensors = decode_update(data, adapter)
    assert encode_update(tensors, adapter) == data
    assert len(data) == compute_update_bytes(adapter)
    assert list(tensors) == sorted(tensors)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.int16)}
    assert len(tensors) == (2 if adapter is FFA else 4)


@BOTH
def test_the_bytes_are_those_of_the_safetensors_library(adapter: Any) -> None:
    library = pytest.importorskip("safetensors.numpy")
    data = build_update(adapter, 2)
    tensors = decode_update(data, adapter)
    assert library.save({name: np.array(tensor) for name, tensor in reversed(tensors.items())}) == data
    assert all((library.load(data)[name] == tensor).all() for name, tensor in tensors.items())


@BOTH
def test_an_aggregate_of_any_number_of_updates_round_trips(adapter: Any) -> None:
    for count in (1, 2, 5):
        data = compute_aggregate(adapter, None, [build_update(adapter, seed) for seed in range(count)])
        tensors = decode_aggregate(data, adapter)
        assert encode_aggregate(tensors, adapter) == data
        assert len(data) == compute_aggregate_bytes(adapter, count)
        assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.int32)}


def test_decoded_tensors_cannot_be_written_to() -> None:
    tensors = decode_update(build_update(FFA, 1), FFA)
    with pytest.raises(ValueError, match="read-only"):
        next(iter(tensors.values()))[0, 0] = 1


def test_a_pickle_is_not_an_adapter_and_is_never_loaded() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the pickle was loaded",))

    with pytest.raises(NotAdapterError):
        decode_update(pickle.dumps(Bomb()), FFA)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 7, b"\xff" * 64, (5).to_bytes(8, "little") + b"{not}", (4).to_bytes(8, "little") + b"[[]]",
     (2**40).to_bytes(8, "little") + b"{}", (7).to_bytes(8, "little") + b'{"a":1}', b"PK\x03\x04" + b"\0" * 60,
     (9_000).to_bytes(8, "little") + b"[" * 9_000],
)  # fmt: skip
def test_noise_is_not_an_adapter(data: bytes) -> None:
    with pytest.raises(NotAdapterError):
        decode_update(data, FFA)


def test_floats_are_refused_whatever_they_hold() -> None:
    parts = take_apart(build_update(FFA, 1))
    nan = np.full(12, np.nan, dtype=np.float16).tobytes()
    parts["layers.0.down.lora_B"] = ("F16", [6, 2], nan)
    with pytest.raises(DtypeError):
        decode_update(write_safetensors(parts), FFA)
    with pytest.raises(DtypeError):
        encode_update({name: np.zeros((6, 2), dtype=np.float32) for name in parts}, FFA)


def test_an_extra_or_a_missing_tensor_is_refused_by_name() -> None:
    parts = take_apart(build_update(FFA, 1))
    with pytest.raises(NamesError, match=r"layers\.9\.q"):
        decode_update(write_safetensors({**parts, "layers.9.q.lora_B": ("I16", [1, 1], b"\0\0")}), FFA)
    del parts["layers.0.q.lora_B"]
    with pytest.raises(NamesError, match=r"layers\.0\.q"):
        decode_update(write_safetensors(parts), FFA)


def test_another_rank_is_refused_as_a_shape() -> None:
    with pytest.raises(ShapeError, match="wrong shape"):
        decode_update(build_update(build_adapter(rank=3), 1), FFA)
    with pytest.raises(ShapeError):
        encode_update(decode_update(build_update(build_adapter(rank=3), 1), build_adapter(rank=3)), FFA)


def test_metadata_another_order_gaps_and_spaces_are_refused() -> None:
    parts = take_apart(build_update(FFA, 1))
    with pytest.raises(NamesError):
        decode_update(write_safetensors(parts, __metadata__={"format": "pt"}), FFA)
    with pytest.raises(HeaderError):
        decode_update(write_safetensors(dict(reversed(parts.items()))), FFA)
    data = build_update(FFA, 1)
    length = int.from_bytes(data[:8], "little")
    wider = (length + 8).to_bytes(8, "little") + data[8 : 8 + length] + b" " * 8 + data[8 + length :]
    with pytest.raises(HeaderError):
        decode_update(wider, FFA)


def test_truncated_and_trailing_bytes_are_refused() -> None:
    data = build_update(FFA, 1)
    for wrong in (data[:-1], data + b"\0", data + data):
        with pytest.raises(LengthError):
            decode_update(wrong, FFA)


def test_an_update_is_no_aggregate_and_a_stack_is_no_ffa_file() -> None:
    with pytest.raises(DtypeError):
        decode_aggregate(build_update(FFA, 1), FFA)
    with pytest.raises(NamesError):
        decode_update(build_update(STACK, 1), FFA)
    with pytest.raises(NamesError):
        decode_update(build_update(FFA, 1), STACK)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_other_header_decodes(data: st.DataObject) -> None:
    good = bytearray(build_update(FFA, 1))
    header_bytes = 8 + int.from_bytes(good[:8], "little")
    at = data.draw(st.integers(0, header_bytes - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AdapterFileError):
        decode_update(bytes(good), FFA)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_typed_error(data: bytes) -> None:
    for decode in (decode_update, decode_aggregate):
        for adapter in (FFA, STACK):
            with pytest.raises(AdapterFileError):
                decode(data, adapter)


def test_big_endian_and_strided_tensors_encode_to_the_same_bytes() -> None:
    data = build_update(FFA, 3)
    tensors = decode_update(data, FFA)
    swapped: Tensors = {name: tensor.astype(">i2") for name, tensor in tensors.items()}
    strided: Tensors = {name: np.asfortranarray(tensor) for name, tensor in tensors.items()}
    assert encode_update(swapped, FFA) == data
    assert encode_update(strided, FFA) == data
