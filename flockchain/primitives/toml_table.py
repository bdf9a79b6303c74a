"""TOML from outside as a table: bounded before it is parsed, and one kind of error for whatever is wrong with it.

The standard parser takes a time that grows with the square of a dotted key's parts, and raises `ValueError` or
`RecursionError` for numbers and nestings beyond its means. Knows no schema: the callers read the table strictly.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from flockchain.primitives.errors import InvalidInput

__all__ = ["KEY_PARTS_MAX", "NotToml", "decode_table"]

KEY_PARTS_MAX: Final = 8  # of one dotted key
_PART: Final = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY: Final = re.compile(rf"(?:^|[\s\[{{,]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{KEY_PARTS_MAX}}}")


class NotToml(InvalidInput):
    """Bytes that are no TOML, or more of it than anybody needs."""


def decode_table(data: bytes, bytes_max: int) -> dict[str, Any]:
    """The table in `data`. Raises `NotToml`."""
    if len(data) > bytes_max:
        raise NotToml("the text is too long", most=bytes_max, got=len(data))
    try:
        text = data.decode("utf-8")
        if _LONG_KEY.search(text):
            raise NotToml("a dotted key has too many parts", most=KEY_PARTS_MAX)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotToml("the text is not TOML", error=error) from error
