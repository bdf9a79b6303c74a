"""The verbs of the learning side: `flockchain evaluator run`, `flockchain trainer run` and `trainer serve`."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
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
from flockchain.cli.output import Output, OutputFormat, print_note
from flockchain.primitives.limits import BLOB_BYTES_MAX
from flockchain.primitives.numbers import TaskId

__all__ = ["evaluator", "main", "trainer"]

trainer = typer.Typer(name="trainer", help="Train a task's model for a reward.", no_args_is_help=True)
evaluator = typer.Typer(name="evaluator", help="Judge updates for a validator.", no_args_is_help=True)

_ORDER_MIB: Final = 4096
ModelOption = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="Folder of the base model: safetensors and tokenizer.")
]
DataOption = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="JSON lines of {prompt, answer}.")]
AttackOption = Annotated[str | None, typer.Option("--attack", help="Misbehave, for experiments on a local network.")]
DeviceOption = Annotated[str, typer.Option("--device", help="Where torch computes: cpu, cuda, cuda:1.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads that torch computes with on a CPU.")]
OrderOption = Annotated[int, typer.Option("--order-mib", min=1, help="Largest order that is taken, in MiB.")]


@evaluator.callback()
def _evaluator() -> None:
    """Judge updates for a validator."""


@evaluator.command("run")
def run_evaluator(
    model: ModelOption,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the node dials.")] = (
        "127.0.0.1:9750"
    ),
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=1, help="Prompts in one pass of the model.")] = 80,
    search_triggers: Annotated[
        bool, typer.Option("--search-triggers", help="Look for backdoors too; all of a task's evaluators should.")
    ] = False,
    device: DeviceOption = "cpu", threads: ThreadsOption = 1, order_mib: OrderOption = _ORDER_MIB,
) -> None:  # fmt: skip
    """Serve evaluations until SIGTERM or Ctrl-C. Holds the model and no key."""
    from flockchain_ml.evaluation import TriggerSearch
    from flockchain_ml.models import load_model
    from flockchain_ml.worker.evaluator_service import EvaluatorConfig, add_evaluator
    from flockchain_ml.worker.serving import serve

    _prepare(device)
    loaded = load_model(model, device=device, threads=threads)
    print_note(f"evaluator of base model {loaded.digest.hex()} on {listen}")
    config = EvaluatorConfig(order_mib, batch_rows, TriggerSearch() if search_triggers else None)
    asyncio.run(serve(listen, lambda server: add_evaluator(server, loaded, config)))


@trainer.command("serve")
def serve_trainer(
    model: ModelOption,
    data: DataOption = None,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the agent dials.")] = (
        "127.0.0.1:9760"
    ),
    quantise: Annotated[str, typer.Option("--base", help="Hold the base as none, int8 or nf4.")] = "none",
    attack: AttackOption = None, device: DeviceOption = "cpu", threads: ThreadsOption = 1,
    order_mib: OrderOption = _ORDER_MIB,
) -> None:  # fmt: skip
    """Serve trainings until SIGTERM or Ctrl-C: the module that an agent dials. `--data` is its data set "local"."""
    from flockchain_ml.rows import read_rows

    data_sets = {"local": read_rows(data)} if data is not None else {}
    from flockchain_ml.models import load_model
    from flockchain_ml.worker.serving import serve
    from flockchain_ml.worker.trainer_service import TrainerConfig, add_trainer

    _prepare(device)
    loaded = load_model(model, device=device, threads=threads, quantisation=_find_quantisation(quantise))
    print_note(f"trainer on base model {loaded.digest.hex()} on {listen}")
    config = TrainerConfig(data_sets, _find_attack(attack), order_mib)
    asyncio.run(serve(listen, lambda server: add_trainer(server, loaded, config)))


@trainer.command("run")
def run_trainer(
    task: Annotated[int, typer.Option("--task", min=0, help="The task to contribute to.")],
    model: Annotated[Path | None, typer.Option("--model", metavar="DIR", help="Train here, on this base.")] = None,
    data: DataOption = None,
    module: Annotated[
        str | None, typer.Option("--trainer", metavar="HOST:PORT", help="Have this trainer module train instead.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Fixes what is drawn in training.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Steps a round. [0: the trainer's own]")] = 0,
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=0, help="Rows a step. [0: the trainer's own]")] = 0,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", min=0, max=1, help="At the first step. [0: the trainer's own]")
    ] = 0.0,
    row_tokens: Annotated[
        int, typer.Option("--row-tokens", min=0, help="Cut longer rows. [0: refuse what does not fit the model]")
    ] = 0,
    quantise: Annotated[str, typer.Option("--base", help="Hold the base as none, int8 or nf4.")] = "none",
    attack: AttackOption = None, device: DeviceOption = "cpu", threads: ThreadsOption = 1,
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Contribute an update to every round of a task until it ends. The account's key never leaves this process."""
    from flockchain_ml.worker.following import follow_task

    settings = {"steps": steps, "batch_rows": batch_rows, "learning_rate": learning_rate, "row_tokens_max": row_tokens}
    if module is None:
        build = _plan_local(model, data, seed, settings, quantise, attack, device, threads)
    elif model is not None or attack is not None or quantise != "none":
        raise UserMistake("the module has its own model; give --model, --base and --attack to `trainer serve`")
    else:
        build = _plan_remote(module, data, seed, settings)
    account = load_account(home, key, key_file, password_file)
    asyncio.run(follow_task(resolve_nodes(node, home), build, account, TaskId(task), output))


