"""TOML from outside: one error for what is wrong with it, and no time to lose on it."""

from __future__ import annotations

import pytest

from flockchain.primitives.toml_table import KEY_PARTS_MAX, NotToml, decode_table


@pytest.mark.parametrize(
    "data",
    [
        b"\xff", b"a = ", b"a = " + b"9" * 5_000, b"a = " + b"1_" * 5_000 + b"1", b"a = " + b"[" * 5_000,
        b"a = " + b"{a = " * 5_000, b"a." * 100_000 + b"b = 1", b"[" + b"a." * 100_000 + b"b]",
        b"x = {" + b"a . " * 100_000 + b"b = 1}", b'"a".' * 100_000 + b"b = 1", b"'a'." * 100_000 + b"b = 1",
        b"\t" + b"a.\"b\".'c'." * 50_000 + b"d = 1",
    ],
    ids=range(12),
)  # fmt: skip
def test_what_the_parser_cannot_take_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(NotToml):
        decode_table(data, 10**6)


def test_more_bytes_than_allowed_are_not_looked_at() -> None:
    with pytest.raises(NotToml, match="too long"):
        decode_table(b"a = 1\n", 5)


def test_ordinary_tables_are_read() -> None:
    key = ".".join("abcdefgh"[:KEY_PARTS_MAX])
    addresses = ", ".join(['"127.0.0.1.example.org.a.b.c.d.e.f:9700"'] * 64)
    table = decode_table(f"{key} = 1\n[x.y]\npeers = [{addresses}]\nrate = 1.5\n".encode(), 10**6)
    assert len(table["x"]["y"]["peers"]) == 64
    assert table["a"]["b"]["c"]["d"]["e"]["f"]["g"]["h"] == 1
