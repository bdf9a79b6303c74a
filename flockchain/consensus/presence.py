"""Who has been heard from lately: so that a view whose leader is gone need not be waited for (R15), and does not count
as a sign that the time-outs are too short.

Counts views in which we heard from a quorum and not from this member, one after another. A view in which we heard from
less says nothing about anybody: perhaps it is we who were gone. Words are not verified: whoever forges one in a dead
member's name brings back the time-out, and nobody can take a live one's words away.
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.limits import QUIET_VIEWS
from flockchain.primitives.numbers import Stake, View, is_quorum
from flockchain.primitives.validator_set import ValidatorSet

__all__ = ["Presence"]

_SILENT_VIEWS: Final = 3  # whoever is up is heard in one of so many, however far away


class Presence:
    """The members of one epoch; all count as present at first, and `me` always."""

    def __init__(self, validators: ValidatorSet, me: int | None) -> None:
        self._stakes: Final = tuple(member.stake for member in validators.validators)
        self._total_stake: Final = validators.total_stake
        self._own: Final[frozenset[int]] = frozenset(() if me is None else (me,))
        self._heard = set(self._own)
        self._quiet = [0] * len(self._stakes)  # views in a row
        self._excused: set[View] = set()

    def on_word(self, member: int) -> None:
        """A vote or a proposal in this member's name arrived, of whichever view."""
        self._heard.add(member)

    def on_view_over(self, view: View, leader: int) -> None:
        """We leave a view."""
        if is_quorum(Stake(sum(self._stakes[member] for member in self._heard)), self._total_stake):
            self._quiet = [0 if member in self._heard else quiet + 1 for member, quiet in enumerate(self._quiet)]
        self._heard = set(self._own)
        if self._quiet[leader] >= _SILENT_VIEWS:
            self._excused.add(view)

    def count_excused(self, after: View) -> int:
        """How many views after this one had a leader that was silent before and in it."""
        self._excused = {view for view in self._excused if view > after}
        return len(self._excused)

    def is_gone(self, member: int) -> bool:
        """Whether it let enough views pass without a word."""
        return self._quiet[member] >= QUIET_VIEWS
