"""The three families of error, and the check for our own mistakes.

`InvalidInput`: a peer or a user sent nonsense. Drop it, blame the sender; no state changes.
`Refused`: well formed, but not allowed now. It becomes a receipt or a one-line message.
`Fault`: our own disk, host or data folder failed. The node stops with a clear message.

Each subclass is a sentence and carries the values that disagree.
"""

from __future__ import annotations

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
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 8 else f"{value[:8].hex()}…[{len(value)}]"
    return str(value)
