"""Every family of errors ends in its own documented code."""

from __future__ import annotations

import re

import pytest

from flockchain.cli.exit_codes import (
    MEANINGS,
    AlreadyThere,
    CheckFailed,
    ExitCode,
    NotFound,
    NotInstalled,
    UserMistake,
    get_exit_code,
)
from flockchain.client import errors as client_errors
from flockchain.light import NotEnoughTrust, TrustExpired
from flockchain.primitives.errors import Fault, InvalidInput, InvariantBroken, Refused
from tests.house.sources import ROOT


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), ExitCode.INVALID),
        (UserMistake("x"), ExitCode.INVALID),
        (client_errors.InvalidRequest("x"), ExitCode.INVALID),
        (Refused("x"), ExitCode.REFUSED),
        (client_errors.ExtrinsicFailed("x"), ExitCode.REFUSED),
        (Fault("x"), ExitCode.FAULT),
        (PermissionError("x"), ExitCode.FAULT),
        (client_errors.Unreachable("x"), ExitCode.UNREACHABLE),
        (client_errors.DeadlineExceeded("x"), ExitCode.UNREACHABLE),
        (client_errors.NotFound("x"), ExitCode.NOT_FOUND),
        (NotFound("x"), ExitCode.NOT_FOUND),
        (AlreadyThere("x"), ExitCode.EXISTS),
        (client_errors.VerificationFailed("x"), ExitCode.CHECK_FAILED),
        (client_errors.BrokenAnswer("x"), ExitCode.CHECK_FAILED),
        (TrustExpired("x"), ExitCode.CHECK_FAILED),
        (NotEnoughTrust("x"), ExitCode.CHECK_FAILED),
        (CheckFailed("x"), ExitCode.CHECK_FAILED),
        (NotInstalled("x"), ExitCode.NOT_INSTALLED),
        (InvariantBroken("x"), ExitCode.INTERNAL),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
    ],
)
def test_an_error_ends_in_the_code_of_its_kind(error: Exception, code: ExitCode) -> None:
    assert get_exit_code(error) is code


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_the_guide_lists_every_code_with_its_meaning() -> None:
    text = (ROOT / "docs/guide/cli.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", text, re.MULTILINE))
    assert listed == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
