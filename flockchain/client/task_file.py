"""A task as a TOML file: the fields of `TaskSpec` by name, bytes as hex, members of enumerations by name.

What follows from the suite's rows (`suite_root`, `suite_rows`, `suite_blob`, `suite_bytes`) is not in the file: it is
computed from the rows themselves. Knows no network.
"""

from __future__ import annotations

from typing import Any, Final

import tomli_w

from flockchain.client.blobs import compute_root_of_bytes
from flockchain.crypto.merkle import compute_root
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import TASK_SPEC, TaskSpec
from flockchain.primitives.limits import MIB
from flockchain.primitives.schema import describe_codec, parse_schema
from flockchain.primitives.toml_table import NotToml, decode_table

__all__ = ["TaskFileInvalid", "decode_task_file", "encode_task_file", "split_suite"]

_FROM_SUITE: Final = ("suite_root", "suite_rows", "suite_blob", "suite_bytes")


class TaskFileInvalid(InvalidInput):
    """The file does not say what a task must fix."""


def split_suite(suite: bytes) -> tuple[bytes, ...]:
    """The rows of a suite's bytes: JSON lines, each followed by a newline. They are the leaves of `suite_root`."""
    rows = suite.split(b"\n")
    if rows.pop() or not rows:
        raise TaskFileInvalid("a suite is JSON lines, each of them with a newline after it")
    if not all(rows):
        raise TaskFileInvalid("a suite has no empty lines", line=rows.index(b"") + 1)
    return tuple(rows)


def decode_task_file(toml: bytes, suite: bytes) -> TaskSpec:
    """The task in `toml` over the rows of `suite`. Raises `TaskFileInvalid` or `EncodeError`."""
    try:
        table = decode_table(toml, MIB)
    except NotToml as error:
        raise TaskFileInvalid("a task file is TOML", reason=str(error)) from error
    given = sorted(set(table) & set(_FROM_SUITE))
    if given:
        raise TaskFileInvalid("these fields follow from the suite: leave them out", fields=", ".join(given))
    rows = split_suite(suite)
    computed = {
        "suite_root": compute_root(rows), "suite_rows": len(rows), "suite_blob": compute_root_of_bytes(suite),
        "suite_bytes": len(suite),
    }  # fmt: skip
    return TASK_SPEC.decode(parse_schema(describe_codec(TASK_SPEC)).encode({**table, **computed}))


def encode_task_file(spec: TaskSpec) -> bytes:
    """The file that `decode_task_file` reads back as `spec`, given the same suite."""
    plain = parse_schema(describe_codec(TASK_SPEC)).decode(TASK_SPEC.encode(spec))
    table = {name: value for name, value in plain.items() if name not in _FROM_SUITE}
    return tomli_w.dumps(_without_bytes(table)).encode("utf-8")


def _without_bytes(value: Any) -> Any:
    """The same with bytes as hex, and integers that TOML cannot hold as decimal text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**63:
        return str(value)
    if isinstance(value, dict):
        return {name: _without_bytes(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(item) for item in value]
    return value
