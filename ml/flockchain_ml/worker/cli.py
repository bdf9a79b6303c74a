"""The verbs of the learning side: `flockchain evaluator run`, `flockchain trainer run` and `trainer serve`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from flockchain.cli.app import run as run_command_line
from flockchain.cli.connection import (
    HomeOption,
    KeyFileOption,
    KeyOption,
    NodeOption,
    PasswordOption,
    load_account,
    resolve_nodes,
)
from flockchain.cli.exit_codes import UserMistake
from flockchain.cli.output import Output, OutputFormat, print_note, print_record
from flockchain.primitives.numbers import TaskId
from flockchain_ml.worker.trainer_client import RemoteTrainer, RemoteTrainerConfig

__all__ = ["evaluator", "main", "trainer"]

trainer = typer.Typer(name="trainer", help="Train a task's model for a reward.", no_args_is_help=True)
evaluator = typer.Typer(name="evaluator", help="Judge updates for a validator.", no_args_is_help=True)

_THREADS_HELP: Final = "torch threads"
ModelOption = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="Folder of the base model: safetensors and tokenizer.")
]
DataOption = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="JSON lines of {prompt, answer}.")]
AttackOption = Annotated[str | None, typer.Option("--attack", help="Misbehave, for experiments on a local network.")]


@evaluator.callback()
def _evaluator() -> None:
    """Judge updates for a validator."""


@evaluator.command("run")
def run_evaluator(
    model: ModelOption,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the node dials.")] = (
        "127.0.0.1:9750"
    ),
    threads: Annotated[int, typer.Option("--threads", min=1, help=_THREADS_HELP)] = 1,
) -> None:
    """Serve evaluations until it is stopped. Holds the model and no key."""
    from flockchain_ml.models import load_model
    from flockchain_ml.worker.evaluator_service import add_evaluator
    from flockchain_ml.worker.serving import serve

    _prepare(threads)
    loaded = load_model(model)
    print_note(f"evaluator of base model {loaded.digest.hex()} on {listen}")
    asyncio.run(serve(listen, lambda server: add_evaluator(server, loaded)))


@trainer.command("serve")
def serve_trainer(
    model: ModelOption,
    data: DataOption = None,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the agent dials.")] = (
        "127.0.0.1:9760"
    ),
    attack: AttackOption = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help=_THREADS_HELP)] = 1,
) -> None:
    """Serve trainings until it is stopped: the module that an agent dials. `--data` is its data set "local"."""
    from flockchain_ml.data import read_rows
    from flockchain_ml.models import load_model
    from flockchain_ml.worker.serving import serve
    from flockchain_ml.worker.trainer_service import add_trainer

    _prepare(threads)
    loaded = load_model(model)
    data_sets = {"local": read_rows(data)} if data is not None else {}
    print_note(f"trainer on base model {loaded.digest.hex()} on {listen}")
    asyncio.run(serve(listen, lambda server: add_trainer(server, loaded, data_sets, _find_attack(attack))))


@trainer.command("run")
def run_trainer(
    task: Annotated[int, typer.Option("--task", min=0, help="The task to contribute to.")],
    model: Annotated[Path | None, typer.Option("--model", metavar="DIR", help="Train here, on this base.")] = None,
    data: DataOption = None,
    module: Annotated[
        str | None, typer.Option("--trainer", metavar="HOST:PORT", help="Have this trainer module train instead.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Fixes what is drawn in training.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Steps a round. [default: the trainer's own]")] = 0,
    quantise: Annotated[str, typer.Option("--base", help="Hold the base as none, int8 or nf4.")] = "none",
    attack: AttackOption = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help=_THREADS_HELP)] = 1,
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Contribute an update to every round of a task until it ends. The account's key never leaves this process."""
    _prepare(threads)
    account = load_account(home, key, key_file, password_file)
    if module is not None:
        dataset = data.read_bytes() if data is not None else None
        remote = RemoteTrainerConfig(module, dataset, data_set="" if data else "local", steps=steps, seed=seed)
        work: Any = RemoteTrainer(remote)
    else:
        work = _build_local_trainer(model, data, seed, steps, quantise, attack)
    asyncio.run(_follow(resolve_nodes(node, home), work, account, TaskId(task), output))


def main(arguments: Sequence[str]) -> int:
    """One command line, as the devnet's fork server runs it."""
    return run_command_line(list(arguments))


async def _follow(nodes: list[str], work: Any, account: Any, task: TaskId, output: OutputFormat) -> None:
    from flockchain.client import AsyncClient
    from flockchain_ml.worker.agent import run_agent

    loop = asyncio.get_running_loop()
    current = asyncio.current_task()
    if current is not None:
        loop.add_signal_handler(signal.SIGTERM, current.cancel)
    try:
        async with AsyncClient(*nodes) as client:
            async for contribution in run_agent(client, work, account, task):
                print_record(contribution, output)
                sys.stdout.flush()
    except asyncio.CancelledError:
        print_note("stopped")
    finally:
        await work.close()


def _build_local_trainer(
    model: Path | None, data: Path | None, seed: int, steps: int, quantise: str, attack: str | None
) -> Any:
    from flockchain_ml.data import read_rows
    from flockchain_ml.models import Quantisation
    from flockchain_ml.trainer import TrainSettings
    from flockchain_ml.worker.local_trainer import LocalTrainer, LocalTrainerConfig

    if model is None or data is None:
        raise UserMistake("training here needs --model and --data; or name a module with --trainer")
    if quantise not in {kind.value for kind in Quantisation}:
        raise UserMistake("a base is held as none, int8 or nf4", got=quantise)
    settings = TrainSettings(steps=steps) if steps else TrainSettings()
    return LocalTrainer(
        LocalTrainerConfig(model, read_rows(data), seed, settings, _find_attack(attack), Quantisation(quantise))
    )


def _find_attack(name: str | None) -> Any:
    from flockchain_ml.attacks import ATTACKS

    if name is None:
        return None
    if name not in ATTACKS:
        raise UserMistake("there is no such attack", attack=name, known=", ".join(ATTACKS))
    return ATTACKS[name]


def _prepare(threads: int) -> None:
    import torch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(threads)
