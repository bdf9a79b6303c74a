"""Answers fit 80 columns for people and are one JSON document for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import pytest

from flockchain.cli.output import OutputFormat, print_error, print_record, print_rows, shorten, to_plain
from flockchain.primitives.errors import Refused


class Colour(IntEnum):
    RED = 0


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    raw: bytes
    colour: Colour
    parts: tuple[int, ...]


THING = Thing("one", b"\x01\xff" * 40, Colour.RED, (1, 2))


def test_records_become_plain_json_values() -> None:
    assert to_plain({"thing": THING, "file": Path("a/b"), "none": None, "yes": True}) == {
        "thing": {"name": "one", "raw": "01ff" * 40, "colour": "red", "parts": [1, 2]},
        "file": "a/b",
        "none": None,
        "yes": True,
    }


def test_a_record_as_json_is_one_document_with_whole_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(THING, OutputFormat.JSON)
    assert json.loads(capsys.readouterr().out)["raw"] == "01ff" * 40


def test_a_nested_record_for_people_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    events = [{"pallet": "balances", "fields": {"source": b"a" * 32, "target": b"b" * 32, "parts": [1, 2]}}] * 2
    print_record({"events": events, "thing": THING, "nothing": []}, OutputFormat.HUMAN)
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.count("- pallet=balances") == 2
    assert f"fields.source={'61' * 32}" in text
    assert "fields.parts=1,2" in text
    assert "nothing  none" in text


def test_rows_for_people_fit_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "n" * 50, "account": "ab" * 32, "stake": 10**20} for _ in range(3)]
    print_rows(rows, ["name", "account", "stake"], OutputFormat.HUMAN, empty="none")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80


def test_rows_as_json_are_whole_records(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([THING], ["name"], OutputFormat.JSON, empty="none")
    assert json.loads(capsys.readouterr().out)[0]["parts"] == [1, 2]


def test_nothing_is_said_to_people_and_is_an_empty_list_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], ["name"], OutputFormat.HUMAN, empty="no things")
    print_rows([], ["name"], OutputFormat.JSON, empty="no things")
    said, listed = capsys.readouterr().out.splitlines()
    assert (said, json.loads(listed)) == ("no things", [])


@pytest.mark.parametrize("width", [8, 9, 30, 63])
def test_a_shortened_text_keeps_both_ends_and_its_width(width: int) -> None:
    short = shorten("ab" * 32, width)
    assert len(short) == width
    assert short[0] == "a"
    assert short[-1] == "b"


def test_an_error_is_one_line_and_one_hint(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(Refused("no such luck", wanted=1, got=2), hint="again", is_json=False)
    assert capsys.readouterr().err == "error: no such luck (wanted=1, got=2)\n  try: again\n"


def test_an_error_as_json_has_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(Refused("no such luck", key=b"\x01" * 32), hint=None, is_json=True)
    document = json.loads(capsys.readouterr().err)
    assert document["kind"] == "Refused"
    assert document["values"] == {"key": "01" * 32}
