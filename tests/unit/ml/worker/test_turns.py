"""One job at a time: a turn is taken until its thread has really ended, whoever has hung up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from flockchain_ml.worker.pulse import Pulse
from flockchain_ml.worker.turns import Busy, Cancelled, Turns
from tests.kit.peers import wait_until


def count_for_ever(ended: threading.Event) -> Callable[[Callable[[int], None]], int]:
    def work(report: Callable[[int], None]) -> int:
        try:
            for number in range(10_000):
                time.sleep(0.01)
                report(number)
            return 0
        finally:
            ended.set()

    return work


async def test_a_job_gives_its_progress_and_its_result() -> None:
    turns = Turns()
    seen = []
    with turns.take() as turn:
        job = turn.start(lambda report: [report(number) for number in range(3)] and "done")
        async for number in job.follow():
            seen.append(number)
        assert await job.result() == "done"
    assert seen[-1] == 2
    assert not turns.is_busy


async def test_a_second_one_is_refused_while_the_first_is_at_it() -> None:
    turns = Turns()
    with turns.take(), pytest.raises(Busy):
        turns.take()
    turns.take()


async def test_leaving_early_stops_the_thread_and_the_turn_ends_with_it() -> None:
    turns, ended = Turns(), threading.Event()
    with turns.take() as turn:
        job = turn.start(count_for_ever(ended))
        await anext(aiter(job.follow()))
    assert turns.is_busy, "the thread still runs: nobody else may use the model"
    with pytest.raises(Busy):
        turns.take()
    await wait_until(lambda: not turns.is_busy)
    assert ended.is_set()
    with pytest.raises(Cancelled):
        await job.result()


async def test_a_cancelled_waiter_does_not_cancel_the_wait_for_the_thread() -> None:
    turns, ended = Turns(), threading.Event()

    async def serve() -> None:
        with turns.take() as turn:
            await turn.start(count_for_ever(ended)).result()

    call = asyncio.create_task(serve())
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert turns.is_busy
    await wait_until(lambda: not turns.is_busy)
    assert ended.is_set()


async def test_what_the_work_raises_comes_out_and_frees_the_turn() -> None:
    turns = Turns()

    def fail(_: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), turns.take() as turn:
        await turn.start(fail).result()
    assert not turns.is_busy


async def test_a_slow_reader_misses_progress_and_never_the_end() -> None:
    with Turns().take() as turn:
        job = turn.start(lambda report: [report(number) for number in range(1_000)])
        await job.result()
        assert [number async for number in job.follow()] == [999]


async def test_a_pulse_beats_at_most_once_in_its_interval() -> None:
    beats = []

    async def show() -> None:
        beats.append(1)

    pulse = Pulse(show, interval_ms=30)
    await pulse.beat()
    assert not beats
    await asyncio.sleep(0.05)
    await pulse.beat()
    await pulse.beat()
    assert len(beats) == 1
