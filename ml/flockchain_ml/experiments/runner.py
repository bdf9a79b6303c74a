"""Runs the cells of a grid: skips what is there, computes the rest here or in processes, says how far it is.

A cell lies on the disk as soon as it is computed, so whatever is killed, the next run goes on from there. A cell that
fails, or whose process dies, is reported, and the others still run. Knows no experiment: the grid does.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from flockchain.primitives.errors import FlockchainError
from flockchain_ml.experiments.cell import (
    Cell,
    CellFileBroken,
    SettingsDiffer,
    build_document,
    compute_settings_digest,
    read_cell,
    write_cell,
)
from flockchain_ml.experiments.grid import find_experiment
from flockchain_ml.experiments.probe_store import kept_in
from flockchain_ml.models import LoadedModel, compute_folder_digest, load_model

__all__ = ["Outcome", "Plan", "compute_cell", "format_left", "run_cells"]

_STOP_SECONDS: Final = 5.0
# One thread each, and nothing from a network.
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Where results go, on which base, in how many processes. One: in this one."""

    folder: Path
    base: Path
    jobs: int = 1
    is_recomputing: bool = False


@dataclass(slots=True)
class Outcome:
    """Names of cells. `failed`: with one line of why."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run_cells(cells: Sequence[Cell], plan: Plan, say: Callable[[str], None]) -> Outcome:
    """All cells. Raises `SettingsDiffer` before anything runs if a cell is there under other settings."""
    outcome, base = Outcome(), compute_folder_digest(plan.base)
    waiting = []
    for cell in cells:
        if not plan.is_recomputing and _is_there(cell, plan.folder, base, say):
            outcome.skipped.append(cell.name)
        else:
            waiting.append(cell)
    if outcome.skipped:
        say(f"{len(outcome.skipped)} of {len(cells)} cells are there already")
    started = time.monotonic()
    finish = _run_in_processes if plan.jobs > 1 else _run_here
    for cell, seconds, failure in finish(waiting, plan):
        if failure:
            outcome.failed[cell.name] = failure
        else:
            outcome.done.append(cell.name)
        ended = len(outcome.done) + len(outcome.failed)
        left = (time.monotonic() - started) / ended * (len(waiting) - ended)
        at = f"{len(outcome.skipped) + ended} of {len(cells)} cells, {format_left(left)} left"
        say(f"{at}: {cell.name} failed: {failure}" if failure else f"{at}: {cell.name} in {seconds:.1f} s")
    return outcome


def compute_cell(loaded: LoadedModel, cell: Cell, folder: Path) -> float:
    """Compute one cell and write its file; returns the seconds that it took."""
    experiment = find_experiment(cell.experiment)
    digest = _compute_digest(cell, loaded.digest)
    started = time.monotonic()
    with kept_in(folder / "probes"):
        figures = experiment.run_cell(loaded, cell)
    seconds = time.monotonic() - started
    write_cell(cell.get_file(folder), build_document(cell, figures, seconds, digest))
    return seconds


def format_left(seconds: float) -> str:
    """For people: 40 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _compute_digest(cell: Cell, base: bytes) -> str:
    return compute_settings_digest(cell, base, find_experiment(cell.experiment).get_settings(cell.rule))


def _is_there(cell: Cell, folder: Path, base: bytes, say: Callable[[str], None]) -> bool:
    file = cell.get_file(folder)
    if not file.exists():
        return False
    try:
        document = read_cell(file)
    except CellFileBroken as error:
        say(f"{cell.name} is computed again: {error}")
        return False
    wanted = _compute_digest(cell, base)
    if document["settings_digest"] != wanted:
        raise SettingsDiffer(
            "a cell is there that was made under other settings", cell=cell.name, wanted=wanted,
            got=document["settings_digest"],
        )  # fmt: skip
    return True


def _run_here(cells: Sequence[Cell], plan: Plan) -> Iterator[tuple[Cell, float, str]]:
    base = _Base(plan.base)
    for cell in cells:
        yield (cell, *_attempt(base, cell, plan.folder))


@dataclass(slots=True)
class _Base:
    """The base model, loaded for the first cell that needs it."""

    folder: Path
    loaded: LoadedModel | None = None

    def get(self) -> LoadedModel:
        if self.loaded is None:
            self.loaded = load_model(self.folder)
        return self.loaded


def _attempt(base: _Base, cell: Cell, folder: Path) -> tuple[float, str]:
    """Seconds, and why it failed or nothing. Whatever a cell raises is that cell's failure alone."""
    try:
        return compute_cell(base.get(), cell, folder), ""
    except Exception as error:
        if not isinstance(error, FlockchainError):
            traceback.print_exc()
        return 0.0, f"{type(error).__name__}: {error}".splitlines()[0]


@dataclass(slots=True)
class _Worker:
    """A process that computes one cell after the other, and the one it is at."""

    process: BaseProcess
    pipe: Connection
    cell: Cell | None = None

    def give(self, cell: Cell) -> None:
        self.cell = cell
        with suppress(BrokenPipeError):  # it died already, as `take` will tell
            self.pipe.send(cell)

    def take(self) -> tuple[float, str]:
        """What it says of its cell, or how it died."""
        try:
            answer: tuple[float, str] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return 0.0, f"its process died (exit code {self.process.exitcode})"
        return answer


def _run_in_processes(cells: Sequence[Cell], plan: Plan) -> Iterator[tuple[Cell, float, str]]:
    waiting = list(reversed(cells))
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < plan.jobs:
                worker = _start_worker(plan)
                workers.append(worker)
                worker.give(waiting.pop())
            ready = wait([worker.pipe for worker in workers])
            for worker in [one for one in workers if one.pipe in ready]:
                cell = worker.cell
                seconds, failure = worker.take()
                if not worker.process.is_alive() or not waiting:
                    workers.remove(worker)
                    _end_worker(worker)
                else:
                    worker.give(waiting.pop())
                if cell is not None:
                    yield cell, seconds, failure
    finally:
        for worker in workers:
            worker.process.terminate()
            _end_worker(worker)


def _start_worker(plan: Plan) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, plan), daemon=True)
    with _environment():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _end_worker(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.join(_STOP_SECONDS)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _work(pipe: Connection, plan: Plan) -> None:
    """A process's life: ends with the pipe, whoever closes it, so that it never outlives a killed runner for long."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    base = _Base(plan.base)
    while True:
        try:
            cell = pipe.recv()
        except EOFError:
            return
        answer = _attempt(base, cell, plan.folder)
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


@contextmanager
def _environment() -> Iterator[None]:
    """For the processes that are started inside."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
