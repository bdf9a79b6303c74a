"""A row of a learning task: one prompt and its answer, and JSON lines of them.

Knows the canonical bytes of a row, which a task's evaluation root commits to. Knows no tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import SUITE_ROW_BYTES_MAX, SUITE_ROWS_MAX

__all__ = [
    "Row", "RowInvalid", "decode_row", "decode_suite", "encode_row", "encode_suite", "read_rows", "write_rows",
]  # fmt: skip

_FIELDS: Final = {"prompt", "answer", "domain"}


class RowInvalid(InvalidInput):
    """A line that is not a JSON object of prompt and answer."""


@dataclass(frozen=True, slots=True)
class Row:
    """One example. `domain` is a label for reports; it may be empty and no model sees it."""

    prompt: str
    answer: str
    domain: str = ""


def encode_row(row: Row) -> bytes:
    """The row's canonical bytes: one JSON object in UTF-8, keys sorted, no spaces, no newline."""
    fields = {"answer": row.answer, "prompt": row.prompt}
    if row.domain:
        fields["domain"] = row.domain
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def decode_row(line: bytes) -> Row:
    """Read one line; keys other than prompt, answer and domain are refused."""
    if len(line) > SUITE_ROW_BYTES_MAX:
        raise RowInvalid("a row is too long", most_bytes=SUITE_ROW_BYTES_MAX, got_bytes=len(line))
    try:
        fields = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RowInvalid("a row is not JSON", line=line[:60]) from error
    if not isinstance(fields, dict) or not {"prompt", "answer"} <= fields.keys() <= _FIELDS:
        raise RowInvalid("a row holds exactly prompt, answer and, if wanted, domain", line=line[:60])
    if not all(isinstance(value, str) and _is_text(value) for value in fields.values()):
        raise RowInvalid("the fields of a row are text", line=line[:60])
    if not fields["prompt"].strip() or not fields["answer"].strip():
        raise RowInvalid("a row's prompt and answer are not empty", line=line[:60])
    return Row(fields["prompt"], fields["answer"], fields.get("domain", ""))


def _is_text(value: str) -> bool:
    """Whether a string has an encoding: JSON can spell halves of surrogate pairs, which no tokenizer takes."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def encode_suite(rows: Iterable[Row]) -> tuple[bytes, ...]:
    """The rows' bytes in order: the leaves of the RFC 6962 root that a task fixes."""
    return tuple(encode_row(row) for row in rows)


def decode_suite(blob: bytes) -> tuple[Row, ...]:
    """The rows of a suite's blob: its rows' bytes, each followed by a newline."""
    lines = blob.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) > SUITE_ROWS_MAX:
        raise RowInvalid("a suite has too many rows", most=SUITE_ROWS_MAX, got=len(lines))
    return tuple(decode_row(line) for line in lines)


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of any JSONL file of {prompt, answer}. Blank lines are skipped."""
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    if not lines:
        raise RowInvalid("a data file holds no rows", path=path)
    return tuple(decode_row(line) for line in lines)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines in their canonical bytes."""
    path.write_bytes(b"".join(line + b"\n" for line in encode_suite(rows)))
