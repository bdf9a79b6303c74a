"""An error's message is bounded and printable whatever the values in it are: others choose them."""

from __future__ import annotations

import pytest

from flockchain.primitives.errors import InvalidInput


def nest(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        16**5000, -(16**5000), [16**5000], {"a": 16**5000}, nest(100_000), "x" * 10**6, b"x" * 10**6, "\ud800",
        "\ud800" * 10**6,
    ],
    ids=["huge", "negative", "in a list", "in a dict", "deep", "long text", "long bytes", "surrogate", "surrogates"],
)  # fmt: skip
def test_no_value_breaks_the_message_or_fills_it(value: object) -> None:
    text = str(InvalidInput("a value is wrong", value=value))
    assert text.startswith("a value is wrong (value=")
    assert len(text.encode("utf-8")) < 2_500


@pytest.mark.parametrize(
    ("value", "shown"), [(7, "7"), (2**200, str(2**200)), ("näme", "näme"), (b"\x01\x02", "0102"), (None, "None")]
)
def test_ordinary_values_are_shown_as_they_are(value: object, shown: str) -> None:
    assert str(InvalidInput("wrong", value=value)) == f"wrong (value={shown})"
