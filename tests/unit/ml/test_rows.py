"""Rows, their canonical bytes, JSONL files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.primitives.limits import SUITE_ROW_BYTES_MAX
from flockchain_ml.rows import (
    Row,
    RowInvalid,
    decode_row,
    decode_suite,
    encode_row,
    encode_suite,
    read_rows,
    write_rows,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: text.strip())


@given(TEXTS, TEXTS, st.sampled_from(["", "units"]))
@settings(max_examples=100)
def test_a_row_reads_back_and_its_bytes_are_one_line(prompt: str, answer: str, domain: str) -> None:
    row = Row(prompt, answer, domain)
    line = encode_row(row)
    assert b"\n" not in line
    assert decode_row(line) == row
    assert encode_row(decode_row(line)) == line


def test_a_row_has_one_canonical_form() -> None:
    assert encode_row(Row("a b", "c", "d")) == b'{"answer":"c","domain":"d","prompt":"a b"}'
    assert encode_row(Row("é", "c")) == '{"answer":"c","prompt":"é"}'.encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"not json",
        b'{"prompt":"a"}',
        b'{"answer":"b","prompt":1}',
        b'{"answer":"b","prompt":"a","weight":"1"}',
        b'{"answer":" ","prompt":"a"}',
        b'\xff{"answer":"b","prompt":"a"}',
        b"[" * 5000,
        b'{"answer":"b","prompt":"\\ud800"}',
        b'{"answer":"b","prompt":"' + b"a" * SUITE_ROW_BYTES_MAX + b'"}',
    ],
)
def test_a_line_that_is_no_row_is_refused(line: bytes) -> None:
    with pytest.raises(RowInvalid):
        decode_row(line)


def test_a_file_of_prompts_and_answers_is_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "2 + 2", "answer": "4"}\n\n{"answer": "5", "prompt": "2 + 3"}\n')
    rows = read_rows(path)
    assert rows == (Row("2 + 2", "4"), Row("2 + 3", "5"))
    write_rows(path, rows)
    assert decode_suite(path.read_bytes()) == rows
    assert path.read_bytes() == b"".join(line + b"\n" for line in encode_suite(rows))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n")
    with pytest.raises(RowInvalid):
        read_rows(path)
