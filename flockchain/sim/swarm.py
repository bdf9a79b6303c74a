"""Many worlds, one after another or several at a time. The order of the reports is that of the seeds."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from flockchain.sim.profiles import find_profile
from flockchain.sim.world import WorldReport, run_world

__all__ = ["LARGE_WORLDS", "find_missing_marks", "run_swarm"]


LARGE_WORLDS: Final = 200  # of one profile: they must reach all of its marks


def run_swarm(
    first: int,
    last: int,
    template: Path,
    profile: str = "swarm",
    jobs: int = 1,
    crypto: str = "fast",
    trace: Path | None = None,
) -> Iterator[WorldReport]:
    """The reports of the seeds `first` to `last`, both included, as they are ready.

    The story of a single seed can be had in a file, `trace`. Closing the iterator, or an exception in its consumer,
    ends the processes at once.
    """
    seeds = range(first, last + 1)
    run = partial(run_world, template=template, profile=profile, crypto=crypto, trace=trace)
    _collect_seldom()
    if jobs == 1 or len(seeds) == 1:
        yield from map(run, seeds)
        return
    with _ignoring_interrupts():
        pool = multiprocessing.get_context("spawn").Pool(min(jobs, len(seeds)), _collect_seldom)
    with pool:
        yield from pool.imap(run, seeds)


def _collect_seldom() -> None:
    """A world is one large web that lives until its end: to search it for garbage often is a sixth of the time."""
    gc.set_threshold(200_000, 20, 50)


def find_missing_marks(reports: Iterable[WorldReport]) -> tuple[str, ...]:
    """What a profile of which many worlds were run should have reached in one of them, and has not."""
    by_profile: dict[str, list[WorldReport]] = {}
    for report in reports:
        by_profile.setdefault(report.profile, []).append(report)
    missing: list[str] = []
    for name, worlds in by_profile.items():
        if len(worlds) >= LARGE_WORLDS:
            reached = {mark for world in worlds for mark in world.marks}
            missing += [f"{name}: {mark}" for mark in sorted(find_profile(name).marks - reached)]
    return tuple(missing)


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes made in here never hear of an interrupt: it is for the one that was asked, which then ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
