"""Time for a replica: it follows the wall clock, never goes back, and never stands still."""

from __future__ import annotations

from flockchain.replica.steady_clock import SteadyClock

MS = 1_000_000


def tell(clock: SteadyClock, wall_ms: int, monotonic_ms: int) -> int:
    return clock.tell_ms(wall_ms * MS, monotonic_ms * MS)


def test_it_is_the_wall_clock_while_that_goes_forward() -> None:
    clock = SteadyClock()
    assert [tell(clock, 1_000 + ms, ms) for ms in (0, 5, 80, 81)] == [1_000, 1_005, 1_080, 1_081]


def test_a_wall_clock_that_jumps_ahead_is_believed_at_once() -> None:
    clock = SteadyClock()
    assert tell(clock, 1_000, 0) == 1_000
    assert tell(clock, 61_000, 10) == 61_000


def test_a_wall_clock_that_is_set_back_slows_time_down_but_never_stops_it() -> None:
    """A host that told the same time for an hour would take everything said again in that hour for heard."""
    clock = SteadyClock()
    assert tell(clock, 3_600_000, 0) == 3_600_000
    assert tell(clock, 10, 10) == 3_600_005
    assert tell(clock, 1_010, 1_010) == 3_600_505


def test_many_readings_within_a_millisecond_add_up() -> None:
    clock = SteadyClock()
    clock.tell_ms(3_600_000 * MS, 0)
    for step in range(1, 2_001):
        told = clock.tell_ms(0, step * MS // 10)
    assert told == 3_600_100


def test_a_slowed_clock_meets_the_wall_clock_again() -> None:
    clock = SteadyClock()
    tell(clock, 2_000, 0)
    assert tell(clock, 1_000, 0) == 2_000
    assert tell(clock, 2_500, 1_500) == 2_750
    assert tell(clock, 3_200, 2_200) == 3_200
