"""What people type becomes exact values, or a refusal that says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.cli.connection import get_key_path, parse_account, parse_hash
from flockchain.cli.exit_codes import UserMistake
from flockchain.cli.sim import parse_seeds
from flockchain.cli.tx import parse_amount


@pytest.mark.parametrize(
    ("text", "units"),
    [("1", 10**9), ("2.5", 2_500_000_000), ("0.000000001", 1), (".5", 500_000_000), ("7u", 7), ("0", 0)],
)
def test_an_amount_is_flock_or_base_units(text: str, units: int) -> None:
    assert parse_amount(text) == units


@pytest.mark.parametrize("text", ["", ".", "1.", "-1", "1e9", "1.0000000001", "1.5u", "u", "٣", " 1", "1_000"])
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(UserMistake):
        parse_amount(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**30))
def test_an_amount_written_in_flock_is_exact(units: int) -> None:
    whole, part = divmod(units, 10**9)
    assert parse_amount(f"{whole}.{part:09d}") == parse_amount(f"{units}u") == units


@pytest.mark.parametrize(("text", "bounds"), [("1..20", (1, 20)), ("7", (7, 7)), ("0..0", (0, 0))])
def test_seeds_are_a_range_with_both_ends(text: str, bounds: tuple[int, int]) -> None:
    assert parse_seeds(text) == bounds


@pytest.mark.parametrize("text", ["", "a..b", "5..1", "-3..1", "1...4", "1.."])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserMistake):
        parse_seeds(text)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_keys_name_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(UserMistake):
        get_key_path(Path("home"), name)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_hash_or_an_account_of_another_length_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserMistake):
        parse_hash(text, "a hash")
    with pytest.raises(UserMistake):
        parse_account(text, tmp_path)
