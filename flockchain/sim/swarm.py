"""Many worlds, one after another or several at a time. The order of the reports is that of the seeds."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flockchain.sim.world import WorldReport, run_world

__all__ = ["run_swarm"]


def run_swarm(
    first: int, last: int, template: Path, profile: str = "swarm", jobs: int = 1, crypto: str = "fast"
) -> Iterator[WorldReport]:
    """The reports of the seeds `first` to `last`, both included, as they are ready.

    Closing the iterator, or an exception in its consumer, ends the processes at once.
    """
    seeds = range(first, last + 1)
    run = partial(run_world, template=template, profile=profile, crypto=crypto)
    if jobs == 1 or len(seeds) == 1:
        yield from map(run, seeds)
        return
    with _ignoring_interrupts():
        pool = multiprocessing.get_context("spawn").Pool(min(jobs, len(seeds)))
    with pool:
        yield from pool.imap(run, seeds)


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
