"""Exit codes, and which error ends in which.

Knows the error families and the SDK's errors by name. The guide's table is generated from the docstrings here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from flockchain.primitives.errors import Fault, InvalidInput, InvariantBroken, Refused

__all__ = [
    "HINTS",
    "MEANINGS",
    "AlreadyThere",
    "CheckFailed",
    "ExitCode",
    "NotFound",
    "NotInstalled",
    "UserMistake",
    "get_exit_code",
]  # fmt: skip


class ExitCode(IntEnum):
    """What the number says to a script."""

    OK = 0
    INTERNAL = 1
    INVALID = 2
    REFUSED = 3
    FAULT = 4
    UNREACHABLE = 5
    NOT_FOUND = 6
    EXISTS = 7
    CHECK_FAILED = 8
    NOT_INSTALLED = 9
    INTERRUPTED = 130


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done",
    ExitCode.INTERNAL: "a mistake in flockchain itself; the traceback is for a bug report",
    ExitCode.INVALID: "an option, an argument or a file does not have the right form",
    ExitCode.REFUSED: "well formed, but the chain or the node does not allow it now",
    ExitCode.FAULT: "this machine failed: disk, port, data folder, permissions",
    ExitCode.UNREACHABLE: "the node did not answer in time",
    ExitCode.NOT_FOUND: "there is no such key, task, round, update or model",
    ExitCode.EXISTS: "it is already there; `--force` replaces it",
    ExitCode.CHECK_FAILED: "it ran, and what it checked does not hold",
    ExitCode.NOT_INSTALLED: "the verb needs an extra that is not installed",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}


HINTS: Final[dict[ExitCode, str]] = {
    ExitCode.UNREACHABLE: "is the node running? `flockchain status --node HOST:PORT` asks another one",
    ExitCode.EXISTS: "the same command with --force replaces it",
    ExitCode.NOT_INSTALLED: 'pip install ".[ml]" in a checkout',
}


class UserMistake(InvalidInput):
    """What was typed, or a file that was named, cannot be used. `hint` says what to do instead."""

    def __init__(self, sentence: str, /, *, hint: str | None = None, **values: object) -> None:
        super().__init__(sentence, **values)
        self.hint = hint


class AlreadyThere(Refused):
    """Something would be overwritten."""


class NotFound(Refused):
    """There is no such thing. `hint` says where to look."""

    def __init__(self, sentence: str, /, *, hint: str | None = None, **values: object) -> None:
        super().__init__(sentence, **values)
        self.hint = hint


class CheckFailed(Refused):
    """The check ran and did not hold."""


class NotInstalled(Refused):
    """The verb needs an optional part."""


# First match wins. The names of the SDK's errors stand in for the classes: importing them would import gRPC.
_BY_NAME: Final[dict[str, ExitCode]] = {
    "Unreachable": ExitCode.UNREACHABLE,
    "DeadlineExceeded": ExitCode.UNREACHABLE,
    "NotFound": ExitCode.NOT_FOUND,
    "AlreadyThere": ExitCode.EXISTS,
    "HomeExists": ExitCode.EXISTS,
    "KeyStoreExists": ExitCode.EXISTS,
    "CheckFailed": ExitCode.CHECK_FAILED,
    "VerificationFailed": ExitCode.CHECK_FAILED,
    "NotEnoughTrust": ExitCode.CHECK_FAILED,
    "TrustExpired": ExitCode.CHECK_FAILED,
    "BrokenAnswer": ExitCode.CHECK_FAILED,
    "NotInstalled": ExitCode.NOT_INSTALLED,
}
_BY_FAMILY: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (InvalidInput, ExitCode.INVALID),
    (Refused, ExitCode.REFUSED),
    (Fault, ExitCode.FAULT),
    (InvariantBroken, ExitCode.INTERNAL),
    (OSError, ExitCode.FAULT),
)


def get_exit_code(error: BaseException) -> ExitCode:
    """The code that `error` ends in; INTERNAL for what nobody raised on purpose."""
    for cls in type(error).__mro__:
        if cls.__name__ in _BY_NAME:
            return _BY_NAME[cls.__name__]
    for family, code in _BY_FAMILY:
        if isinstance(error, family):
            return code
    return ExitCode.INTERNAL
