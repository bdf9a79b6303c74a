"""Prints records and tables, for people or as JSON, and one-line errors.

Standard output carries the answer and nothing else; notes and errors go to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Annotated, Final

import typer

from flockchain.primitives.errors import FlockchainError

__all__ = [
    "WIDTH_MAX", "Output", "OutputFormat", "print_error", "print_note", "print_record", "print_rows", "shorten",
    "to_plain",
]  # fmt: skip

WIDTH_MAX: Final = 80


class OutputFormat(StrEnum):
    """How an answer is written."""

    HUMAN = "human"
    JSON = "json"


Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="human: aligned text; json: one document.")]


def to_plain(value: object) -> object:
    """`value` in what JSON has: bytes as lower-case hex, enumerations by name, dataclasses as objects."""
    if isinstance(value, Enum):
        return value.name.lower()
    if value is None or isinstance(value, str | int | bool | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        return [to_plain(item) for item in value]
    return str(value)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` characters; the middle of long hex gives way."""
    if len(text) <= width:
        return text
    head = (width - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def print_record(record: object, output: OutputFormat) -> None:
    """One thing: its fields one a line within 80 columns, or one JSON object."""
    plain = to_plain(record)
    if output is OutputFormat.JSON or not isinstance(plain, dict):
        _write_json(plain)
        return
    names = {name: name.replace("_", " ") for name in plain}
    column = max((len(names[name]) for name, value in plain.items() if not _is_nested(value)), default=0)
    for name, value in plain.items():
        if _is_nested(value):
            typer.echo(names[name])
            _print_nested(value)
        else:
            typer.echo(f"{names[name]:<{column}}  {_to_text(value)}".rstrip())


def print_rows(rows: Sequence[object], columns: Sequence[str], output: OutputFormat, *, empty: str) -> None:
    """A list: an aligned table of `columns` within 80 characters, or a JSON array of whole records.

    `empty` is what a person reads when there is nothing.
    """
    plain = [to_plain(row) for row in rows]
    if output is OutputFormat.JSON:
        _write_json(plain)
        return
    if not plain:
        typer.echo(empty)
        return
    cells = [[_to_text(row.get(name)) if isinstance(row, dict) else "" for name in columns] for row in plain]
    heads = [name.replace("_", " ") for name in columns]
    widths = _fit([[*heads], *cells])
    for line in [heads, *cells]:
        shown = (f"{shorten(cell, width):<{width}}" for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(shown).rstrip())


def print_note(text: str) -> None:
    """Says something to the person, beside the answer."""
    typer.echo(text, err=True)


def print_error(error: BaseException, *, hint: str | None, is_json: bool) -> None:
    """The error on one line, and what to do next on another."""
    sentence = str(error) or type(error).__name__
    if is_json:
        values = error.values if isinstance(error, FlockchainError) else {}
        document = {"error": sentence, "kind": type(error).__name__, "values": to_plain(values), "hint": hint}
        print(json.dumps(document), file=sys.stderr)
        return
    typer.echo(f"error: {sentence}", err=True)
    if hint:
        typer.echo(f"  try: {hint}", err=True)


def _is_nested(value: object) -> bool:
    """Whether a value takes lines of its own."""
    return isinstance(value, dict | list) and bool(value)


def _print_nested(value: object) -> None:
    """Each item of a list on its own lines, or the fields of a record; long ones wrap."""
    for item in value if isinstance(value, list) else [value]:
        parts = (f"{name}={part}" if name else part for name, part in _flatten(item, ""))
        text = " ".join(shorten(part, WIDTH_MAX - 2) for part in parts)
        lines = textwrap.wrap(
            text, WIDTH_MAX, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        typer.echo("\n".join(lines))


def _flatten(value: object, path: str) -> Iterator[tuple[str, str]]:
    """The leaves of a nested value with their dotted names."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flatten(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for at, item in enumerate(value):
            yield from _flatten(item, f"{path}.{at}")
    elif isinstance(value, list):
        yield path, ",".join(_to_text(item) for item in value)
    else:
        yield path, _to_text(value)


def _write_json(plain: object) -> None:
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def _to_text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else "none"
    return str(value)


def _fit(table: Sequence[Sequence[str]]) -> list[int]:
    """Column widths that fit the terminal: the widest column shrinks first, to no less than 8."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    room = min(WIDTH_MAX, shutil.get_terminal_size((WIDTH_MAX, 24)).columns) - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    return widths