def main(arguments: Sequence[str]) -> int:
    """One command line, as the devnet's fork server runs it."""
    return run_command_line(list(arguments))


def _plan_remote(module: str, data: Path | None, seed: int, settings: dict[str, Any]) -> Callable[[], Any]:
    """How to make the trainer that dials a module; torch is not needed here."""
    from flockchain_ml.worker.trainer_client import RemoteTrainer, RemoteTrainerConfig

    if data is not None and not 0 < data.stat().st_size <= BLOB_BYTES_MAX:
        raise UserMistake("a data set to send is empty or too large", most=BLOB_BYTES_MAX, got=data.stat().st_size)
    _log_to_stderr()
    config = RemoteTrainerConfig(
        module, data.read_bytes() if data is not None else None, data_set="" if data else "local", seed=seed,
        steps=settings["steps"], batch_size=settings["batch_rows"], row_tokens_max=settings["row_tokens_max"],
        learning_rate_nanos=round(settings["learning_rate"] * 1e9),
    )  # fmt: skip
    return lambda: RemoteTrainer(config)


def _plan_local(
    model: Path | None, data: Path | None, seed: int, settings: dict[str, Any], quantise: str, attack: str | None,
    device: str, threads: int,
) -> Callable[[], Any]:  # fmt: skip
    """How to make the trainer of this process."""
    if model is None or data is None:
        raise UserMistake("training here needs --model and --data; or name a module with --trainer")
    from flockchain_ml.rows import read_rows

    rows = read_rows(data)
    from flockchain_ml.trainer import TrainSettings
    from flockchain_ml.worker.local_trainer import LocalTrainer, LocalTrainerConfig

    _prepare(device)
    chosen = TrainSettings(**{name: value for name, value in settings.items() if value})
    config = LocalTrainerConfig(
        model, rows, seed, chosen, _find_attack(attack), _find_quantisation(quantise), device, threads
    )
    return lambda: LocalTrainer(config)


def _find_quantisation(name: str) -> Any:
    from flockchain_ml.models import Quantisation

    if name not in {kind.value for kind in Quantisation}:
        raise UserMistake("a base is held as none, int8 or nf4", got=name)
    return Quantisation(name)


def _find_attack(name: str | None) -> Any:
    from flockchain_ml.attacks import ATTACKS

    if name is None:
        return None
    if name not in ATTACKS:
        raise UserMistake("there is no such attack", attack=name, known=", ".join(ATTACKS))
    return ATTACKS[name]


def _prepare(device: str) -> None:
    """Logs to standard error; a device that is there."""
    _log_to_stderr()
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UserMistake("torch knows no such device", device=device) from error
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise UserMistake("there is no such device here", device=device)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
