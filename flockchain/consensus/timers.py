"""Which timers a core sets, and how long they run.

Timers are never cancelled: one that fires for a view that is over says nothing. Back-off follows the
distance to finality, so that a network slower than the time-outs ends up with time-outs long enough to
finalize in, even if it still notarizes; one finalized block brings them back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from flockchain.primitives.numbers import View

__all__ = ["Timer", "TimerKind", "compute_timeout_ms"]

_PIPELINE_VIEWS: Final = 3  # unfinalized views of a healthy chain whose last leader was absent
_DOUBLINGS_MAX: Final = 16


class TimerKind(IntEnum):
    """What is waited for."""

    LEADER = 0  # the proposal of the view
    VIEW = 1  # a certificate of the view
    RETRY = 2  # say it again while the view does not end
    RESOLVE = 3  # ask again for what is missing; of no view


@dataclass(frozen=True, slots=True)
class Timer:
    """Equal timers are one timer: setting it again replaces it. RESOLVE has view 0."""

    kind: TimerKind
    view: View


def compute_timeout_ms(start_ms: int, max_ms: int, views_since_finality: int) -> int:
    """`start_ms`, doubled for each unfinalized view beyond the usual pipeline, at most `max_ms`.

    Views whose leader is known to be silent are not among `views_since_finality`.
    """
    doublings = min(max(views_since_finality - _PIPELINE_VIEWS, 0), _DOUBLINGS_MAX)
    return min(start_ms << doublings, max_ms)
