"""Runs the trainer's agent until its task ends or somebody stops it, and says what becomes of each round."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence

import typer

from flockchain.cli.output import OutputFormat, print_note, to_plain
from flockchain.client import AsyncClient, Signer
from flockchain.primitives.numbers import TaskId
from flockchain_ml.worker.agent import Contribution, Stage, Trainer, run_agent

__all__ = ["describe_contribution", "follow_task"]

_NAT = 1_000_000


async def follow_task(
    nodes: Sequence[str], build_trainer: Callable[[], Trainer], account: Signer, task: TaskId, output: OutputFormat
) -> None:
    """One line for each event of each round; with JSON, one object a line. Returns when the task ends or on SIGTERM."""
    loop = asyncio.get_running_loop()
    current = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: current is not None and current.cancel())
    trainer = build_trainer()
    try:
        async with AsyncClient(*nodes) as client:
            async for contribution in run_agent(client, trainer, account, task):
                _print(contribution, output)
        print_note(f"task {task} has ended")
    except asyncio.CancelledError:
        print_note("stopped")
    finally:
        await trainer.close()


def describe_contribution(contribution: Contribution) -> str:
    """The event as a person reads it."""
    head = f"round {contribution.round}:"
    if contribution.stage is Stage.SUBMITTED:
        return f"{head} submitted, training loss {_to_nats(contribution.loss)}"
    if contribution.stage is Stage.JUDGED and contribution.reason is not None:
        reason = contribution.reason.name.lower().replace("_", " ")
        return f"{head} {reason}, score {_to_nats(contribution.score)}, reputation {_to_nats(contribution.reputation)}"
    if contribution.stage is Stage.LEFT_OUT:
        return f"{head} left out: {contribution.problem}"
    return f"{head} {contribution.problem}"


def _print(contribution: Contribution, output: OutputFormat) -> None:
    is_json = output is OutputFormat.JSON
    typer.echo(json.dumps(to_plain(contribution)) if is_json else describe_contribution(contribution))


def _to_nats(micro_nats: int | None) -> str:
    return "-" if micro_nats is None else f"{micro_nats / _NAT:.4f}"
