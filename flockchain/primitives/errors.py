"""The three families of error, and the check for our own mistakes.

`InvalidInput`: a peer or a user sent nonsense. Drop it, blame the sender; no state changes.
`Refused`: well formed, but not allowed now. It becomes a receipt or a one-line message.
`Fault`: our own disk, host or data folder failed. The node stops with a clear message.

Each subclass is a sentence and carries the values that disagree.
"""

from __future__ import annotations

_INTEGER_BITS_MAX = 1024
_TEXT_MAX = 500  # characters of one value in a message

__all__ = ["Fault", "FlockchainError", "InvalidInput", "InvariantBroken", "Refused", "invariant"]


class FlockchainError(Exception):
    """Root of every error that flockchain raises on purpose."""

    def __init__(self, sentence: str, /, **values: object) -> None:
        self.sentence = sentence
        self.values = values
        super().__init__(sentence)

    def __str__(self) -> str:
        if not self.values:
            return self.sentence
        shown = ", ".join(f"{name}={_show(value)}" for name, value in self.values.items())
        return f"{self.sentence} ({shown})"


class InvalidInput(FlockchainError):
    """Bytes or a request from outside break a rule of form."""


class Refused(FlockchainError):
    """A well-formed request that the current state does not allow."""


class Fault(FlockchainError):
    """Our own disk, host or configuration failed."""


class InvariantBroken(FlockchainError):
    """A mistake of ours: the program is in a state that must not exist."""


def invariant(condition: bool, sentence: str, /, **values: object) -> None:
    """Raise `InvariantBroken` unless `condition`. Never for input from outside; survives `python -O`."""
    if not condition:
        raise InvariantBroken(sentence, **values)


def _show(value: object) -> str:
    """A value as a message can carry it, whoever chose it: bounded, encodable, and never raising."""
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 8 else f"{value[:8].hex()}…[{len(value)}]"
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS_MAX:
        return f"integer of {value.bit_length()} bits"
    try:
        text = str(value)
    except (ValueError, RecursionError):  # a huge integer or a deep nesting inside
        return type(value).__name__
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…[{len(text)}]"
